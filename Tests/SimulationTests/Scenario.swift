// SPDX-License-Identifier: Apache-2.0
import Chance
import Routing
import SeededRandom

let millisecond: UInt64 = 1_000_000

/// What goes wrong with one HSM for a while. Rates are per mille of its answers.
enum FaultKind: Equatable {
    /// No call returns until it is over; then all do.
    case hang
    /// The worker dies, once.
    case crash
    /// All workers die in the same moment, once.
    case hostKills
    /// Every worker dies a moment after it has come up.
    case crashLoop
    case softErrors(rate: Int)
    case hardErrors(rate: Int)
    case busy(rate: Int)
    case sessionsLost(rate: Int)
    /// Decryptions of good ciphertext fail with a code that may mean a bad one.
    case sickDecryption(rate: Int)
    case slow(factor: Int)
    case keyLost(key: Int)
    case sessionLimit(Int)
    /// One lane's socket closes.
    case laneLost
    /// An operator takes it out of use.
    case drained
    /// Another process on the host takes sessions away.
    case allowance(Int)
}

struct Fault: Equatable {
    var kind: FaultKind
    var hsm: Int
    var from: UInt64
    var until: UInt64
}

/// What one HSM is like while nothing is wrong with it.
struct Character: Equatable {
    var latency: UInt64
    /// From the start of its worker until that is ready.
    var startTakes: UInt64
    var lanes: Int
    var depth: Int
    var openAtStart: Int
    var sessionLimit: Int
    var tier: Int
    var weight: Int
    var stuckAfter: UInt64
    var probeInterval: UInt64
    /// Its worker can distinguish a bad ciphertext from a sick HSM.
    var hasClearCode: Bool
}

/// Everything that a seed decides before the first event.
struct Scenario {
    static let keys = 2
    static let start: UInt64 = 1_000 * millisecond

    var seed: UInt64
    var characters: [Character]
    var faults: [Fault]
    /// Between two requests, on average.
    var gap: UInt64
    /// Requests with a bad ciphertext, per mille.
    var badShare: Int
    /// HSMs must prove their keys anew when their worker has been replaced.
    var provesAnew: Bool
    /// When requests stop and every fault is over.
    var calmFrom: UInt64

    init(seed: UInt64) {
        var dice = RandomChoice(seed: seed)
        self.seed = seed
        let count = dice.between(1, 8)
        characters = (0..<count).map { _ in Character(dice: &dice) }
        gap = UInt64(dice.between(1_500, 9_000)) * 1_000
        badShare = [0, 50, 500][dice.below(3)]
        provesAnew = dice.chance(500)
        let length = UInt64(dice.chance(20) ? dice.between(3_000, 6_000) : dice.between(200, 600)) * millisecond
        calmFrom = Self.start + length
        let end = calmFrom
        faults = (0..<dice.between(0, count + 2)).map { _ in
            Fault(dice: &dice, hsms: count, from: Self.start, until: end)
        }
    }
}

extension Character {
    init(dice: inout RandomChoice) {
        let lanes = dice.between(2, 6)
        self.init(
            latency: UInt64(dice.between(300, 4_000)) * 1_000,
            startTakes: UInt64(dice.chance(800) ? dice.between(10, 60) : dice.between(300, 1_000)) * millisecond,
            lanes: lanes,
            depth: [1, 1, 2, 4][dice.below(4)], openAtStart: dice.chance(700) ? lanes : dice.between(1, lanes),
            sessionLimit: dice.chance(800) ? lanes : dice.between(1, lanes),
            tier: dice.chance(700) ? 0 : 1, weight: [100, 100, 50, 300][dice.below(4)],
            stuckAfter: UInt64(dice.between(200, 2_000)) * millisecond,
            probeInterval: UInt64(dice.between(200, 5_000)) * millisecond, hasClearCode: dice.chance(500))
    }
}

extension Fault {
    init(dice: inout RandomChoice, hsms: Int, from: UInt64, until: UInt64) {
        let rate = [100, 333, 1_000][dice.below(3)]
        let kinds: [FaultKind] = [
            .hang, .hang, .crash, .crash, .hostKills, .hostKills, .crashLoop, .softErrors(rate: rate),
            .softErrors(rate: rate),
            .hardErrors(rate: rate), .busy(rate: rate), .sessionsLost(rate: rate), .sickDecryption(rate: rate),
            .slow(factor: 100), .slow(factor: 10), .keyLost(key: dice.below(Scenario.keys)),
            .sessionLimit(dice.between(1, 4)), .laneLost, .drained, .allowance(dice.between(1, 4)),
        ]
        let span = until - from
        let begin = from + dice.next() % span
        self.init(
            kind: kinds[dice.below(kinds.count)], hsm: dice.below(hsms), from: begin,
            until: begin + dice.next() % (until - begin))
    }
}
