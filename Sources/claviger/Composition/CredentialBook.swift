// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import Glibc
import Gossip
import NodeConfig
import NodeStore
import Synchronization
import XKSService

/// Brings the ledger of access keys what this node's service and its peers say, and the store what has changed.
final class CredentialBook: Sendable {
    private struct State {
        var ledger: CredentialLedger
        /// Those of the configuration, in its order.
        var configured: [(keyStore: String, accessKeyID: String)] = []
        var uses: (@Sendable () -> [String: UInt64])?
        var peers: (@Sendable () -> [(name: String, uses: [AccessKeyUse])])?
    }

    private let store: NodeStore
    private let node: String
    private let state: Mutex<State>

    init(store: NodeStore, node: String) {
        self.store = store
        self.node = node
        state = Mutex(State(ledger: CredentialLedger(stored: store.accessKeys().map(CredentialLedger.Entry.init))))
    }

    /// From now on these tell when access keys were used, here (CLOCK_MONOTONIC, nanoseconds) and at live peers.
    func observe(
        uses: @escaping @Sendable () -> [String: UInt64],
        peers: @escaping @Sendable () -> [(name: String, uses: [AccessKeyUse])]
    ) {
        state.withLock { ($0.uses, $0.peers) = (uses, peers) }
    }

    /// From now on these are the key stores.
    func serve(_ keyStores: [KeyStoreSettings]) {
        let all = keyStores.flatMap { store in store.credentials.map { (store.pathPrefix, $0.accessKeyID) } }
        let changes = state.withLock { state in
            state.configured = all
            state.ledger.configured(all.map(\.1), now: Int64(time(nil)))
            return state.ledger.takeChanges()
        }
        keep(changes)
    }

    /// Takes in what is known by now.
    private func collect() {
        let (uses, peers) = state.withLock { ($0.uses, $0.peers) }
        let (own, others) = (uses?() ?? [:], peers?() ?? [])
        let now = Int64(time(nil))
        let changes = state.withLock { [node] state in
            for (id, moment) in own {
                state.ledger.used(id, at: UnixTime.seconds(ofMonotonic: moment), by: node, now: now)
            }
            for peer in others {
                for use in peer.uses { state.ledger.used(use.id, at: Int64(use.minute) * 60, by: peer.name, now: now) }
            }
            return state.ledger.takeChanges()
        }
        keep(changes)
    }

    /// What peers are told: the uses at this node.
    var told: [AccessKeyUse]? {
        let uses = (state.withLock { $0.uses }?() ?? [:]).sorted { $0.value > $1.value }
            .prefix(NodeFacts.mostCredentials)
        guard !uses.isEmpty else { return nil }
        return uses.map { id, moment in
            AccessKeyUse(id: id, minute: UInt32(clamping: UnixTime.seconds(ofMonotonic: moment) / 60))
        }.sorted { $0.id < $1.id }
    }

    /// The credentials of the configuration, in its order.
    func statuses() -> [CredentialStatus] {
        collect()
        return state.withLock { state in
            state.configured.map { keyStore, id in
                let entry = state.ledger.entry(of: id)
                return CredentialStatus(
                    keyStore: keyStore, accessKeyId: id, firstSeenUnixSeconds: entry?.firstSeen,
                    lastUsedUnixSeconds: entry?.lastUsed, lastUsedAt: entry?.usedAt)
            }
        }
    }

    /// Credentials that a configuration had, that another one lacks, and that were used lately at any node.
    func lost(from old: [KeyStoreSettings], to new: [KeyStoreSettings]) -> [LostCredential] {
        collect()
        let now = Int64(time(nil))
        let kept = Dictionary(new.map { ($0.pathPrefix, Set($0.credentials.map(\.accessKeyID))) }) { first, _ in first }
        let ledger = state.withLock { $0.ledger }
        return old.flatMap { store in
            let gone = store.credentials.map(\.accessKeyID).filter { kept[store.pathPrefix]?.contains($0) != true }
            return ledger.inUse(gone, now: now).map { entry in
                LostCredential(
                    keyStore: store.pathPrefix, accessKeyID: entry.accessKeyID,
                    minutesAgo: max(now - (entry.lastUsed ?? now), 0) / 60, node: entry.usedAt ?? node)
            }
        }
    }

    private func keep(_ changes: [CredentialLedger.Entry]) {
        if !changes.isEmpty { store.record(accessKeys: changes.map(StoredAccessKey.init)) }
    }
}

/// A credential that a reload would take away while it is in use.
struct LostCredential: Sendable, Equatable, CustomStringConvertible {
    var keyStore: String
    var accessKeyID: String
    var minutesAgo: Int64
    var node: String

    var description: String {
        let ago = minutesAgo == 0 ? "less than a minute ago" : "\(minutesAgo) min ago"
        return "\(accessKeyID) of \(ReloadReport.shown(keyStore)) (used \(ago) at \(node))"
    }
}

extension CredentialLedger.Entry {
    fileprivate init(_ stored: StoredAccessKey) {
        self.init(
            accessKeyID: stored.accessKeyID, firstSeen: stored.firstSeenUnixSeconds.map(Int64.init),
            lastUsed: stored.lastUsedUnixSeconds.map(Int64.init), usedAt: stored.lastUsedAt)
    }
}

extension StoredAccessKey {
    fileprivate init(_ entry: CredentialLedger.Entry) {
        self.init(
            accessKeyID: entry.accessKeyID, firstSeenUnixSeconds: entry.firstSeen.map { Int(clamping: $0) },
            lastUsedUnixSeconds: entry.lastUsed.map { Int(clamping: $0) }, lastUsedAt: entry.usedAt)
    }
}
