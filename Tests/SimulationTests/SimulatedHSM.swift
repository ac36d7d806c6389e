// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import Routing
import SeededRandom
import StatusVocabulary

/// A request on a lane.
struct SimulatedFrame: Equatable {
    var operation: OperationID
    var generation: UInt64
    var deadline: UInt64
    var work: SimulatedWork
    var question: LaneQuestion
    /// Since when it is the lane's call, as the node sees it.
    var since: UInt64
}

/// What a lane is doing as far as the node can know: a frame may go only to an idle one, or to a busy one with room.
enum MirroredLane: Equatable {
    case closed
    case parked
    case idle
    /// The call first, then what lies behind it.
    case busy([SimulatedFrame])
    case moving(LaneOperation, generation: UInt64, since: UInt64)

    /// Since when a frame is under way.
    var since: UInt64? {
        switch self {
        case .busy(let frames): frames.first?.since
        case .moving(_, _, let since): since
        case .closed, .parked, .idle: nil
        }
    }

    /// What is on it.
    var frames: [SimulatedFrame] { if case .busy(let frames) = self { frames } else { [] } }

    /// True when one more frame may be sent to it.
    func hasRoom(depth: Int) -> Bool {
        switch self {
        case .idle: true
        case .busy(let frames): frames.count < depth
        case .closed, .parked, .moving: false
        }
    }
}

/// One HSM, its worker, and what the node knows of both.
struct SimulatedHSM {
    enum Worker: Equatable {
        case none
        case starting
        case up
    }

    let character: Character
    var worker = Worker.none
    /// Counts the workers. What happens to an earlier one is of no interest.
    var life = 0
    var lanes: [MirroredLane] = []
    var faults: [FaultKind] = []
    var lastReceived: UInt64 = 0
    /// What a worker that died of itself was at.
    var lastCalls: [SimulatedFrame] = []
    /// What returns as soon as a hang is over.
    var stalled: [SimulationEvent] = []
    var provenKeys = Set(0..<Scenario.keys)

    // What the checkers go by.
    /// Failed softly in a row, probes included.
    var softInARow = 0
    /// Failed probes since the last one that passed.
    var failedProbes = 0
    /// Refusals of good ciphertext since it came up.
    var wrongRefusals = 0
    /// When something was wrong last, or its lanes were all taken.
    var lastTrouble: UInt64 = 0
    var isWell = false
    /// Starts in a row of which no worker came that served.
    var vainStarts = 0
    /// Whether this worker has served, and whether one ever has.
    var serves = false
    var hasServed = false
    var phase = HSMPhase.down
    var isDrained = false

    init(_ character: Character) { self.character = character }

    var hasIdleLane: Bool {
        for lane in lanes {
            if case .idle = lane { return true }
        }
        return false
    }

    var isHanging: Bool { faults.contains(.hang) }

    /// Its worker has died, or another process has killed it, and the next one will be up before `deadline`.
    func isReturning(before deadline: UInt64, now: UInt64) -> Bool {
        worker != .up && hasServed && vainStarts < 2 && faults.allSatisfy { $0 == .crash || $0 == .hostKills }
            && now + character.startTakes + 40 * millisecond < deadline
    }

    /// It cannot come up at all.
    var refusesToStart: Bool {
        faults.contains { if case .hardErrors = $0 { true } else { false } }
    }

    var sessionLimit: Int {
        faults.reduce(character.sessionLimit) {
            if case .sessionLimit(let limit) = $1 { min($0, limit) } else { $0 }
        }
    }

    /// Lanes with a session, or about to get or lose one.
    var sessions: Int { lanes.reduce(0) { $1 == .closed || $1 == .parked ? $0 : $0 + 1 } }

    /// How long the next call takes.
    func latency(_ dice: inout RandomChoice) -> UInt64 {
        let usual = character.latency / 2 + dice.next() % character.latency
        let tail = dice.chance(20) ? 3 * usual : usual
        return faults.reduce(tail) { if case .slow(let factor) = $1 { $0 * UInt64(factor) } else { $0 } }
    }

    /// What it answers to a request.
    func answer(to request: SimulatedWork, _ dice: inout RandomChoice) -> Disposition {
        for fault in faults {
            switch fault {
            case .keyLost(let key) where key == request.key: return .keyMissing
            case .hardErrors(let rate) where dice.chance(rate): return .hsmOut
            case .softErrors(let rate) where dice.chance(rate): return .hsmSuspect
            case .busy(let rate) where dice.chance(rate): return .tryElsewhere
            case .sessionsLost(let rate) where dice.chance(rate): return .sessionLost
            case .sickDecryption(let rate) where request.kind == .decrypt && dice.chance(rate):
                return .ambiguous
            default: continue
            }
        }
        guard request.isBad else { return .done }
        return character.hasClearCode ? .callersFault(.ciphertextIsInvalid) : .ambiguous
    }

    /// Whether a known-answer probe passes.
    func passesProbe(_ dice: inout RandomChoice) -> Bool {
        for fault in faults {
            switch fault {
            case .hardErrors(let rate), .softErrors(let rate), .sickDecryption(let rate):
                if dice.chance(rate) { return false }
            default: continue
            }
        }
        return true
    }
}

/// What an HSM is asked to do.
struct SimulatedWork: Equatable {
    var kind: LaneOperation
    var key: Int
    /// Its ciphertext is none.
    var isBad: Bool

    /// What a lane is given for it: a canary is good ciphertext, whatever the request's is.
    func asked(_ question: LaneQuestion) -> SimulatedWork {
        SimulatedWork(kind: kind, key: key, isBad: isBad && question != .canary)
    }
}

/// A request as the simulation knows it.
struct SimulatedRequest {
    var work: SimulatedWork
    var submittedAt: UInt64
    var deadline: UInt64
    /// Those that hold the key as far as the node knows.
    var holders: HSMSet
    /// Those that may turn out to.
    var hopeful: HSMSet = []
    /// The budget's refusals before it came.
    var refusalsBefore: UInt64
    /// Submitted again by a driver that should not.
    var resubmissions = 0

    // What was done for it.
    var attempts = 0
    /// Where it has frames under way.
    var flights: [Int] = []
    /// How often its ciphertext was refused, and how often a canary was opened because of it.
    var refusals = 0
    var openings = 0
    /// How often a canary was not opened because of it.
    var refusedCanaries = 0
    /// Another bad ciphertext was under way with it: few are looked into at a time.
    var isCrowded = false
    /// Those that said they lack the key.
    var missed: HSMSet = []
    /// Workers that ended while they were at its call.
    var workersLost = 0
    /// What it had on lanes that were lost.
    var framesLost = 0

    /// Attempts that came to nothing without a part of its own.
    var freeAttempts: Int { min(framesLost + refusedCanaries, 8) }
}
