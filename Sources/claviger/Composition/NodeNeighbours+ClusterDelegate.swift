// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import CPlatform
import Cluster
import Gossip
import HSMPool
import KeyProof
import LaneProtocol
import NodeStore
import Synchronization
import XKSProtocol
import XKSService

// What peers are sent of this node, and what they say.

extension NodeNeighbours: ClusterDelegate {
    func facts() -> NodeFacts {
        let (configuration, service) = state.withLock { ($0.configuration, $0.service) }
        let totals = pool.totals
        let canaries = pool.canariesDigest()
        settleDisagreements(by: canaries)
        informPool()
        exchangeKeys()
        learnFormats()
        pool.know(detour: isForwarding ? cluster?.leastDetour : nil)
        return NodeFacts(
            isDraining: isDraining.load(ordering: .relaxed), version: Product.version, configuration: configuration,
            canaries: canaries, blocks: book.current().digest, blockChanges: store.blockChanges,
            inFlight: UInt32(clamping: service?.requestsInFlight ?? 0), encrypts: totals.encrypts,
            decrypts: totals.decrypts, hsms: pool.status().prefix(NodeFacts.mostHSMs).map(HSMFact.init),
            unserved: unservedKeys, reads: Self.reads, activatedFormat: formats.activatedFormat,
            room: pool.room, refusedCertificates: cluster.flatMap { ConfigurationDigest.text(ofRefused: $0.refused) },
            conditions: toldConditions, certificateEnd: certificateEnd, credentials: credentials.told,
            keyUses: keyUses.told)
    }

    /// What peers have activated is in use here, too.
    private func learnFormats() {
        let reported = members.filter { $0.hasSpoken }.max { left, right in
            (left.facts?.activatedFormat ?? 1) < (right.facts?.activatedFormat ?? 1)
        }
        guard let reported, let format = reported.facts?.activatedFormat, format > formats.activatedFormat else {
            return
        }
        // Writes a file: not on the cluster's thread.
        Task { [formats] in formats.learn(format, from: reported.identity.name) }
    }

    /// What this version reads. To be raised with each new form, which is sent only to nodes that read it.
    private static let reads = FormatVersions(
        gossip: GossipMessage.currentVersion, blocks: BlockEnforcement.form, canaries: 1,
        ciphertext: Int(CiphertextMetadata.currentVersion), audit: 1)

    /// Peers that prove all keys as this node does by now.
    private func settleDisagreements(by canaries: String) {
        guard pool.hasDisagreements else { return }
        for member in members where member.facts?.canaries == canaries { pool.agreed(with: member.identity.name) }
    }

    func blocks() -> BlockList { book.current() }

    func hits(of target: BlockTarget) -> BlockHits { book.hits(of: target) }

    func merge(blocks news: BlockNews, from peer: String) -> BlockList { book.merge(news, from: peer) }

    func blocksOnDisk() async -> BlockPage.Disk { await book.onDisk() }

    func exchangedBlocks(with peer: String, isKnown: Bool) { book.exchanged(with: peer, isKnown: isKnown) }

    func keys() -> SharedKeys {
        SharedKeys(
            canaries: pool.announcedCanaries().map { SharedCanary($0, node: node.id) },
            forgets: pool.forgetOrders().map(SharedForget.init))
    }

    func keysVersion() -> UInt64 { pool.sharedVersion }

    func offered(_ keys: SharedKeys, by peer: String) {
        pool.offered(keys.canaries.map(Canary.init), forgets: keys.forgets.map(ForgetOrder.init), by: peer)
    }

    func exchangeBegan(with peer: String) -> UInt64 { pool.exchangeBegan(with: peer) }

    func exchangeEnded(with peer: String, version: UInt64) {
        pool.exchangeEnded(with: peer)
        guard let member = members.first(where: { $0.identity.name == peer }) else { return }
        state.withLock { $0.exchanged[peer] = (member.identity.incarnation, version) }
        informPool()
    }

    /// Informs the pool who is in the cluster, where that has changed: whom it knows decides what it may say of keys.
    func informPool() {
        let members = members
        let isSeeking = isSeeking
        let view = state.withLock { state -> ProofCluster? in
            let peers = members.filter(\.isAwaited)
            let view = ProofCluster(
                peers: peers.map { member in
                    let name = member.identity.name
                    let last = state.exchanged[name].flatMap {
                        $0.incarnation == member.identity.incarnation ? $0.version : nil
                    }
                    return ProofPeer(name: name, isLive: member.isLive && member.hasSpoken, exchanged: last)
                }.sorted { $0.name < $1.name }, isSought: isSeeking || !peers.isEmpty)
            guard view != state.known else { return nil }
            state.known = view
            return view
        }
        if let view { pool.know(view) }
    }

    /// Has keys exchanged with every peer that has not been sent yet what this node knows of them by now.
    private func exchangeKeys() {
        guard let cluster else { return }
        let version = pool.sharedVersion
        let reported = state.withLock { $0.exchanged }
        for member in members where member.isLive && member.hasSpoken {
            let last = reported[member.identity.name]
            guard last?.incarnation != member.identity.incarnation || last?.version != version else { continue }
            cluster.exchangeKeys(with: member)
        }
    }

    func auditHeads() -> [SignedAuditHead] { heads.own }

    func offered(_ new: [SignedAuditHead], by peer: String) { for head in new { heads.keep(head) } }

    func serve(
        _ forwarded: ForwardedRequest, by peer: String, deadline: UInt64,
        reply: @escaping @Sendable (ProxyResponse) -> Void
    ) {
        guard let service = state.withLock({ $0.service }) else {
            return reply(.failure(XKSError(.internalFailure, "the node has just begun")))
        }
        service.handle(
            forwarded.request, forwardedBy: peer, isSurplus: forwarded.isSurplus, deadline: deadline, reply: reply)
    }

    func noted(_ event: GossipEvent) {
        switch event {
        case .changed, .introduced, .counted:
            informPool()
            remember()
        case .refuted(let incarnation, _):
            Task { [store, node] in
                _ = await store.setIncarnation(node: node.id, Int(clamping: incarnation))
            }
        case .unreached, .twin, .blocksDiffer, .canariesDiffer, .configurationDiffers, .restored: break
        }
        guard case .refuted = event else { return ClusterNews.log(event, with: logger) }
        // Peers of an earlier version that cannot reach this node accuse it again and again.
        let times = state.withLock { $0.refutations.note(now: claviger_monotonic_nanoseconds()) }
        if let times { ClusterNews.log(event, times: times, with: logger) }
    }

    func noted(_ change: ClusterTLSChange) {
        if change == .replaced { state.withLock { $0.onNewCertificates }?() }
        ClusterNews.log(change, with: logger)
    }
}
