// SPDX-License-Identifier: Apache-2.0
import Chance
import Gossip
import SeededRandom

let millisecond: UInt64 = 1_000_000
let second: UInt64 = 1_000 * millisecond

/// What goes wrong.
enum ClusterFault: Equatable {
    case kill(Int)
    case powerOff(Int)
    case freeze(Int, for: UInt64)
    /// Frozen, and its clock stands still (or, once, jumps ahead).
    case suspend(Int, for: UInt64)
    case clockJump(Int, by: UInt64)
    case slow(Int, by: UInt64, for: UInt64)
    /// Up again after it was killed, with or without what it had stored.
    case restart(Int, remembers: Bool)
    case leave(Int)
    case partition(side: Set<Int>, for: UInt64)
    case oneWay(from: Int, to: Int, for: UInt64)
    /// A whole node loses all that comes in, or all that goes out.
    case deaf(Int, for: UInt64)
    case mute(Int, for: UInt64)
    case join
    case block(at: Int)
    case lift(at: Int)
}

/// Everything that a seed decides before the first event.
struct ClusterScenario {
    static let start: UInt64 = 1_000 * second

    var seed: UInt64
    var nodes: Int
    var sites = 1
    var loss = 0
    var stragglers = 50
    /// All know each other from the beginning.
    var isSettled = false
    var faults: [(at: UInt64, fault: ClusterFault)] = []
    /// When the last fault is over, counted from the start.
    var calmFrom: UInt64
    /// How long views have to agree after that.
    var recovery: UInt64 = 12 * second

    /// No faults but those that are added.
    init(seed: UInt64, nodes: Int, sites: Int = 1, loss: Int = 0, length: UInt64) {
        self.seed = seed
        self.nodes = nodes
        self.sites = sites
        self.loss = loss
        calmFrom = length
    }

    /// Everything that a seed can think of.
    init(seed: UInt64) {
        var dice = RandomChoice(seed: seed &* 0x2545_F491_4F6C_DD1D &+ 7)
        self.seed = seed
        nodes = [3, 3, 4, 5, 7, 10][dice.below(6)]
        sites = dice.chance(700) ? 1 : 2
        loss = [0, 0, 50, 200][dice.below(4)]
        let joined = 5 * second
        let length = dice.between(8, 20) * second
        calmFrom = joined + length
        for _ in 0..<(1 + dice.below(5)) {
            let at = joined + dice.next() % length
            let left = joined + length - at
            add(kind: dice.below(15), at: at, duration: min(left, dice.between(100, 8_000) * millisecond), &dice)
        }
        faults.sort { $0.at < $1.at }
    }

    private mutating func add(kind: Int, at: UInt64, duration: UInt64, _ dice: inout RandomChoice) {
        let node = dice.below(nodes)
        let other = (node + 1 + dice.below(nodes - 1)) % nodes
        switch kind {
        case 0, 1:
            faults.append((at, dice.chance(500) ? .kill(node) : .powerOff(node)))
            if dice.chance(700) { faults.append((at + duration, .restart(node, remembers: dice.chance(700)))) }
        case 2, 3: faults.append((at, .freeze(node, for: duration)))
        case 4: faults.append((at, .suspend(node, for: duration)))
        case 5: faults.append((at, .clockJump(node, by: dice.between(1, 3_600) * second)))
        case 6: faults.append((at, .slow(node, by: dice.between(50, 1_500) * millisecond, for: duration)))
        case 7, 8:
            let side = Set((0..<nodes).filter { _ in dice.chance(400) })
            faults.append((at, .partition(side: side, for: duration)))
        case 9: faults.append((at, .oneWay(from: node, to: other, for: duration)))
        case 10: faults.append((at, dice.chance(500) ? .deaf(node, for: duration) : .mute(node, for: duration)))
        case 11:
            faults.append((at, .leave(node)))
            if dice.chance(700) { faults.append((at + duration, .restart(node, remembers: dice.chance(700)))) }
        case 12: faults.append((at, .join))
        case 13: faults.append((at, .block(at: node)))
        default:
            faults.append((at, .block(at: node)))
            faults.append((at + duration, .lift(at: other)))
        }
    }
}
