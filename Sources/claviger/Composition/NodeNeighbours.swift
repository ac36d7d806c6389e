// SPDX-License-Identifier: Apache-2.0
import AccessControl
import CPlatform
import Cluster
import Gossip
import HSMPool
import KeyProof
import LaneProtocol
import Logging
import NodeConfig
import NodeStore
import Routing
import Synchronization
import XKSProtocol
import XKSService

/// Between this node and the others: tells them of this one, takes in what they say, passes requests on in both
/// directions. Without `[cluster]` it is there all the same, and knows of nobody.
final class NodeNeighbours: Sendable {
    private struct State {
        var cluster: ClusterService?
        var service: XKSService?
        var configuration = ""
        /// By name: the life of the peer with which all keys were exchanged, and the version that was told in it.
        var exchanged: [String: (incarnation: UInt64, version: UInt64)] = [:]
        /// What the pool was last told of the cluster.
        var known = ProofCluster()
    }

    let node: NodeIdentitySettings
    private let incarnation: UInt64
    private let isForwarding: Bool
    /// There are addresses at which other nodes may be.
    private let isSeeking: Bool
    private let pool: HSMPool
    private let store: NodeStore
    private let book: BlockBook
    private let formats: ActivatedFormat
    private let logger: Logger
    private let isDraining = Atomic(false)
    private let state = Mutex(State())

    /// - Parameters:
    ///   - incarnation: of this start.
    ///   - isForwarding: whether this node passes requests on.
    ///   - isSeeking: whether the configuration or the store names other nodes of a cluster.
    init(
        pool: HSMPool, store: NodeStore, blocks: BlockBook, formats: ActivatedFormat, node: NodeIdentitySettings,
        incarnation: UInt64, isForwarding: Bool, isSeeking: Bool, logger: Logger
    ) {
        self.formats = formats

        self.incarnation = incarnation
        self.isForwarding = isForwarding
        self.isSeeking = isSeeking
        self.pool = pool
        self.store = store
        book = blocks
        self.node = node
        self.logger = logger
        // Before the first HSM has told its keys: what others may know better is not decided without them.
        tellPool()
    }

    // MARK: Joining the parts

    /// The service that answers what peers pass on.
    func serve(with service: XKSService) { state.withLock { $0.service = service } }

    /// The cluster has been joined.
    func joined(_ cluster: ClusterService) {
        state.withLock { $0.cluster = cluster }
        book.join(cluster)
        tellPool()
        pool.observe { [weak self] in self?.factsChanged() }
    }

    /// The configuration is another; peers compare it with theirs.
    func configured(_ settings: NodeSettings) {
        let digest = ConfigurationDigest.text(of: settings)
        state.withLock { $0.configuration = digest }
        factsChanged()
    }

    /// The node ends: peers shall pass nothing on to it any more.
    func drain() {
        isDraining.store(true, ordering: .relaxed)
        factsChanged()
    }

    /// Peers are told at once, not with the next round.
    func factsChanged() { cluster?.factsChanged() }

    var cluster: ClusterService? { state.withLock { $0.cluster } }

    /// Members of the cluster beside this node; empty where it stands alone.
    var members: [Member] { cluster?.members.filter { $0.identity.name != node.id } ?? [] }

    /// This node, as the others know it.
    var identity: NodeIdentity {
        cluster?.identity ?? NodeIdentity(name: node.id, address: "", site: node.site, incarnation: incarnation)
    }

    var isClustered: Bool { cluster != nil }

    /// Names that two nodes bear, with an address of one of them.
    var twins: [String: String] { cluster?.twins ?? [:] }

    /// Keeps the peers that orders wait for: also after a restart nobody is missed who may still serve.
    func remember() {
        guard let cluster else { return }
        let members = cluster.members
        store.record(
            peers: members.filter(\.isAwaited).map(StoredPeer.init),
            forgotten: members.compactMap(StoredNodeForget.init),
            changes: cluster.changes.map { StoredPeerChanges(name: $0.key, changes: Int(clamping: $0.value)) })
    }

    /// What the cluster listener has dropped, by reason.
    var dropped: [String: UInt64] {
        let counts = cluster?.statistics.dropped ?? [:]
        return Dictionary(uniqueKeysWithValues: counts.filter { $0.value > 0 }.map { ($0.key.rawValue, $0.value) })
    }

