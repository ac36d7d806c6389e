// SPDX-License-Identifier: Apache-2.0

/// Which of a sender's sequence numbers have been seen: the highest, and the 64 before it. Numbers may come out of order;
/// none is taken twice (as in RFC 4303, section 3.4.3).
struct ReplayWindow: Sendable, Equatable {
    private var incarnation: UInt64 = 0
    private var highest: UInt64 = 0
    /// Bit i: `highest` − i was seen.
    private var seen: UInt64 = 0

    /// Whether a message may be looked at; it is noted as seen. One of an earlier incarnation may not.
    mutating func admit(incarnation new: UInt64, sequence: UInt64) -> Bool {
        guard new >= incarnation else { return false }
        if new > incarnation || seen == 0 {
            self = ReplayWindow(incarnation: new, highest: sequence, seen: 1)
            return true
        }
        if sequence > highest {
            let step = sequence - highest
            seen = step < 64 ? seen << step | 1 : 1
            highest = sequence
            return true
        }
        let age = highest - sequence
        guard age < 64, seen & (1 << age) == 0 else { return false }
        seen |= 1 << age
        return true
    }
}
