// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import Cluster
import Conditions
import Gossip
import HSMPool
import KeyProof
import LaneProtocol
import Logging
import NodeConfig
import NodeStore
import StatusVocabulary
import Synchronization
import XKSService

/// Between this node and the others: informs them of this one, takes in what they say, passes requests on in both
/// directions. Without `[cluster]` it is there all the same, and knows of nobody.
final class NodeNeighbours: Sendable {
    struct State {
        var cluster: ClusterService?
        var service: XKSService?
        var configuration = ""
        var keyStores: [KeyStore] = []
        /// Labels that a key store names and that no HSM has ever listed as a key that can serve.
        var unlisted: [KeyLabel] = []
        /// By name: the life of the peer with which all keys were exchanged, and the version that was sent in it.
        var exchanged: [String: (incarnation: UInt64, version: UInt64)] = [:]
        var refutations = RefutationRhythm()
        /// What this node reports of itself to its peers.
        var conditions: [Condition] = []
        var certificateEnd: Int64?
        /// Called when the node's cluster certificate is another.
        var onNewCertificates: (@Sendable () -> Void)?
        /// What the pool was last given of the cluster.
        var known = ProofCluster()
    }

    let node: NodeIdentitySettings
    let incarnation: UInt64
    let isForwarding: Bool
    /// There are addresses at which other nodes may be.
    let isSeeking: Bool
    let pool: HSMPool
    let store: NodeStore
    let book: BlockBook
    let formats: ActivatedFormat
    let credentials: CredentialBook
    /// The heads of audit logs.
    let heads: AuditHeadBook
    let keyUses: KeyUseBook
    let logger: Logger
    let isDraining = Atomic(false)
    let state = Mutex(State())

    /// - Parameters:
    ///   - incarnation: of this start.
    ///   - isForwarding: whether this node passes requests on.
    ///   - isSeeking: whether the configuration or the store names other nodes of a cluster.
    init(
        pool: HSMPool, store: NodeStore, blocks: BlockBook, formats: ActivatedFormat,
        credentials: CredentialBook, keyUses: KeyUseBook, node: NodeIdentitySettings, incarnation: UInt64,
        isForwarding: Bool,
        isSeeking: Bool, logger: Logger
    ) {
        self.formats = formats
        self.credentials = credentials
        self.keyUses = keyUses
        self.incarnation = incarnation
        self.isForwarding = isForwarding
        self.isSeeking = isSeeking
        self.pool = pool
        self.store = store
        heads = AuditHeadBook(node: node.id, store: store)
        book = blocks
        self.node = node
        self.logger = logger
        // Before the first HSM has listed its keys: what others may know better is not decided without them.
        informPool()
    }

    // MARK: Joining the components

    /// The service that answers what peers pass on.
    func serve(with service: XKSService) { state.withLock { $0.service = service } }

    /// The cluster has been joined.
    func joined(_ cluster: ClusterService) {
        state.withLock { $0.cluster = cluster }
        book.join(cluster)
        informPool()
        pool.observe { [weak self] in self?.factsChanged() }
    }

    /// The configuration is another; peers compare it with theirs.
    func configured(_ plan: NodePlan) {
        let digest = ConfigurationDigest.text(of: plan.settings, policies: plan.policies)
        state.withLock { state in
            state.configuration = digest
            state.keyStores = plan.keyStores.map(\.keyStore)
        }
        factsChanged()
    }

    /// From now on this is called when the node's cluster certificate is another; on any thread.
    func onNewCertificates(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.onNewCertificates = body } }

    /// This node's own audit log ends there, and has it on its disk.
    func audited(_ head: SignedAuditHead) {
        heads.keep(head)
        cluster?.auditHeadsChanged()
    }

    /// The node ends: peers shall pass nothing on to it any more.
    func drain() {
        isDraining.store(true, ordering: .relaxed)
        factsChanged()
    }

    /// This is what a person should know of this node: peers are sent what does not follow from the rest.
    func tell(_ conditions: [Condition], certificateEnd: Int64?) {
        let told = conditions.filter { $0.known?.origin == .reported }
        let isNews = state.withLock { state in
            defer { (state.conditions, state.certificateEnd) = (told, certificateEnd) }
            return state.conditions != told || state.certificateEnd != certificateEnd
        }
        if isNews { factsChanged() }
    }

    /// These are the labels that a key store names and that no HSM has ever listed as a key that can serve.
    func know(unlisted: [KeyLabel]) {
        let isNews = state.withLock { state in
            defer { state.unlisted = unlisted }
            return state.unlisted != unlisted
        }
        if isNews { factsChanged() }
    }

    /// Labels of keys that key stores offer and that no HSM serves at the moment, in order. The pool knows of keys besides
    /// that other nodes offer, or that this one has offered before.
    var unservedKeys: [KeyLabel] {
        let (keyStores, unlisted) = state.withLock { ($0.keyStores, $0.unlisted) }
        let known = pool.unservedKeys().filter { label in keyStores.contains { $0.offers(label: label.text) } }
        return unlisted.isEmpty ? known : Set(known).union(unlisted).sorted()
    }

    var certificateEnd: Int64? { state.withLock { $0.certificateEnd } }
    var toldConditions: [Condition] { state.withLock { $0.conditions } }

    /// Peers are informed at once, not with the next round.
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

    /// By name, the serial numbers of the certificates that peers show at the moment.
    var serials: [String: [String]] {
        cluster?.serials.mapValues { $0.sorted().map(\.description) } ?? [:]
    }

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
}