    /// Whether another node could serve some key for this one.
    var canForwardAny: Bool { isForwarding && cluster?.canForwardAny ?? false }
}

// MARK: - What peers ask and tell

extension NodeNeighbours: ClusterDelegate {
    func facts() -> NodeFacts {
        let (configuration, service) = state.withLock { ($0.configuration, $0.service) }
        let totals = pool.totals
        let canaries = pool.canariesDigest()
        settleDisagreements(by: canaries)
        tellPool()
        exchangeKeys()
        learnFormats()
        pool.know(detour: isForwarding ? cluster?.leastDetour : nil)
        return NodeFacts(
            isDraining: isDraining.load(ordering: .relaxed), version: Product.version, configuration: configuration,
            canaries: canaries, blocks: book.current().digest, blockChanges: store.blockChanges,
            inFlight: UInt32(clamping: service?.requestsInFlight ?? 0), encrypts: totals.encrypts,
            decrypts: totals.decrypts, hsms: pool.status().prefix(NodeFacts.mostHSMs).map(HSMFact.init),
            unserved: pool.unservedKeys(), reads: Self.reads, activatedFormat: formats.activatedFormat,
            room: pool.room)
    }

    /// What peers have activated is in use here, too.
    private func learnFormats() {
        let told = members.filter { $0.hasSpoken }.max { left, right in
            (left.facts?.activatedFormat ?? 1) < (right.facts?.activatedFormat ?? 1)
        }
        guard let told, let format = told.facts?.activatedFormat, format > formats.activatedFormat else { return }
        // Writes a file: not on the cluster's thread.
        Task { [formats] in formats.learn(format, from: told.identity.name) }
    }

    /// What this version reads. To be raised with each new form, which is told only to nodes that read it.
    private static let reads = FormatVersions(
        gossip: GossipMessage.currentVersion, blocks: BlockEnforcement.form, canaries: 1,
        ciphertext: Int(CiphertextMetadata.currentVersion))

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
            canaries: pool.toldCanaries().map { SharedCanary($0, node: node.id) },
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
        tellPool()
    }

    /// Tells the pool who is in the cluster, where that has changed: whom it knows decides what it may say of keys.
    private func tellPool() {
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

    /// Has keys exchanged with every peer that was not told yet what this node knows of them by now.
    private func exchangeKeys() {
        guard let cluster else { return }
        let version = pool.sharedVersion
        let told = state.withLock { $0.exchanged }
        for member in members where member.isLive && member.hasSpoken {
            let last = told[member.identity.name]
            guard last?.incarnation != member.identity.incarnation || last?.version != version else { continue }
            cluster.exchangeKeys(with: member)
        }
    }

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
            tellPool()
            remember()
        case .refuted(let incarnation, _):
            Task { [store, node] in
                _ = await store.setIncarnation(node: node.id, Int(clamping: incarnation))
            }
        case .twin, .blocksDiffer, .canariesDiffer, .configurationDiffers, .restored: break
        }
        ClusterNews.log(event, with: logger)
    }

    func noted(_ change: ClusterTLSChange) { ClusterNews.log(change, with: logger) }
}

// MARK: - Passing requests on

extension NodeNeighbours: RequestForwarder {
    func canForward(label: KeyLabel, needs: ForwardingNeeds) -> Bool {
        cluster?.canForward(label: label.text, needs: needs) ?? false
    }

    func forward(
        _ request: ProxyRequest, label: KeyLabel, needs: ForwardingNeeds, deadline: UInt64,
        completion: @escaping @Sendable (ForwardOutcome) -> Void
    ) {
        guard let cluster else { return completion(.failed("there is no cluster")) }
        cluster.forward(request, label: label.text, needs: needs, deadline: deadline) { result in
            switch result {
            case .answered(let response, let node): completion(.answered(response, by: node))
            case .failed(let reason): completion(.failed(reason))
            }
        }
    }
}

// MARK: - What is not offered here

extension NodeNeighbours: OfferSource {
    func wordOnUnoffered() -> UnofferedWord {
        guard let cluster else {
            return isSeeking ? .elsewhere(nodes: [], reason: "this node has just begun") : .nowhere
        }
        let agreement = cluster.agreement
        guard let doubt = agreement.doubt else { return .nowhere }
        return .elsewhere(nodes: Set(agreement.others), reason: doubt)
    }
}
