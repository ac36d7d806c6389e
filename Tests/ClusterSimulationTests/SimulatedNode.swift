// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip

/// What a process is doing.
enum ProcessState {
    case up
    /// Stopped (SIGSTOP), or its machine is suspended: sockets take what comes, nobody reads it.
    case frozen
    /// Killed: the host refuses connections.
    case killed
    /// The host is gone: nothing answers.
    case gone
    /// Said goodbye, and ended.
    case left
}

struct SimulatedNode {
    let index: Int
    let name: String
    let site: String
    var state = ProcessState.up
    /// Grows with each start: what was sent in an earlier life is void.
    var life = 0
    var machine: GossipMachine
    /// The node's clock runs this much ahead of the simulation's.
    var clock: UInt64 = 0
    /// Added to each answer, nanoseconds: up to this.
    var slowness: UInt64 = 0
    /// When its last trouble ended.
    var wellSince: UInt64 = 0
    /// What it has stored. `nil`: nothing.
    var storedIncarnation: UInt64?
    /// Grows each time its store is lost.
    var stores = 0
    var blocks = BlockList()
    /// While it does not know its list.
    var join: BlockListJoin?
    /// What arrived while it was frozen.
    var inbox: [ClusterEvent] = []
    var tickNumber: UInt64 = 0
    var nextTick: UInt64 = .max
    /// Tickets of its requests that are under way.
    var open: Set<UInt64> = []

    var address: String { "10.0.\(index / 250).\(index % 250 + 1):9443" }
    var isUp: Bool { state == .up }
    var isWell: Bool { state == .up && slowness == 0 }

    init(index: Int, site: String, settings: GossipSettings, seed: UInt64, now: UInt64) {
        self.index = index
        self.site = site
        name = "node-\(index)"
        wellSince = now
        let identity = NodeIdentity(name: name, address: "", site: site, incarnation: 1)
        machine = GossipMachine(
            identity: identity, settings: settings, facts: Self.facts(index), seed: seed, now: now)
        start(incarnation: 1, remembered: [], settings: settings, seed: seed, now: now)
    }

    mutating func start(
        incarnation: UInt64, remembered: [NodeIdentity], settings: GossipSettings, seed: UInt64, now: UInt64
    ) {
        life += 1
        state = .up
        storedIncarnation = incarnation
        inbox = []
        open = []
        nextTick = .max
        clock = 0
        slowness = 0
        let identity = NodeIdentity(name: name, address: address, site: site, incarnation: incarnation)
        var facts = Self.facts(index)
        facts.blocks = blocks.digest
        machine = GossipMachine(
            identity: identity, settings: settings, facts: facts, remembered: remembered, seed: seed, now: now)
    }

    /// What a node with two HSMs says of itself.
    static func facts(_ index: Int) -> NodeFacts {
        let hsms = (0..<2).map {
            HSMFact(
                name: "hsm-\($0)", serial: "\(index)-\($0)-0123456789", manufacturer: "SoftHSM project",
                model: "SoftHSM v2", firmware: "2.6", state: .active, isDrained: false)
        }
        return NodeFacts(
            version: "0.3.0", configuration: String(repeating: "c", count: 32),
            canaries: String(repeating: "a", count: 32), blocks: BlockList().digest, hsms: hsms)
    }
}

/// What happens in a simulation. Nodes by their index.
enum ClusterEvent {
    case tick(node: Int, life: Int, number: UInt64)
    case request(Flight, GossipMessage)
    case answer(Flight, GossipMessage)
    case failure(Flight)
    case blocks(from: Int, to: Int, BlockList, isAnswer: Bool)
    case fault(Int)
    case faultEnds(Int)
    case watch
}

/// One request under way.
struct Flight {
    var client: Int
    var clientLife: Int
    var server: Int
    var ticket: UInt64
    var sentAt: UInt64
}
