// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// Where an HSM stands in the life of its worker.
package enum HSMPhase: Sendable, Equatable {
    /// No worker, and none is about to come: waiting for a person, or for the end of a long pause. → `starting`
    case down
    /// A worker is being started, or will be in a moment. → `serving`, `down`
    case starting
    /// A worker is ready; its lanes can be used. → `starting`, `down`
    case serving
}

/// What a lane is doing.
enum LaneState: Sendable {
    /// Has no session. Never used again while this worker lives.
    case closed
    /// → `busy`, `closed`
    case free
    /// A frame was sent, and somebody waits for the answer. → `free`, `overdue`, `closed`
    case busy(LaneWork)
    /// A frame was sent, and nobody waits for the answer any more. → `free`, `closed`
    case overdue(generation: UInt64, since: UInt64)
}

/// The work a busy lane is at.
struct LaneWork: Sendable {
    var operation: OperationID
    var generation: UInt64
    var sentAt: UInt64
    /// When another HSM is tried, if one is free.
    var patienceEnds: UInt64
}

/// An operation that is not finished.
struct OperationRecord: Sendable {
    let kind: LaneOperation
    /// The HSMs that hold the key.
    var holders: HSMSet
    var deadline: UInt64
    /// The group whose lanes are preferred.
    var group: Int
    /// Asked already, in vain: asked again only when no other is left.
    var avoid: HSMSet = []
    /// Gave an ambiguous answer: not asked again.
    var doubters: HSMSet = []
    /// Said that they no longer have the key: not asked again.
    var missing: HSMSet = []
    var attempts = 0
    /// Where it is, if it is on a lane.
    var lane: LaneID?
    /// Stands in the line.
    var isWaiting = false
    var lastFailure: (hsm: Int, text: String)?

    init(kind: LaneOperation, holders: HSMSet, deadline: UInt64, group: Int) {
        self.kind = kind
        self.holders = holders
        self.deadline = deadline
        self.group = group
    }

    /// The HSMs that may still be asked.
    var willing: HSMSet { holders.subtracting(doubters).subtracting(missing) }
}

/// One HSM: its phase and its lanes.
struct HSMRecord: Sendable {
    /// How long a lane may be overdue before the worker is killed, nanoseconds.
    let stuckAfter: UInt64
    var phase: HSMPhase = .down
    var lanes: [LaneState] = []
    /// Lanes that have a session.
    var open = 0
    /// Lanes with a frame under way; overdue ones are among them.
    var busy = 0
    var overdue = 0
    /// Soft failures since the last success.
    var softFailures = 0
    /// Free lanes of each group, most recently used last: a warm lane is used again first.
    private var freeLanes: [[Int]]

    init(stuckAfter: UInt64, groups: Int) {
        self.stuckAfter = stuckAfter
        freeLanes = Array(repeating: [], count: groups)
    }

    var hasFreeLane: Bool { open > busy }

    func isSuspect(_ limits: PoolLimits) -> Bool { overdue > 0 || softFailures >= limits.softFailures }

    /// Begins anew with `count` free lanes.
    mutating func open(_ count: Int) {
        lanes = Array(repeating: .free, count: count)
        (open, busy, overdue) = (count, 0, 0)
        for group in freeLanes.indices {
            freeLanes[group] = Array(stride(from: group, to: count, by: freeLanes.count))
        }
    }

    mutating func takeFreeLane(group: Int) -> Int? {
        if freeLanes.indices.contains(group), let lane = freeLanes[group].popLast() { return lane }
        for other in freeLanes.indices {
            if let lane = freeLanes[other].popLast() { return lane }
        }
        return nil
    }

    mutating func giveBack(_ lane: Int) {
        lanes[lane] = .free
        freeLanes[lane % freeLanes.count].append(lane)
    }

    mutating func forgetFree(_ lane: Int) { freeLanes[lane % freeLanes.count].removeAll { $0 == lane } }
}

/// Operations that wait for a free lane, first come first served.
struct WaitingLine: Sendable {
    private(set) var ids: [OperationID] = []

    var isEmpty: Bool { ids.isEmpty }
    var count: Int { ids.count }

    mutating func add(_ id: OperationID, atFront: Bool) {
        if atFront { ids.insert(id, at: 0) } else { ids.append(id) }
    }

    func first(where matches: (OperationID) -> Bool) -> OperationID? { ids.first(where: matches) }

    mutating func remove(_ id: OperationID) {
        if let index = ids.firstIndex(of: id) { ids.remove(at: index) }
    }
}
