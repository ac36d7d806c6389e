// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import Cluster
import ClusterCertificates
import ConnectionLimits
import Foundation
import Gossip
import Logging
import SecureMemory
import Synchronization
import Testing
import XKSProtocol

/// A node's other rooms, as a test wants them.
final class ScriptedNode: ClusterDelegate {
    struct State {
        var facts = NodeFacts(
            version: "1.0", configuration: "same", canaries: "", blocks: BlockList().digest,
            hsms: [
                HSMFact(
                    name: "hsm-1", serial: "0001", manufacturer: "m", model: "m", firmware: "1", state: .active,
                    isDrained: false)
            ])
        var blocks = BlockList()
        var disk = BlockPage.Disk.written
        var hits: [BlockTarget: BlockHits] = [:]
        /// Whoever waits for the disk waits for good.
        var isDiskStuck = false
        var now = Int64(Date().timeIntervalSince1970)
        /// Peers with which block lists were exchanged completely, and whether theirs was known.
        var exchangedBlocks: [String: Bool] = [:]
        var canaries: [SharedCanary] = []
        var offers: [String: [SharedCanary]] = [:]
        var forgets: [SharedForget] = []
        var forgetOffers: [String: [SharedForget]] = [:]
        /// The version that was sent in the last exchange of keys that came to its end.
        var exchanged: [String: UInt64] = [:]
        var events: [GossipEvent] = []
        var auditHeads: [SignedAuditHead] = []
        var auditOffers: [String: [SignedAuditHead]] = [:]
        var tlsChanges: [ClusterTLSChange] = []
        /// Given each request that a peer has passed on; nil never answers.
        var answer: @Sendable (ProxyRequest, String) -> ProxyResponse? = { _, _ in nil }
        /// Those among them that are more than the peer can do.
        var surplus = 0
    }

    let state = Mutex(State())

    func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }
    func get<Value: Sendable>(_ read: (State) -> Value) -> Value { state.withLock { read($0) } }

    func facts() -> NodeFacts { get(\.facts) }
    func blocks() -> BlockList { get(\.blocks) }
    func hits(of target: BlockTarget) -> BlockHits { get { $0.hits[target] ?? BlockHits(keyStores: 0, keys: 0) } }

    func merge(blocks news: BlockNews, from peer: String) -> BlockList {
        state.withLock { state in
            state.blocks.merge(news.entries, strayLifts: news.strayLifts, now: state.now)
            state.facts.blocks = state.blocks.digest
            return state.blocks
        }
    }

    func blocksOnDisk() async -> BlockPage.Disk {
        while get(\.isDiskStuck), !Task.isCancelled { try? await Task.sleep(for: .seconds(1)) }
        return get(\.disk)
    }

    func keys() -> SharedKeys { SharedKeys(canaries: get(\.canaries), forgets: get(\.forgets)) }
    func auditHeads() -> [SignedAuditHead] { get(\.auditHeads) }
    func offered(_ heads: [SignedAuditHead], by peer: String) { set { $0.auditOffers[peer, default: []] += heads } }
    func keysVersion() -> UInt64 { get { UInt64($0.canaries.count + $0.forgets.count) } }
    func offered(_ keys: SharedKeys, by peer: String) {
        set { state in
            state.offers[peer, default: []] += keys.canaries
            state.forgetOffers[peer, default: []] += keys.forgets
        }
    }
    func exchangeBegan(with peer: String) -> UInt64 { keysVersion() }
    func exchangeEnded(with peer: String, version: UInt64) { set { $0.exchanged[peer] = version } }

    func exchangedBlocks(with peer: String, isKnown: Bool) { set { $0.exchangedBlocks[peer] = isKnown } }

    func serve(
        _ forwarded: ForwardedRequest, by peer: String, deadline: UInt64,
        reply: @escaping @Sendable (ProxyResponse) -> Void
    ) {
        if forwarded.isSurplus { set { $0.surplus += 1 } }
        let answer = get(\.answer)
        if let response = answer(forwarded.request, peer) { reply(response) }
    }

    func noted(_ event: GossipEvent) { set { $0.events.append(event) } }
    func noted(_ change: ClusterTLSChange) { set { $0.tlsChanges.append(change) } }
}

/// A CA, a directory with certificates, and the nodes that run.
final class TestCluster {
    let directory: String
    let authority: ClusterAuthority
    private(set) var nodes: [String: (delegate: ScriptedNode, service: ClusterService)] = [:]

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("claviger-cluster-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        directory = url.path
        authority = try ClusterAuthority.create(in: directory + "/ca", now: Date())
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// The files that a node of this name would have.
    func files(_ name: String, from other: ClusterAuthority? = nil) throws -> ClusterTLSFiles {
        let pair = try (other ?? authority).issue(
            .init(node: name, hosts: ["127.0.0.1"]), into: directory, replacing: true, now: Date())
        return ClusterTLSFiles(
            ca: (other ?? authority).files.certificate, certificate: pair.certificate, key: pair.key)
    }

    @discardableResult
    func start(
        _ name: String, seeds: [String] = [], files: ClusterTLSFiles? = nil, incarnation: UInt64 = 1,
        remembered: [NodeIdentity] = [], maxForwardBytes: Int = 65_536, advertise: String = "127.0.0.1:0",
        isForwarding: Bool = true, refusals: RefusalCounter? = nil, connections: Int = 1_024
    ) async throws -> (delegate: ScriptedNode, service: ClusterService) {
        let delegate = ScriptedNode()
        let service = try await ClusterService.start(
            settings: ClusterSettings(
                node: name, site: "here", listenHost: "127.0.0.1", listenPort: 0, advertise: advertise,
                seeds: seeds, tls: try files ?? self.files(name), maxForwardBytes: maxForwardBytes,
                isForwarding: isForwarding, connections: connections),
            incarnation: incarnation, memory: ClusterMemory(peers: remembered), delegate: delegate,
            refusals: refusals, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        nodes[name] = (delegate, service)
        return (delegate, service)
    }

    func stop(_ name: String) async { await nodes.removeValue(forKey: name)?.service.stop() }

    func stop() async { for name in nodes.keys { await stop(name) } }
}

extension ClusterService {
    var address: String { "127.0.0.1:\(port)" }

    func liveness(of name: String) -> Liveness? { members.first { $0.identity.name == name }?.liveness }
}

/// Runs a test with a cluster that ends with it, whatever comes of it.
func withCluster(_ body: (TestCluster) async throws -> Void) async throws {
    let cluster = try TestCluster()
    do {
        try await body(cluster)
    } catch {
        await cluster.stop()
        throw error
    }
    await cluster.stop()
}

/// Waits for something to become so.
func eventually(
    _ what: String, within limit: Duration = .seconds(15), _ isSo: () throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try !isSo() {
        try #require(ContinuousClock.now < end, "not within \(limit): \(what)")
        try await Task.sleep(for: .milliseconds(5))
    }
}

func canary(_ label: String) -> SharedCanary {
    SharedCanary(
        label: label, iv: Array(repeating: 1, count: 12), ciphertext: Array(repeating: 2, count: 48),
        digest: Array(repeating: 3, count: 32), maker: "hsm-1", node: "a", madeAt: 1_700_000_000, isTrusted: false)
}
