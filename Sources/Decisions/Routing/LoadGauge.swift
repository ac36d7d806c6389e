// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// What is asked of the HSMs, and what they do, in whole seconds.
///
/// What other nodes pass on because they have more than they can do is counted apart: it is no part of what this node
/// must do, and that it is refused says nothing of those who ask here.
package struct LoadGauge: Sendable {
    /// What is asked and done a second while more is asked than the HSMs can do.
    package struct Overload: Sendable, Equatable {
        /// Calls of HSMs that were asked for, those included that were refused.
        package var asked: Int
        /// Calls that HSMs did.
        package var done: Int
    }

    private struct Count: Sendable {
        var asked = 0
        var done = 0
        var refused = 0
    }

    private static let second = SecondGauge.second
    /// A condition that comes and goes in seconds is one condition, nanoseconds.
    private static let memory: UInt64 = 10 * second
    /// For so long after a refusal nothing can be taken from others.
    private static let fullness: UInt64 = 2 * second

    private var current = Count()
    private var began: UInt64 = 0
    private var last: Overload?
    private var refusedAt: UInt64?
    private var surplus = SecondGauge()
    /// Operations that came and may be passed on, each once, by the HSMs that could do them: few sets.
    private var arrivals: [HSMSet: SecondGauge] = [:]
    private static let mostSets = 256

    mutating func asked(_ terms: OperationTerms, of holders: HSMSet, now: UInt64) {
        turn(now: now)
        if !terms.isSurplus { current.asked += 1 }
        guard terms.mayPassOn else { return }
        if arrivals.count > Self.mostSets { arrivals = [:] }
        arrivals[holders, default: SecondGauge()].count(now: now)
    }

    mutating func ended(_ outcome: OperationOutcome, of terms: OperationTerms, now: UInt64) {
        turn(now: now)
        switch outcome {
        case .done where terms.isSurplus: surplus.count(now: now)
        case .done: current.done += 1
        case .overloaded where !terms.isSurplus:
            if overload(now: now) == nil { last = nil }
            current.refused += 1
            refusedAt = now
        // It comes again, another node does it, or nobody wants it.
        case .crowded, .abandoned: current.asked = max(current.asked - 1, 0)
        case .unavailable where terms.mayPassOn: current.asked = max(current.asked - 1, 0)
        case .overloaded, .callersFault, .timedOut, .unavailable: break
        }
    }

    /// The figures of the last second in which something was refused for want of HSMs; `nil` ten seconds after it.
    package func overload(now: UInt64) -> Overload? {
        guard let refusedAt, now < refusedAt + Self.memory else { return nil }
        return last ?? Overload(asked: current.asked, done: current.done)
    }

    /// True while something that this node was asked for has just been refused for want of HSMs.
    func isFull(now: UInt64) -> Bool { refusedAt.map { now < $0 + Self.fullness } ?? false }

    /// Operations a second that came for these HSMs and may be passed on: of those that others could do, too, a part.
    func arrivals(for hsms: HSMSet, now: UInt64) -> Double {
        arrivals.reduce(0) { sum, entry in
            let common = entry.key.intersection(hsms)
            guard !common.isEmpty else { return sum }
            return sum + Double(entry.value.perSecond(now: now)) * Double(common.count) / Double(entry.key.count)
        }
    }

    /// Operations a second that were done for nodes that have more than they can do.
    func surplus(now: UInt64) -> Int { surplus.perSecond(now: now) }

    private mutating func turn(now: UInt64) {
        guard now >= began + Self.second else { return }
        if current.refused > 0, now < began + 2 * Self.second {
            last = Overload(asked: current.asked, done: current.done)
        }
        current = Count()
        began = now
    }
}

/// How many of something there were in the last whole second. Nanoseconds of the monotonic clock.
package struct SecondGauge: Sendable, Equatable {
    static let second: UInt64 = 1_000_000_000

    private var began: UInt64 = 0
    private var current = 0
    private var last = 0

    package init() {}

    package mutating func count(now: UInt64) {
        turn(now: now)
        current += 1
    }

    /// In the last second that is over; 0 when nothing was counted in it.
    package func perSecond(now: UInt64) -> Int {
        guard now >= began &+ Self.second else { return last }
        return now < began &+ 2 * Self.second ? current : 0
    }

    private mutating func turn(now: UInt64) {
        guard now >= began &+ Self.second else { return }
        last = now < began &+ 2 * Self.second ? current : 0
        current = 0
        // One second follows another without a gap while there is something to count.
        began = now < began &+ 2 * Self.second ? began &+ Self.second : now
    }
}
