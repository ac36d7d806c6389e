// SPDX-License-Identifier: Apache-2.0
import Gossip
import HSMPool
import KeyProof
import NodeStore
import Routing
import Synchronization

/// Counts encryptions under each key over all nodes: what this host has done, and what others tell, also before a restart.
final class KeyUseBook: Sendable {
    private struct State {
        var elsewhere: UsesElsewhere
        /// Of this host.
        var own: [KeyEncryptions] = []
        var peers: (@Sendable () -> [(name: String, uses: [KeyEncryptions])])?
    }

    private let store: NodeStore
    private let state: Mutex<State>

    init(store: NodeStore) {
        self.store = store
        let stored = store.keyUsesElsewhere().map { use in
            UsesElsewhere.Count(
                node: use.node, label: use.label, before: UInt64(clamping: use.encryptsBefore),
                told: UInt64(clamping: use.encrypts))
        }
        state = Mutex(State(elsewhere: UsesElsewhere(stored: stored)))
    }

    /// From now on this tells what peers say.
    func observe(peers: @escaping @Sendable () -> [(name: String, uses: [KeyEncryptions])]) {
        state.withLock { $0.peers = peers }
    }

    /// Takes in what this host has done, and what peers tell; returns by the label's bytes what was done elsewhere.
    func collect(_ rows: [KeyRow]) -> [[UInt8]: UInt64] {
        let own = rows.map { KeyEncryptions(label: $0.label.text, encrypts: $0.uses.encrypts) }
            .filter { $0.encrypts > 0 }.sorted { ($1.encrypts, $0.label) < ($0.encrypts, $1.label) }
        let peers = state.withLock { $0.peers }?() ?? []
        let (totals, changes) = state.withLock { state in
            state.own = Array(own.prefix(NodeFacts.mostKeyUses))
            for peer in peers {
                for use in peer.uses { state.elsewhere.told(use.encrypts, of: use.label, by: peer.name) }
            }
            return (state.elsewhere.totals, state.elsewhere.takeChanges())
        }
        if !changes.isEmpty {
            store.record(
                keyUsesElsewhere: changes.map { count in
                    StoredUsesElsewhere(
                        node: count.node, label: count.label, encryptsBefore: Int(clamping: count.before),
                        encrypts: Int(clamping: count.told))
                })
        }
        return totals
    }

    /// What peers are told: the keys under which this host has encrypted most.
    var told: [KeyEncryptions]? {
        let own = state.withLock { $0.own }
        return own.isEmpty ? nil : own
    }
}
