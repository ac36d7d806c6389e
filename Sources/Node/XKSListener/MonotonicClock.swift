// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Nanoseconds of CLOCK_MONOTONIC: the clock of `ProxyRequest.receivedAt` and of all deadlines in this room.
@inline(__always)
func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: now.tv_nsec)
}

extension ListenerTimeouts {
    /// `milliseconds` after `now`, in nanoseconds.
    @inline(__always)
    static func deadline(_ milliseconds: Int, after now: UInt64) -> UInt64 {
        now &+ UInt64(truncatingIfNeeded: milliseconds) &* 1_000_000
    }
}
