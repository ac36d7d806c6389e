// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

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
    /// At a call. Where the HSM's lanes have a depth above 1, more may wait behind it. → `free`, `busy`, `closed`
    case busy(LaneWork)
}

/// Work that was sent down a lane.
struct LaneWork: Sendable, Equatable {
    /// Who waits for it; `nil` once nobody does.
    var operation: OperationID?
    var generation: UInt64
    var sentAt: UInt64
    /// When its call began as far as the node knows: it was sent, or the answer before it came in.
    var calledAt: UInt64
    /// How long its call may last before the HSM counts as silent.
    var patience: UInt64
    /// When the HSM counts as silent, and another one is asked.
    var patienceEnds: UInt64
    /// When another HSM is asked beside it; `.max` when that has been done or decided against.
    var hedgeAt: UInt64
    /// When another HSM is asked that the budget did not allow; `.max` when none is to be.
    var asksAgainAt = UInt64.max
    /// At how many calls the HSM was with it.
    var inFlight = 1
    var isHedge: Bool
    var isLastResort: Bool
    var question = LaneQuestion.request
    /// Nothing may be sent behind it: what its lane is asked next must follow directly.
    var isExclusive = false
    /// The HSM was slow when it was last asked, and this is to show whether it still is: another one is asked besides long
    /// before its own usual time is over, where another is much faster.
    var isTry = false
    /// Its patience has ended.
    var isOverdue = false

    /// The same, with its turn come: the time that it waited behind another call is not held against the HSM.
    func called(at now: UInt64) -> LaneWork {
        var work = self
        work.calledAt = now
        work.patienceEnds = now &+ patience
        work.isOverdue = false
        return work
    }

    /// The same, as if it had been sent so much later. What is not to happen stays so.
    func delayed(by time: UInt64) -> LaneWork {
        var work = self
        work.sentAt = sentAt &+ time
        work.calledAt = calledAt &+ time
        if patienceEnds < .max { work.patienceEnds = patienceEnds &+ time }
        if hedgeAt < .max { work.hedgeAt = hedgeAt &+ time }
        if asksAgainAt < .max { work.asksAgainAt = asksAgainAt &+ time }
        return work
    }
}
