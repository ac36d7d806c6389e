// SPDX-License-Identifier: Apache-2.0
import AccessControl
import CPlatform
import Cluster
import Gossip
import HSMPool
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
        var facts = NodeFacts()
    }

    let node: NodeIdentitySettings
    private let incarnation: UInt64
    private let isForwarding: Bool
    private let pool: HSMPool
    private let store: NodeStore
    private let book: BlockBook
    private let logger: Logger
    private let isDraining = Atomic(false)
    private let state = Mutex(State())

    /// - Parameters:
    ///   - incarnation: of this start.
    ///   - isForwarding: whether this node passes requests on.
    init(
        pool: HSMPool, store: NodeStore, blocks: BlockBook, node: NodeIdentitySettings, incarnation: UInt64,
        isForwarding: Bool, logger: Logger
    ) {
        self.incarnation = incarnation
        self.isForwarding = isForwarding
        self.pool = pool
        self.store = store
        book = blocks
        self.node = node
        self.logger = logger
    }

    // MARK: Joining the parts

    /// The service that answers what peers pass on.
    func serve(with service: XKSService) { state.withLock { $0.service = service } }

    /// The cluster has been joined.
    func joined(_ cluster: ClusterService) {
        state.withLock { $0.cluster = cluster }
        book.join(cluster)
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
        return NodeFacts(
            isDraining: isDraining.load(ordering: .relaxed), version: Product.version, configuration: configuration,
            canaries: canaries, blocks: book.current().digest,
            inFlight: UInt32(clamping: service?.requestsInFlight ?? 0), encrypts: totals.encrypts,
            decrypts: totals.decrypts, hsms: pool.status().prefix(NodeFacts.mostHSMs).map(HSMFact.init),
            unservedKeys: pool.unservedKeys(limit: NodeFacts.mostUnservedKeys).map(\.text))
    }

    /// Peers that prove all keys as this node does by now.
    private func settleDisagreements(by canaries: String) {
        guard pool.hasDisagreements else { return }
        for member in members where member.facts?.canaries == canaries { pool.agreed(with: member.identity.name) }
    }

    func blocks() -> BlockList { book.current() }

    func merge(blocks list: BlockList, from peer: String) async -> (merged: BlockList, durable: Bool) {
        await book.merge(list, from: peer)
    }

    func canaries() -> [SharedCanary] {
        pool.sharedCanaries().map { SharedCanary($0, node: node.id) }
    }

    func offered(_ canaries: [SharedCanary], by peer: String) {
        pool.offered(canaries.map(Canary.init), by: peer)
    }

    func serve(
        _ request: ProxyRequest, forwardedBy peer: String, deadline: UInt64,
        reply: @escaping @Sendable (ProxyResponse) -> Void
    ) {
        guard let service = state.withLock({ $0.service }) else {
            return reply(.failure(XKSError(.internalFailure, "the node has just begun")))
        }
        service.handle(request, forwardedBy: peer, deadline: deadline, reply: reply)
    }

    func noted(_ event: GossipEvent) {
        switch event {
        case .changed(let member, _, _):
            store.record(peers: members.filter { $0.liveness != .left }.map(StoredPeer.init))
            // Who is gone disagrees with nobody.
            if !member.isLive { pool.agreed(with: member.identity.name) }
        case .refuted(let incarnation, _):
            Task { [store, node] in
                _ = await store.setIncarnation(node: node.id, Int(clamping: incarnation))
            }
        case .twin, .blocksDiffer, .canariesDiffer, .configurationDiffers: break
        }
        ClusterNews.log(event, with: logger)
    }

    func noted(_ change: ClusterTLSChange) { ClusterNews.log(change, with: logger) }
}

// MARK: - Passing requests on

extension NodeNeighbours: RequestForwarder {
    func canForward(label: KeyLabel) -> Bool { cluster?.canForward(label: label.text) ?? false }

    func forward(
        _ request: ProxyRequest, label: KeyLabel, deadline: UInt64,
        completion: @escaping @Sendable (ForwardOutcome) -> Void
    ) {
        guard let cluster else { return completion(.failed("there is no cluster")) }
        cluster.forward(request, label: label.text, deadline: deadline) { result in
            switch result {
            case .answered(let response, let node): completion(.answered(response, by: node))
            case .failed(let reason): completion(.failed(reason))
            }
        }
    }
}

// MARK: - Translation

/// Who was in the cluster is where a restarted node begins to look for it.
extension StoredPeer {
    init(_ member: Member) {
        self.init(
            name: member.identity.name, address: member.identity.address, site: member.identity.site,
            incarnation: Int(clamping: member.identity.incarnation),
            lastSeenUnixSeconds: Int(clamping: UnixTime.seconds(ofMonotonic: member.lastHeard ?? member.since)))
    }

    var identity: NodeIdentity {
        NodeIdentity(name: name, address: address, site: site, incarnation: UInt64(clamping: incarnation))
    }
}

extension HSMFact {
    init(_ hsm: HSMStatus) {
        self.init(
            name: hsm.name, serial: hsm.identity?.serial ?? "", manufacturer: hsm.identity?.manufacturer ?? "",
            model: hsm.identity?.model ?? "", firmware: hsm.identity?.firmware ?? "", state: State(hsm.condition),
            isDrained: hsm.isDrained)
    }
}

extension HSMFact.State {
    init(_ condition: HSMCondition) {
        self =
            switch condition {
            case .active: .active
            case .degraded: .degraded
            case .starting: .starting
            case .probing: .probing
            case .unavailable: .unavailable
            }
    }
}

extension SharedCanary {
    init(_ canary: Canary, node: String) {
        self.init(
            label: canary.label.text, iv: canary.sealed.initializationVector, ciphertext: canary.sealed.ciphertext,
            digest: canary.digest, maker: canary.maker, node: node, madeAt: canary.madeAt,
            isTrusted: canary.isTrusted)
    }
}

extension Canary {
    init(_ shared: SharedCanary) {
        self.init(
            label: KeyLabel(shared.label),
            sealed: SealedCanary(initializationVector: shared.iv, ciphertext: shared.ciphertext),
            digest: shared.digest, maker: shared.maker, madeAt: shared.madeAt, isTrusted: shared.isTrusted)
    }
}
