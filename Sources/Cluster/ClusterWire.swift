// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Foundation
import Gossip
import SecureMemory

/// The paths of the cluster listener; docs/internals/cluster-protocol.md.
enum ClusterPath: String, Sendable, CaseIterable {
    case gossip = "/cluster/v1/gossip"
    case blocks = "/cluster/v1/blocks"
    case canaries = "/cluster/v1/canaries"
    case forward = "/cluster/v1/forward"
}

/// Longest bodies, in both directions, bytes.
struct BodyLimits: Sendable {
    /// Longest body of a KMS request that is passed on.
    let maxForwardBytes: Int

    func limit(_ path: ClusterPath) -> Int {
        switch path {
        case .gossip: 256 << 10
        case .blocks: BlockList.mostWireBytes + 64
        case .canaries: 1 << 20
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

/// What a node answers to another's block list.
struct BlockReply: Codable {
    /// The union of both.
    var list: BlockList
    /// Whether it is on the answering node's disk.
    var durable: Bool
}

/// One page in each direction.
struct CanaryPage: Codable {
    var canaries: [SharedCanary]
    /// In a request: send yours with labels beyond this one, the first for "". In an answer: there are more, beyond this
    /// label. Absent: no more.
    var after: String?

    /// What `SharedCanary` promises, and what labels and names can be.
    var isWithinBounds: Bool {
        canaries.count <= SharedCanary.mostInMessage
            && canaries.allSatisfy { canary in
                (1...255).contains(canary.label.utf8.count) && (12...16).contains(canary.iv.count)
                    && (1...128).contains(canary.ciphertext.count) && canary.digest.count == 32
                    && canary.maker.utf8.count <= 255 && canary.node.utf8.count <= 64
            }
    }

    /// The first page of those beyond `label`; `nil` sends none.
    static func page(of sorted: [SharedCanary], after label: String?) -> CanaryPage {
        guard let label else { return CanaryPage(canaries: [], after: nil) }
        let rest = sorted.drop { !label.utf8.lexicographicallyPrecedes($0.label.utf8) }
        let page = Array(rest.prefix(SharedCanary.mostInMessage))
        return CanaryPage(canaries: page, after: rest.count > page.count ? page.last?.label : nil)
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
