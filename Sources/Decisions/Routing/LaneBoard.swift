// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// The lanes of one HSM: what each is at, and the counts that follow from it.
///
/// A lane is at one call at a time. Where the HSM's depth is above 1, further work may have been sent down a busy lane;
/// it lies *behind* the call, in the socket, and has its turn when the call has returned.
struct LaneBoard: Sendable {
    private(set) var states: [LaneState] = []
    /// For each lane, what lies behind its call, in the order in which it was sent.
    private var behind: [[LaneWork]] = []
    /// Free lanes of each group, most recently used last: a warm lane is used again first.
    private var freeLanes: [[Int]]
    private(set) var freeCount = 0
    /// Lanes that have a session, or are about to.
    private(set) var open = 0
    /// Lanes that are at a call.
    private(set) var busy = 0
    /// Those of them whose call has outlasted its patience.
    private(set) var overdue = 0
    /// Work that lies behind calls, on all lanes.
    private(set) var queued = 0
    /// Lanes that open or close a session.
    private(set) var moving = 0
    /// Lanes whose socket the worker has closed.
    private(set) var closed = 0
    /// Nothing is given to any lane for the moment.
    private(set) var isHeld = false

    private let hsm: Int

    /// `groups` is how many groups the lanes are spread over.
    init(hsm: Int, groups: Int) {
        self.hsm = hsm
        freeLanes = Array(repeating: [], count: max(groups, 1))
    }

    private func group(of lane: Int) -> Int { LaneID(hsm: hsm, lane: lane).group(among: freeLanes.count) }

    /// Begins anew: `open` free lanes, then parked ones, `total` in all; but for those that are `closed` already.
    mutating func begin(open count: Int, of total: Int, closed gone: Set<Int> = []) {
        states = (0..<max(count, total)).map { gone.contains($0) ? .closed : $0 < count ? .free : .parked }
        behind = Array(repeating: [], count: states.count)
        let free = (0..<count).filter { !gone.contains($0) }
        (open, busy, overdue, queued, moving, freeCount) = (free.count, 0, 0, 0, 0, free.count)
        (closed, isHeld) = (states.count { $0 == .closed }, false)
        for group in freeLanes.indices { freeLanes[group] = free.filter { self.group(of: $0) == group } }
    }

    func state(of lane: Int) -> LaneState? { states.indices.contains(lane) ? states[lane] : nil }

    // MARK: Room on lanes

    /// True when a lane can be given work: a free one, or, with a depth above 1, one that has room behind its call.
    func hasRoom(depth: Int) -> Bool { freeCount > 0 || roomiest(group: nil, depth: depth) != nil }

    /// True when such a lane is of the group.
    func hasRoom(group: Int, depth: Int) -> Bool {
        hasFree(group: group) || roomiest(group: group, depth: depth) != nil
    }

    /// Takes a lane that can be given work: a free one before one that is at a call, one of the group before another.
    mutating func takeRoom(group: Int, depth: Int) -> Int? {
        takeFree(group: group) ?? roomiest(group: group, depth: depth) ?? roomiest(group: nil, depth: depth)
    }

    mutating func takeFree(group: Int) -> Int? {
        guard freeCount > 0 else { return nil }
        freeCount -= 1
        if freeLanes.indices.contains(group), let lane = freeLanes[group].popLast() { return lane }
        for other in freeLanes.indices {
            if let lane = freeLanes[other].popLast() { return lane }
        }
        return nil
    }

    /// Takes this lane, if it is free.
    mutating func takeFree(_ lane: Int) -> Bool {
        guard !isHeld, state(of: lane) == .free else { return false }
        forgetFree(lane)
        return true
    }

    /// The last work on a busy lane bears nothing behind it.
    private func isExclusive(_ lane: Int) -> Bool {
        if let last = behind[lane].last { return last.isExclusive }
        if case .busy(let call) = states[lane] { return call.isExclusive }
        return false
    }

    /// Room that was taken is not used after all.
    mutating func putBack(_ lane: Int) {
        // Behind a call nothing was changed by taking it.
        if case .free = states[lane] { becomeFree(lane) }
    }

    private func hasFree(group: Int) -> Bool { freeLanes.indices.contains(group) && !freeLanes[group].isEmpty }

    /// The lane with the least behind its call, and less than the depth allows. Not one whose call is overdue: nobody
    /// knows when that returns.
    private func roomiest(group: Int?, depth: Int) -> Int? {
        guard depth > 1, !isHeld, queued < busy * (depth - 1) else { return nil }
        var best: Int?
        var least = depth - 1
        for lane in states.indices where behind[lane].count < least {
            guard case .busy(let call) = states[lane], !call.isOverdue, !isExclusive(lane) else { continue }
            if let group, self.group(of: lane) != group { continue }
            (best, least) = (lane, behind[lane].count)
            if least == 0 { break }
        }
        return best
    }

    private mutating func becomeFree(_ lane: Int) {
        states[lane] = .free
        guard !isHeld else { return }
        freeCount += 1
        freeLanes[group(of: lane)].append(lane)
    }

    private mutating func forgetFree(_ lane: Int) {
        let group = group(of: lane)
        guard let position = freeLanes[group].firstIndex(of: lane) else { return }
        freeLanes[group].remove(at: position)
        freeCount -= 1
    }

    // MARK: Work

