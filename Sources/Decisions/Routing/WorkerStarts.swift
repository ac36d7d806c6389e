// SPDX-License-Identifier: Apache-2.0

/// The starts of one HSM's worker: when the next one is, how long it may take, and whether requests wait for it. Times
/// are nanoseconds of any monotonic clock.
///
/// The first restart is immediate: most ends are a crash or a kill, and a fresh process serves again in milliseconds.
/// After that the pause doubles up to three seconds, so that an HSM that works again is back within the promised five.
/// A worker that served for a while earns an immediate restart anew.
///
/// While requests wait for a key that nothing serves, the pause is cut short (`demand`). That is bounded, so that a
/// library that crashes at each start does not keep a processor, and its HSM, busy with starts.
package struct WorkerStarts: Sendable, Equatable {
    /// Longest pause.
    package static let longestPause: UInt64 = 3_000_000_000
    /// First pause after the immediate restart.
    package static let shortestPause: UInt64 = 100_000_000
    /// A worker that was up for this long is healthy again.
    package static let forgiveAfter: UInt64 = 10_000_000_000
    /// So many starts on demand may follow one another at once.
    package static let demandBurst = 4.0
    /// Starts on demand a second, in the long run.
    package static let demandsPerSecond = 2.0
    /// After so many starts in a row of which no worker came that served, nobody waits for the next one.
    package static let vainStarts = 3
    /// Shortest time that a start is given once it is known how long one takes.
    package static let shortestPatience: UInt64 = 5_000_000_000

    private enum State: Sendable, Equatable {
        /// Never started, or not to be started before a person has mended something. → `starting`
        case none
        /// → `due`, `starting`
        case pausing
        /// To be started now. → `starting`
        case due
        /// → `up`, `pausing`, `due`, `none`
        case starting(since: UInt64)
        /// The worker is ready. → `pausing`, `due`, `none`
        case up(since: UInt64)
    }

    private var state = State.none
    /// Ends since a worker was last forgiven; what the pause follows.
    private var ends: UInt32 = 0
    /// Starts in a row of which no worker came that served.
    private var vain = 0
    private var hasServed = false
    private var hasComeUp = false
    /// Starts in a row that were given up because they took too long.
    private var givenUp: UInt64 = 0
    /// How long the last start took that came up, and how long the quickest one ever took.
    private var lastTook: UInt64?
    private var quickest: UInt64?
    private var demands = Self.demandBurst
    private var demandsAt: UInt64 = 0

    package init() {}

    // MARK: What happens

    /// A process is being started.
    package mutating func began(now: UInt64) {
        state = .starting(since: now)
        hasServed = false
    }

    /// The worker is ready.
    package mutating func cameUp(now: UInt64) {
        if case .starting(let since) = state, now >= since {
            lastTook = now - since
            quickest = min(quickest ?? .max, now - since)
        }
        state = .up(since: now)
        hasComeUp = true
        givenUp = 0
    }

    /// The worker has passed a probe or done a request.
    package mutating func served() {
        hasServed = true
        vain = 0
    }

    /// A start has taken longer than `patience` allows. The next one is given twice as long: what takes longer than
    /// before need not hang. False when no start is under way.
    package mutating func gaveUp() -> Bool {
        guard case .starting = state else { return false }
        givenUp += 1
        return true
    }

    /// The worker has ended. Returns the pause before the next start.
    package mutating func ended(now: UInt64) -> UInt64 {
        if case .up(let since) = state, now >= since, now - since >= Self.forgiveAfter { ends = 0 }
        if !hasServed { vain += 1 }
        defer { ends = min(ends + 1, 16) }
        state = ends == 0 ? .due : .pausing
        return ends == 0 ? 0 : min(Self.shortestPause << UInt64(ends - 1), Self.longestPause)
    }

    /// It has ended, and a person has to mend something before another is started.
    package mutating func endedForGood() {
        state = .none
    }

    /// Requests wait for a key that nothing serves. True when the worker is to be started now.
    package mutating func demand(now: UInt64) -> Bool {
        guard state == .pausing, isPromising else { return false }
        if now > demandsAt {
            demands = min(demands + Double(now - demandsAt) / 1e9 * Self.demandsPerSecond, Self.demandBurst)
        }
        demandsAt = max(demandsAt, now)
        guard demands >= 1 else { return false }
        demands -= 1
        state = .due
        return true
    }

    // MARK: What follows

    /// Whether requests may count on it: a worker is there or about to come, and the last starts were not all in vain.
    /// One that has never come up is waited for once.
    package var isPromising: Bool { state != .none && vain < (hasComeUp ? Self.vainStarts : 1) }

    /// A worker is being started, or is to be at once.
    package var isUnderWay: Bool {
        switch state {
        case .none, .up, .pausing: false
        case .starting, .due: true
        }
    }

    /// Whether it may be up before `deadline`, even if it came up twice as fast as it ever has.
    package func mayBeUp(by deadline: UInt64, now: UInt64) -> Bool {
        guard isPromising else { return false }
        let half = (quickest ?? 0) / 2
        switch state {
        case .none: return false
        case .up: return true
        case .starting(let since): return max(since &+ half, now) <= deadline
        case .pausing, .due: return now &+ half <= deadline
        }
    }

    /// How long a start may take: five times as long as the last one, at least five seconds, twice that after each one
    /// that was given up; never more than `longest`, which one that has never come up is given at once.
    package func patience(longest: UInt64) -> UInt64 {
        guard let lastTook else { return longest }
        let (fivefold, overflow) = lastTook.multipliedReportingOverflow(by: 5)
        var patience = overflow ? longest : max(fivefold, Self.shortestPatience)
        for _ in 0..<min(givenUp, 64) { patience = patience < longest / 2 ? 2 * patience : longest }
        return min(patience, longest)
    }
}
