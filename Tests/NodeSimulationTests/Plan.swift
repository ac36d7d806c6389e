// SPDX-License-Identifier: Apache-2.0
import Chance

/// Trouble of one kind.
enum FaultKind: String, CaseIterable {
    case hang, slow, serial, failing, lying, swapped, keysAway, tokenGone
    case workerKilled, workersKilled
    case nodePaused, nodeKilled, storeLost, storeRestored, storeLate, storeUnreadable, storeFull
    case linkOneWay, nodeCutOff, clockJumps, thief, overload
    /// The HSMs of one node hold another key under a label than those of all others, from the beginning on.
    case foreignNode
}

/// One trouble of a run.
struct Fault {
    var kind: FaultKind
    /// Node or token, taken modulo how many there are.
    var target: Int
    /// Nanoseconds from the beginning.
    var from: UInt64
    var until: UInt64
    /// How bad, 0 … 1.
    var degree: Double = 0.5
}

/// What a written plan does at a moment beside its faults.
struct Step {
    /// Nanoseconds from the beginning; 0: before any node starts.
    var at: UInt64
    var act: (World) -> Void
}

/// Everything that a run begins with, from its seed or written down.
struct Plan {
    static let second: UInt64 = 1_000_000_000

    var seed: UInt64
    var nodes: Int
    /// Time of a call of each HSM, nanoseconds.
    var tokens: [UInt64]
    /// Which of them each node has.
    var tokensOfNodes: [[Int]]
    var linkLatency: UInt64
    var faults: [Fault]
    /// When an operator blocks a key, nanoseconds; `nil`: never.
    var blockAt: UInt64?
    var requests = 200
    /// Labels that HSMs hold beside those that are asked for at random.
    var moreLabels: [String] = []
    /// Whether the node belongs to a cluster; only where it is alone can it do without.
    var isClustered = true
    var steps: [Step] = []
    var length: UInt64 = 60 * Plan.second
    var isVerbose = false

    init(
        seed: UInt64, nodes: Int = 3, tokens: [UInt64], tokensOfNodes: [[Int]], linkLatency: UInt64 = 5_000_000,
        faults: [Fault] = [], blockAt: UInt64? = nil
    ) {
        self.seed = seed
        self.nodes = nodes
        self.tokens = tokens
        self.tokensOfNodes = tokensOfNodes
        self.linkLatency = linkLatency
        self.faults = faults
        self.blockAt = blockAt
    }

    /// Nodes that have two HSMs each, or share all of them.
    static func plain(_ seed: UInt64, nodes: Int = 3, sharing: Bool = false, faults: [Fault] = []) -> Plan {
        let tokens = sharing ? 2 : 2 * nodes
        return Plan(
            seed: seed, nodes: nodes, tokens: Array(repeating: 500_000, count: tokens),
            tokensOfNodes: (0..<nodes).map { sharing ? [0, 1] : [2 * $0, 2 * $0 + 1] }, faults: faults)
    }

    /// Three to five nodes with HSMs of their own or shared ones, and five to eight troubles that begin after the nodes
    /// have come up and end in time for a quarter of the run to be quiet.
    static func random(_ seed: UInt64) -> Plan {
        var random = RandomChoice(seed: seed &* 0x9e37_79b9 ^ 0x5eed)
        let nodes = random.fraction() < 0.7 ? 3 : 3 + random.below(3)
        let isSharing = random.fraction() < 0.35
        var plan = Plan.plain(seed, nodes: nodes, sharing: isSharing)
        plan.tokens = plan.tokens.map { _ in 200_000 + random.below(3_000_000 as UInt64) }
        plan.linkLatency = 200_000 + random.below(random.fraction() < 0.3 ? 40_000_000 as UInt64 : 4_000_000)
        if !isSharing, random.fraction() < 0.1 {
            plan.faults.append(
                Fault(kind: .foreignNode, target: random.below(60), from: 0, until: 36 * second))
        }
        let kinds = FaultKind.allCases.filter { $0 != .foreignNode }
        for _ in 0..<5 + random.below(4) {
            let kind = kinds[random.below(kinds.count)]
            let from = 8 * second + random.below(22 * second)
            plan.faults.append(
                Fault(
                    kind: kind, target: random.below(60), from: from,
                    until: min(from + second / 2 + random.below(9 * second), 36 * second),
                    degree: random.fraction()))
        }
        if random.fraction() < 0.7 { plan.blockAt = 8 * second + random.below(30 * second) }
        return plan
    }
}
