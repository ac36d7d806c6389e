// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// Where an HSM stands.
package enum HSMPhase: Sendable, Equatable {
    /// No worker, and none is about to come: waiting for a person, or for the end of a long pause. → `starting`
    case down
    /// A worker is being started, or will be in a moment. → `probing`, `down`
    case starting
    /// A worker is ready, and must show by a probe that the HSM works. Gets requests only when no other HSM can serve,
    /// one at a time. → `serving`, `starting`, `down`
    case probing
    /// Gets requests. → `probing` (soft failures in a row), `starting` (hard failure), `down`
    case serving
}

/// What a lane is doing.
enum LaneState: Sendable, Equatable {
    /// Its socket is closed. Never used again while this worker lives.
    case closed
    /// Has no session. → `moving`, `closed`
    case parked
    /// Opens or closes its session. → `free`, `parked`, `closed`
    case moving(LaneOperation, generation: UInt64, since: UInt64)
    /// → `busy`, `moving`, `closed`
    case free
    /// A frame was sent. → `free`, `closed`
    case busy(LaneWork)
}

/// The work a busy lane is at.
struct LaneWork: Sendable, Equatable {
    /// Who waits for it; `nil` once nobody does.
    var operation: OperationID?
    var generation: UInt64
    var sentAt: UInt64
    /// When the HSM counts as silent, and another one is asked.
    var patienceEnds: UInt64
    /// When another HSM is asked beside it; `.max` when that has been done or decided against.
    var hedgeAt: UInt64
    var isHedge: Bool
    var isLastResort: Bool
    /// Its patience has ended.
    var isOverdue = false
}

/// An operation that is not finished.
struct OperationRecord: Sendable {
    let kind: LaneOperation
    /// The HSMs that hold the key.
    var holders: HSMSet
    /// Those that may turn out to hold it in a moment.
    var hopeful: HSMSet
    let deadline: UInt64
    /// The group whose lanes are preferred.
    let group: Int
    /// Asked already: asked again only when no other is left.
    var asked: HSMSet = []
    /// Gave an ambiguous answer: not asked again.
    var doubters: HSMSet = []
    /// Said that they no longer have the key: not asked again.
    var missing: HSMSet = []
    var attempts = 0
    /// The lanes that are at it: none, one, or a few at once.
    var flights = Flights()
    /// Stands in the line.
    var isWaiting = false
    var lastFailure: (hsm: Int, text: String)?

    init(kind: LaneOperation, holders: HSMSet, hopeful: HSMSet, deadline: UInt64, group: Int) {
        self.kind = kind
        self.holders = holders
        self.hopeful = hopeful
        self.deadline = deadline
        self.group = group
    }

    /// The HSMs that may still be asked.
    var willing: HSMSet { holders.subtracting(doubters).subtracting(missing) }
}

/// The lanes that an operation is on. Nearly always one: so that one costs no allocation.
struct Flights: Sendable {
    private var first: LaneID?
    private var others: [LaneID] = []

    var isEmpty: Bool { first == nil && others.isEmpty }
    var count: Int { (first == nil ? 0 : 1) + others.count }

    mutating func add(_ lane: LaneID) {
        if first == nil { first = lane } else { others.append(lane) }
    }

    mutating func remove(_ lane: LaneID) {
        if first == lane { first = nil } else { others.removeAll { $0 == lane } }
    }

    func forEach(_ body: (LaneID) -> Void) {
        if let first { body(first) }
        for lane in others { body(lane) }
    }

    /// The HSMs that these lanes belong to.
    var hsms: HSMSet {
        var result: HSMSet = []
        forEach { result.insert($0.hsm) }
        return result
    }
}

/// Whether a place belongs to an HSM.
enum Membership: Sendable {
    case member
    /// It is on its way out: gets nothing new, and finishes what it has. → `vacant`
    case retired
    /// Nobody's. → `member`
    case vacant
}

