// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Gossip
import HSMPool
import KeyProof
import LaneProtocol
import Routing
import SecureMemory
import SigV4
import VirtualTime
import XKSProtocol
import XKSService

/// Several whole nodes, their HSMs, disks and links, in one virtual time and from one seed.
final class World: @unchecked Sendable {
    /// Labels that HSMs hold, and one that none does.
    static let labels = ["alpha", "beta"]
    static let absent = "absent"
    static let credential = Credential(
        unvalidated: "ABCDEFGHIJKLMNOPQRST", secret: SecretBytes(String(repeating: "s", count: 43).utf8))
    /// 2025-11-29, Unix seconds.
    private static let beginning: Int64 = 1_764_400_000

    let signer = SigV4Signer(credential: World.credential, region: "eu-central-1")
    let plan: Plan
    let mutant: Mutant
    private(set) var now: UInt64 = 0
    var random: RandomChoice
    private var queue = EventQueue<() -> Void>()
    private(set) var nodes: [SimulatedNode] = []
    private(set) var tokens: [SimulatedToken] = []
    private var workers: [SimulatedWorker] = []
    var links: Links
    let keyStore: KeyStore
    private let settings: ServiceSettings
    /// What has happened, for whoever replays a seed.
    private(set) var log: [String] = []
    var checks: Checks
    /// The disks as they were a little after the beginning: what is put back where a backup is.
    var early: [Int: DiskImage] = [:]
    /// By label, what encryptions gave.
    var ciphertexts: [String: [Ciphertext]] = [:]
    var asked = 0
    /// By label, the other key that the HSMs of one node hold.
    var foreign: [String: UInt64] = [:]
    /// By label and node: under which key it has encrypted last, and when.
    var lastEncryptions: [String: [Int: (value: UInt64, at: UInt64)]] = [:]
    /// By label, when another key came to lie under it somewhere.
    var swappedAt: [String: UInt64] = [:]
    var blockID: String?
    var blockAt: UInt64?
    /// The key that each label means.
    let values: [String: UInt64]

    let lanes = 3
    let probeInterval: UInt64 = 1_000_000_000
    let catalogueInterval: UInt64 = 5_000_000_000

    init(_ plan: Plan, mutant: Mutant = Mutant()) throws {
        self.plan = plan
        self.mutant = mutant
        var random = RandomChoice(seed: plan.seed)
        var values: [String: UInt64] = [:]
        let labels = Self.labels + plan.moreLabels
        for label in labels { values[label] = random.next() }
        self.values = values
        keyStore = try KeyStore(
            pathPrefix: SimulatedNode.prefix, keys: (labels + [Self.absent]).map { try KeyPattern($0) })
        settings = ServiceSettings(
            keyStores: [
                ServedKeyStore(
                    keyStore: keyStore, verifier: try SigV4Verifier(credentials: [Self.credential]), hsms: .all,
                    foreignForm: .specification)
            ], limits: .standard, deadline: SimulatedNode.deadline, version: "simulation")
        links = Links(nodes: plan.nodes, latency: plan.linkLatency)
        checks = Checks()
        self.random = random
        for token in plan.tokens.indices {
            let made = SimulatedToken(
                name: "hsm-\(token)", serial: "serial-\(token)", latency: plan.tokens[token], seed: self.random.next())
            for label in labels { made.add(KeyLabel(label), value: values[label] ?? 0) }
            tokens.append(made)
        }
        for node in 0..<plan.nodes {
            nodes.append(
                SimulatedNode(
                    world: self, index: node, site: "site-\(node % 2)",
                    tokens: plan.tokensOfNodes[node].map { tokens[$0] }))
        }
    }

    /// Unix seconds, as KMS has them.
    var wall: Int64 { Self.beginning + Int64(now / 1_000_000_000) }

    func at(_ time: UInt64, _ work: @escaping () -> Void) { queue.add(work, at: max(time, now)) }

