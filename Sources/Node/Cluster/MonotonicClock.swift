// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// Nanoseconds of CLOCK_MONOTONIC: the clock of all deadlines between rooms.
func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: now.tv_nsec)
}

/// Unix milliseconds.
func wallMilliseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) &* 1_000 &+ Int64(now.tv_nsec) / 1_000_000
}

/// What is left until `deadline`; 0 when it has passed.
func remaining(until deadline: UInt64) -> UInt64 {
    let now = monotonicNanoseconds()
    return deadline > now ? deadline - now : 0
}

/// `duration` after now; the last moment there is, where that is later.
func deadline(after duration: UInt64) -> UInt64 {
    let (sum, overflow) = monotonicNanoseconds().addingReportingOverflow(duration)
    return overflow ? .max : sum
}

extension TimeAmount {
    /// At most a day: no deadline from outside makes arithmetic overflow.
    init(clampingNanoseconds nanoseconds: UInt64) {
        self = .nanoseconds(Int64(min(nanoseconds, 86_400_000_000_000)))
    }
}

extension UInt64 {
    /// Nanoseconds; 0 for what is negative.
    init(clamping duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        self =
            overflow
            ? (seconds < 0 ? 0 : .max) : UInt64(clamping: nanoseconds) &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }
}