/// One HSM: its phase, its lanes, and what its answers have shown.
struct HSMRecord: Sendable {
    var traits: HSMTraits
    var membership = Membership.member
    var phase: HSMPhase = .down
    var isDrained = false
    var lanes: [LaneState] = []
    /// Lanes that have a session, or are about to.
    var open = 0
    /// How many lanes may have a session.
    var allowed = Int.max
    /// No session is asked for before this.
    var openAgainAt: UInt64 = 0
    /// Lanes with a frame under way that bears work.
    var busy = 0
    /// Those of them whose patience has ended.
    var overdue = 0
    /// Lanes that open or close a session.
    var moving = 0
    /// Requests under way that it got although it was out.
    var lastResorts = 0
    var latency = LatencyTracker()
    /// Soft failures since the last success.
    var softFailures = 0
    /// Failed probes since the last one that passed.
    var failedProbes = 0
    /// Share of its answers that failed softly, lately: 0 … 1.
    var failureShare = 0.0
    var failureShareAt: UInt64 = 0
    /// When it came back, for the slow start; `nil` when it was never out.
    var backSince: UInt64?
    var hasBeenOut = false
    /// When to ask for the next probe while it is out, and the pause after that.
    var nextProbeAt: UInt64 = .max
    var probePause: UInt64 = 0
    /// Free lanes of each group, most recently used last: a warm lane is used again first.
    private var freeLanes: [[Int]]
    private(set) var freeCount = 0

    init(traits: HSMTraits, groups: Int) {
        self.traits = traits
        freeLanes = Array(repeating: [], count: max(groups, 1))
    }

    var isMember: Bool { membership == .member }

    /// True when it may be given requests, as far as people have a say.
    var isOpen: Bool { isMember && !isDrained }

    /// Begins anew: `open` free lanes, then parked ones, `total` in all.
    mutating func begin(open count: Int, of total: Int) {
        lanes = Array(repeating: .free, count: count) + Array(repeating: .parked, count: max(total - count, 0))
        (open, busy, overdue, moving, lastResorts, freeCount) = (count, 0, 0, 0, 0, count)
        for group in freeLanes.indices {
            freeLanes[group] = Array(stride(from: group, to: count, by: freeLanes.count))
        }
    }

    mutating func takeFreeLane(group: Int) -> Int? {
        guard freeCount > 0 else { return nil }
        freeCount -= 1
        if freeLanes.indices.contains(group), let lane = freeLanes[group].popLast() { return lane }
        for other in freeLanes.indices {
            if let lane = freeLanes[other].popLast() { return lane }
        }
        return nil
    }

    func hasFreeLane(group: Int) -> Bool { freeLanes.indices.contains(group) && !freeLanes[group].isEmpty }

    mutating func giveBack(_ lane: Int) {
        lanes[lane] = .free
        freeCount += 1
        freeLanes[lane % freeLanes.count].append(lane)
    }

    mutating func forgetFree(_ lane: Int) {
        let group = lane % freeLanes.count
        guard let place = freeLanes[group].firstIndex(of: lane) else { return }
        freeLanes[group].remove(at: place)
        freeCount -= 1
    }

    /// The free lane with the highest number.
    var lastFreeLane: Int? { freeLanes.compactMap { $0.max() }.max() }

    // MARK: Evidence

    /// Takes in whether an answer was a soft failure. The share forgets with a time constant of five seconds, and an
    /// answer weighs a sixteenth.
    mutating func noteAnswer(failed: Bool, now: UInt64) {
        failureShare = failureShare(now: now) * (15.0 / 16) + (failed ? 1.0 / 16 : 0)
        failureShareAt = now
    }

    func failureShare(now: UInt64) -> Double {
        guard failureShare > 0.001, now > failureShareAt else { return failureShare }
        return failureShare * 5e9 / (5e9 + Double(now - failureShareAt))
    }

    /// What the next request would cost here: expected time × (in flight + 1), dearer while it fails and while it is
    /// only just back, cheaper by its weight.
    func cost(now: UInt64, limits: PoolLimits) -> Double {
        let expected = max(latency.expected(now: now), 50_000)
        var ramp = 1.0
        if let backSince, now >= backSince, now - backSince < limits.slowStart {
            ramp = max(Double(now - backSince) / Double(limits.slowStart), 0.1)
        }
        return expected * Double(busy + 1) * (1 + 20 * failureShare(now: now)) / (Double(traits.weight) * ramp)
    }
}
