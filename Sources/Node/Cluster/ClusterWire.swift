// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Foundation
import Gossip
import SecureMemory

/// The paths of the cluster listener; docs/internals/cluster-protocol.md.
enum ClusterPath: String, Sendable, CaseIterable {
    case gossip = "/cluster/v1/gossip"
    case blocks = "/cluster/v1/blocks"
    case blockPages = "/cluster/v2/blocks"
    case canaries = "/cluster/v1/canaries"
    case forward = "/cluster/v1/forward"
    case audit = "/cluster/v1/audit"
}

/// Longest bodies, in both directions, bytes.
struct BodyLimits: Sendable {
    /// Longest body of a KMS request that is passed on.
    let maxForwardBytes: Int

    func limit(_ path: ClusterPath) -> Int {
        switch path {
        case .gossip: 256 << 10
        case .blocks: BlockList.mostWireBytes + 64
        // Twice what escaping may make of a page, and the orders before all others.
        case .blockPages: 2 << 20
        case .canaries: 1 << 20
        case .audit: 512 << 10
        case .forward: max(maxForwardBytes, 0) + ForwardWire.mostHeadBytes + 4
        }
    }
}

/// Header fields of `forward`.
enum ClusterField {
    /// Of the request: how long the answer may take, from the request's arrival, microseconds.
    static let budget = "claviger-budget-us"
    /// Of the answer: the status that KMS is to see. Without it the answer is not that of the peer's service.
    static let status = "claviger-status"
}

/// What a node answers to another's whole block list.
struct BlockReply: Codable {
    /// The union of both.
    var list: BlockList
    /// Whether it is on the answering node's disk.
    var durable: Bool
}

/// One page in each direction. Versions up to 16631be read `canaries` and `after`, and send nothing else.
struct CanaryPage: Codable {
    /// Canaries that decide.
    var canaries: [SharedCanary]
    /// In a request: send yours with labels beyond this one, the first for "". In an answer: there are more, beyond this
    /// label. Absent: no more.
    var after: String?
    /// Canaries that have begun to serve seconds ago, or are about to.
    var provisional: [SharedCanary]?
    var forgets: [SharedForget]?

    /// A page ends at this size, bytes of JSON, roughly; well below `BodyLimits`.
    private static let mostBytes = 500_000

    /// Everything that it reports.
    var keys: SharedKeys {
        let young = (provisional ?? []).map { canary in
            var canary = canary
            canary.isProvisional = true
            return canary
        }
        return SharedKeys(canaries: canaries + young, forgets: forgets ?? [])
    }

    /// What `SharedCanary` and `SharedForget` promise, and what labels and names can be.
    var isWithinBounds: Bool {
        canaries.count + (provisional?.count ?? 0) <= SharedCanary.mostInMessage
            && (forgets?.count ?? 0) <= SharedCanary.mostInMessage
            && canaries.allSatisfy(\.isWithinBounds) && provisional?.allSatisfy(\.isWithinBounds) ?? true
            && forgets?.allSatisfy(\.isWithinBounds) ?? true
    }

    /// The first page of what lies beyond `label`; `nil` sends none.
    ///
    /// - Parameter keys: each list in the order of its labels.
    static func page(of keys: SharedKeys, after label: String?) -> CanaryPage {
        var page = CanaryPage(canaries: [], after: nil, provisional: [], forgets: [])
        guard let label else { return page }
        var canaries = keys.canaries.drop { !precedes(label, $0.label) }
        var forgets = keys.forgets.drop { !precedes(label, $0.label) }
        var (bytes, last) = (0, "")
        // All of one label go into one page: the next one begins beyond it.
        while let next = [canaries.first?.label, forgets.first?.label].compactMap({ $0 }).min(by: precedes) {
            let ours = canaries.prefix { !precedes(next, $0.label) }
            let orders = forgets.prefix { !precedes(next, $0.label) }
            let count = page.canaries.count + (page.provisional?.count ?? 0)
            let isFull =
                bytes > mostBytes || count + ours.count > SharedCanary.mostInMessage
                || (page.forgets?.count ?? 0) + orders.count > SharedCanary.mostInMessage
            if isFull, !last.isEmpty {
                page.after = last
                break
            }
            for canary in ours {
                if canary.isProvisional == true {
                    page.provisional?.append(canary)
                } else {
                    page.canaries.append(canary)
                }
                bytes += canary.roughBytes
            }
            page.forgets?.append(contentsOf: orders)
            bytes += orders.reduce(0) { $0 + 200 * ($1.canaries.count + 1) }
            (canaries, forgets) = (canaries.dropFirst(ours.count), forgets.dropFirst(orders.count))
            last = next
        }
        if page.provisional?.isEmpty == true { page.provisional = nil }
        if page.forgets?.isEmpty == true { page.forgets = nil }
        return page
    }

    /// Labels are bytes, and stand in their order.
    private static func precedes(_ one: String, _ other: String) -> Bool {
        one.utf8.lexicographicallyPrecedes(other.utf8)
    }
}

extension SharedCanary {
    fileprivate var isWithinBounds: Bool {
        (1...255).contains(label.utf8.count) && (12...16).contains(iv.count) && (1...128).contains(ciphertext.count)
            && digest.count == 32 && maker.utf8.count <= 255 && node.utf8.count <= 64
            && (provers?.count ?? 0) <= Self.mostProvers && provers?.allSatisfy { $0.utf8.count <= 255 } ?? true
            && (replaces?.count ?? 0) <= Self.mostReplaced && replaces?.allSatisfy { $0.count == 32 } ?? true
    }

    /// Length of its JSON, bytes, roughly.
    fileprivate var roughBytes: Int {
        let texts = label.utf8.count + maker.utf8.count + (provers ?? []).reduce(0) { $0 + $1.utf8.count + 4 }
        return 200 + 2 * texts + 4 * (iv.count + ciphertext.count + digest.count) + 140 * (replaces?.count ?? 0)
    }
}

extension SharedForget {
    fileprivate var isWithinBounds: Bool {
        (1...255).contains(label.utf8.count) && (1...64).contains(canaries.count)
            && canaries.allSatisfy { $0.count == 32 } && author.utf8.count <= 136
    }
}

/// JSON between nodes.
enum ClusterJSON {
    static func encode(_ value: some Encodable) throws -> SecretBytes {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        return SecretBytes(try encoder.encode(value))
    }

    static func decode<Value: Decodable>(_ type: Value.Type, _ body: SecretBytes) throws -> Value {
        try JSONDecoder().decode(type, from: body.withUnsafeBytes { Data($0) })
    }
}
