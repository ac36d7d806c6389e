// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import Foundation
import Glibc
import NodeStore
import Synchronization

/// What a node keeps of the heads of audit logs, its own and those of its peers: what makes a change of what they say
/// provable here.
final class AuditHeadBook: Sendable {
    /// Most heads of each chain that are given out.
    static let mostHeads = 2_000
    /// For how long a head that contradicts is a condition, seconds.
    private static let contradictionTime = 7 * 86_400

    private struct Chain: Hashable {
        var node: String
        var number: Int
    }

    /// Something that a node has told and that cannot be true beside what it told before.
    struct Contradiction: Sendable, Equatable {
        var node: String
        /// In words.
        var text: String
        /// Unix seconds.
        var at: Int64
    }

    private struct State {
        var histories: [Chain: HeadHistory] = [:]
        var contradictions: [Contradiction] = []
        /// Of this node's own log.
        var own: [Int: SignedAuditHead] = [:]
    }

    private let node: String
    private let store: NodeStore
    private let state = Mutex(State())

    /// - Parameter node: this one.
    init(node: String, store: NodeStore) {
        self.node = node
        self.store = store
        let kept = store.auditHeads(of: nil, limit: 16)
        let oldest = Int(time(nil)) - Self.contradictionTime
        state.withLock { state in
            for (chain, heads) in Dictionary(grouping: kept, by: { Chain(node: $0.node, number: $0.chain) }) {
                let fitting = heads.filter { !$0.contradicts }.suffix(2)
                state.histories[chain] = HeadHistory(fitting.map { (AuditHead($0), Int64($0.keptUnixSeconds)) })
            }
            state.contradictions = kept.filter { $0.contradicts && $0.keptUnixSeconds > oldest }.map {
                Contradiction(
                    node: $0.node, text: Self.words(AuditHead($0)), at: Int64($0.keptUnixSeconds))
            }
        }
    }

    private static func words(_ head: AuditHead) -> String {
        "its record \(head.seq) of chain \(head.chain), as it tells it, does not fit what it told before"
    }

    /// Keeps a head that its node has signed.
    func keep(_ signed: SignedAuditHead) {
        let (head, now) = (signed.head, Int64(time(nil)))
        let verdict = state.withLock { state -> HeadHistory.Verdict in
            if head.node == node { state.own[head.chain] = signed }
            return state.histories[Chain(node: head.node, number: head.chain), default: HeadHistory()].note(
                head, at: now)
        }
        switch verdict {
        case .known: return
        case .news(let replaced):
            store.record(
                auditHead: StoredAuditHead(signed, at: now, contradicts: false),
                replacing: replaced.map {
                    ReplacedAuditHead(node: head.node, chain: head.chain, seq: Int(clamping: $0))
                })
        case .rewritten, .cut:
            let isNew = state.withLock { state -> Bool in
                let text = Self.words(head)
                guard !state.contradictions.contains(where: { $0.node == head.node && $0.text == text }) else {
                    return false
                }
                state.contradictions.append(Contradiction(node: head.node, text: text, at: now))
                if state.contradictions.count > 100 { state.contradictions.removeFirst() }
                return true
            }
            if isNew { store.record(auditHead: StoredAuditHead(signed, at: now, contradicts: true)) }
        }
    }

    /// The newest heads of this node's own log, one of each chain.
    var own: [SignedAuditHead] { state.withLock { state in state.own.values.sorted { $0.head.chain < $1.head.chain } } }

    /// By node, those of the last days, the oldest first.
    var contradictions: [Contradiction] {
        let oldest = Int64(time(nil)) - Int64(Self.contradictionTime)
        return state.withLock { $0.contradictions.filter { $0.at > oldest } }
    }

    /// All that is kept. Blocks, for a second at most.
    ///
    /// - Parameter whose: a node's name; `nil` for all.
    func all(of whose: String?) -> AuditHeads {
        AuditHeads(
            heads: store.auditHeads(of: whose, limit: Self.mostHeads).compactMap { SignedAuditHead($0, keptBy: node) })
    }
}

extension AuditHead {
    init(_ stored: StoredAuditHead) {
        self.init(
            node: stored.node, chain: stored.chain, run: UInt64(clamping: stored.run),
            seq: UInt64(clamping: stored.seq),
            hash: stored.hash, time: Int64(stored.signedUnixSeconds))
    }
}

extension SignedAuditHead {
    /// `nil` where the row is no head.
    init?(_ stored: StoredAuditHead, keptBy node: String) {
        guard let signer = try? JSONDecoder().decode(AuditSigner.self, from: Data(stored.signer.utf8)) else {
            return nil
        }
        self.init(
            head: AuditHead(stored), signer: signer, signature: stored.signature,
            keptBy: stored.node == node ? nil : node)
        guard isWithinBounds else { return nil }
    }
}

extension StoredAuditHead {
    init(_ signed: SignedAuditHead, at now: Int64, contradicts: Bool) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let signer = (try? encoder.encode(signed.signer)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
        let head = signed.head
        self.init(
            node: head.node, chain: head.chain, run: Int(clamping: head.run), seq: Int(clamping: head.seq),
            hash: head.hash, signedUnixSeconds: Int(clamping: head.time), keptUnixSeconds: Int(clamping: now),
            signature: signed.signature, signer: signer, contradicts: contradicts)
    }
}
