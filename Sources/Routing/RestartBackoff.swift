// SPDX-License-Identifier: Apache-2.0

/// How long to wait before a worker that ended is started again.
///
/// The first restart is immediate: most ends are a crash or a kill, and a fresh process serves again in milliseconds.
/// After that the pause doubles up to three seconds, so that an HSM that works again is back within the promised five.
/// A worker that served for a while earns an immediate restart anew.
package struct RestartBackoff: Sendable, Equatable {
    /// Longest pause, nanoseconds.
    package static let longest: UInt64 = 3_000_000_000
    /// First pause after the immediate restart, nanoseconds.
    package static let shortest: UInt64 = 100_000_000
    /// A worker that was ready for this long is healthy again, nanoseconds.
    package static let forgiveAfter: UInt64 = 10_000_000_000

    private var failures: UInt32 = 0
    private var readySince: UInt64?

    package init() {}

    /// The worker can serve.
    package mutating func ready(now: UInt64) { readySince = now }

    /// The worker has ended. Returns the pause before the next start, nanoseconds.
    package mutating func ended(now: UInt64) -> UInt64 {
        if let since = readySince, now >= since, now - since >= Self.forgiveAfter { failures = 0 }
        readySince = nil
        defer { failures = min(failures + 1, 16) }
        guard failures > 0 else { return 0 }
        return min(Self.shortest << UInt64(failures - 1), Self.longest)
    }
}