    /// From the beginning on these tokens do not hold these keys.
    func remove(_ labels: [String], from tokens: [Int]) {
        for token in tokens { for label in labels { self.tokens[token].remove(KeyLabel(label)) } }
    }

    func keep(_ worker: SimulatedWorker) { workers.append(worker) }

    func note(_ text: @autoclosure () -> String) {
        guard plan.isVerbose else { return }
        log.append("\(Double(now / 1_000_000) / 1_000) s: \(text())")
    }

    /// Runs until the time that is given, nanoseconds.
    func run(until end: UInt64) {
        while let next = queue.next(until: end) {
            now = next.at
            next.event()
        }
        now = end
    }

    /// Lets go of everything: nodes and workers hold each other.
    func end() {
        for node in nodes { node.kill() }
        workers = []
        queue = EventQueue()
        nodes = []
    }

    func makeService(for node: SimulatedNode) -> XKSService? {
        try? XKSService(
            settings: settings, pool: node,
            neighbours: ServiceNeighbours(
                blocks: node, forwarder: node, fleet: NoFleet(), offers: node),
            observer: SilentObserver(),
            clocks: ServiceClocks(monotonic: { node.now }, wall: { node.wall }))
    }

    // MARK: Messages

    /// One node asks another and waits for its answer: `nil` where it does not come in time, or nobody is there.
    func call<Answer>(
        from node: SimulatedNode, to peer: SimulatedNode, timeout: UInt64,
        ask: @escaping (SimulatedNode, @escaping (Answer?) -> Void) -> Void,
        done: @escaping (SimulatedNode, Answer?) -> Void
    ) {
        let once = Once()
        node.schedule(at: now + timeout) { if once.take() { done($0, nil) } }
        guard links.isOpen(from: node.index, to: peer.index) else { return }
        let way = links.latency(from: node.index, to: peer.index) + random.below(200_000)
        at(now + way) { [self] in
            guard peer.isUp else {
                // The host refuses the connection.
                guard links.isOpen(from: peer.index, to: node.index) else { return }
                return node.schedule(at: now + way) { if once.take() { done($0, nil) } }
            }
            peer.schedule(at: now) { peer in
                ask(peer) { answer in
                    let world = peer.world
                    guard world.links.isOpen(from: peer.index, to: node.index) else { return }
                    node.schedule(at: world.now + way) { if once.take() { done($0, answer) } }
                }
            }
        }
    }
}

/// Of several ends of one thing the first counts.
private final class Once {
    private var isTaken = false
    func take() -> Bool {
        defer { isTaken = true }
        return !isTaken
    }
}

private struct SilentObserver: RequestObserver {
    func answered(_ trace: RequestTrace) {}
}

/// Nobody asks for GetHealthStatus here.
private struct NoFleet: FleetSource {
    func fleet(of names: Set<String>?) -> Fleet { Fleet(nodes: 1, hsms: []) }
}

/// The ways between nodes, each direction for itself.
struct Links {
    private let nodes: Int
    private let latency: UInt64
    private var cuts: [Int]
    /// When the way was last cut, nanoseconds.
    private(set) var openSince: [UInt64]

    init(nodes: Int, latency: UInt64) {
        self.nodes = nodes
        self.latency = latency
        cuts = Array(repeating: 0, count: nodes * nodes)
        openSince = Array(repeating: 0, count: nodes * nodes)
    }

    func isOpen(from: Int, to: Int) -> Bool { cuts[from * nodes + to] == 0 }

    func latency(from: Int, to: Int) -> UInt64 { latency }

    mutating func cut(from: Int, to: Int) { cuts[from * nodes + to] += 1 }

    mutating func mend(from: Int, to: Int, now: UInt64) {
        cuts[from * nodes + to] -= 1
        openSince[from * nodes + to] = now
    }

    /// Whether both directions have been open since that moment.
    func areOpen(between one: Int, _ other: Int, since moment: UInt64) -> Bool {
        [(one, other), (other, one)].allSatisfy { from, to in
            isOpen(from: from, to: to) && openSince[from * nodes + to] <= moment
        }
    }
}