    /// Work is sent down a lane that was taken for it.
    mutating func give(_ work: LaneWork, to lane: Int) {
        if case .busy = states[lane] {
            behind[lane].append(work)
            queued += 1
        } else {
            states[lane] = .busy(work)
            busy += 1
        }
    }

    /// The work on a lane: the call at position 0, what lies behind it at 1, 2 …
    func work(on lane: Int, at position: Int) -> LaneWork? {
        guard case .busy(let call) = state(of: lane) else { return nil }
        if position == 0 { return call }
        return behind[lane].indices.contains(position - 1) ? behind[lane][position - 1] : nil
    }

    /// The first work on a lane that fits.
    func work(on lane: Int, where fits: (LaneWork) -> Bool) -> LaneWork? {
        position(on: lane, where: fits).flatMap { work(on: lane, at: $0) }
    }

    /// Where on a lane the work is that fits.
    func position(on lane: Int, where fits: (LaneWork) -> Bool) -> Int? {
        guard case .busy(let call) = state(of: lane) else { return nil }
        if fits(call) { return 0 }
        return behind[lane].firstIndex(where: fits).map { $0 + 1 }
    }

    /// Changes the work at a position where there is some.
    mutating func change(on lane: Int, at position: Int, _ body: (inout LaneWork) -> Void) {
        guard var work = work(on: lane, at: position) else { return }
        let wasOverdue = work.isOverdue
        body(&work)
        if position == 0 {
            states[lane] = .busy(work)
            overdue += (work.isOverdue ? 1 : 0) - (wasOverdue ? 1 : 0)
        } else {
            behind[lane][position - 1] = work
        }
    }

    /// The node stood still for this long: everything on lanes began so much later.
    mutating func stoodStill(for time: UInt64) {
        for lane in states.indices {
            switch states[lane] {
            case .busy(let call):
                states[lane] = .busy(call.delayed(by: time))
                for position in behind[lane].indices {
                    behind[lane][position] = behind[lane][position].delayed(by: time)
                }
            case .moving(let order, let generation, let since):
                states[lane] = .moving(order, generation: generation, since: since &+ time)
            case .closed, .parked, .free: continue
            }
        }
    }

    /// What was sent down a lane as `generation` is over. After a call, what lies behind it has its turn, and counts as
    /// called from now on; where there is nothing, the lane is free.
    mutating func end(_ generation: UInt64, on lane: Int, now: UInt64) -> LaneWork? {
        guard let position = position(on: lane, where: { $0.generation == generation }) else { return nil }
        guard position == 0, case .busy(let call) = states[lane] else {
            queued -= 1
            return behind[lane].remove(at: position - 1)
        }
        if call.isOverdue { overdue -= 1 }
        if behind[lane].isEmpty {
            busy -= 1
            becomeFree(lane)
        } else {
            queued -= 1
            states[lane] = .busy(behind[lane].removeFirst().called(at: now))
        }
        return call
    }

    /// Everything that is on lanes, with the lane.
    var works: [(lane: Int, work: LaneWork)] {
        states.indices.flatMap { lane in works(on: lane).map { (lane, $0) } }
    }

    private func works(on lane: Int) -> [LaneWork] {
        guard case .busy(let call) = states[lane] else { return [] }
        return [call] + behind[lane]
    }

    // MARK: Sessions

    /// The free lane with the highest number.
    var lastFree: Int? { freeLanes.compactMap { $0.max() }.max() }

    var firstParked: Int? { states.firstIndex(of: .parked) }

    /// A free lane begins to close its session, or a parked one to open one.
    mutating func move(_ lane: Int, _ order: LaneOperation, generation: UInt64, now: UInt64) {
        if order == .closeSession { forgetFree(lane) }
        open += order == .openSession ? 1 : -1
        moving += 1
        states[lane] = .moving(order, generation: generation, since: now)
    }

    /// It has a session, and is free.
    mutating func opened(_ lane: Int) {
        moving -= 1
        becomeFree(lane)
    }

    /// It has none, because it was asked to close it or could not open one.
    mutating func parked(_ lane: Int, after order: LaneOperation) {
        moving -= 1
        if order == .openSession { open -= 1 }
        states[lane] = .parked
    }

    /// Every lane is closed: the worker can do nothing any more.
    var areAllClosed: Bool { !states.isEmpty && closed == states.count }

    /// From now on no lane is given anything; what is on them goes on.
    mutating func hold() {
        isHeld = true
        freeCount = 0
        for group in freeLanes.indices { freeLanes[group] = [] }
    }

    mutating func endHold() {
        guard isHeld else { return }
        isHeld = false
        for lane in states.indices {
            if case .free = states[lane] { becomeFree(lane) }
        }
    }

    /// Its socket is closed. Returns the work that was on it.
    mutating func close(_ lane: Int) -> [LaneWork] {
        guard let state = state(of: lane) else { return [] }
        let lost = works(on: lane)
        switch state {
        case .closed, .parked: break
        case .free:
            forgetFree(lane)
            open -= 1
        case .busy(let call):
            busy -= 1
            open -= 1
            queued -= behind[lane].count
            if call.isOverdue { overdue -= 1 }
            behind[lane] = []
        case .moving(let order, _, _):
            moving -= 1
            if order == .openSession { open -= 1 }
        }
        if state != .closed { closed += 1 }
        states[lane] = .closed
        return lost
    }
}
