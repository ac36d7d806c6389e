// SPDX-License-Identifier: Apache-2.0

/// A suspicion against a member at one incarnation: who raised it, and how long it may be contradicted.
///
/// It lasts longest while one alone suspects, and shortens with the logarithm of the number of others who find the same
/// by themselves (Lifeguard, section IV-B: Local Health Aware Suspicion).
struct Suspicion: Sendable, Equatable {
    /// Nanoseconds; begins anew when the member was reported, or this node slept.
    var startedAt: UInt64
    /// In the order in which they came; no name twice.
    private(set) var accusers: [String]
    /// When this node last reminded the suspect, if it is an accuser.
    var remindedAt: UInt64
    /// This node has found by itself that the suspect is silent.
    var isFound = false

    init(by accuser: String, now: UInt64) {
        startedAt = now
        accusers = [accuser]
        remindedAt = now
    }

    /// Returns whether it is news: further accusers than are needed are not.
    mutating func add(_ accuser: String, needed: Int) -> Bool {
        guard accusers.count <= needed, !accusers.contains(accuser) else { return false }
        accusers.append(accuser)
        return true
    }

    /// When it turns into death, unless contradicted.
    ///
    /// - Parameter needed: confirmations that shorten it to its least.
    func deadline(timing: GossipTiming, nodes: Int, needed: Int) -> UInt64 {
        let least = timing.suspicion * Logarithm.tenthMille(nodes) / 1_000
        let spread = least * (max(timing.unconfirmedFactor, 1) - 1)
        let whole = Logarithm.mille(needed + 1)
        let part = min(Logarithm.mille(accusers.count), whole)
        // Of two nodes one is suspect, and nobody could confirm.
        return startedAt + least + (whole == 0 ? spread : spread * (whole - part) / whole)
    }
}

/// Logarithms in thousandths, without floating point.
enum Logarithm {
    /// 1000 · log₂ of 1 … 4, which is all that confirmations need.
    static func mille(_ value: Int) -> UInt64 {
        switch value {
        case ...1: 0
        case 2: 1_000
        case 3: 1_585
        default: 2_000
        }
    }

    /// 1000 · log₁₀ of the number, at least 1000; straight lines between the powers of two.
    static func tenthMille(_ value: Int) -> UInt64 {
        let number = UInt64(max(value, 1))
        let exponent = UInt64(63 - number.leadingZeroBitCount)
        let power: UInt64 = 1 << exponent
        let binary = exponent * 1_000 + (number - power) * 1_000 / power
        return max(binary * 1_000 / 3_322, 1_000)
    }

    /// ⌈log₁₀(value + 1)⌉, at least 1.
    static func digits(_ value: Int) -> Int {
        var (digits, limit) = (1, 9)
        while limit < value, digits < 12 {
            digits += 1
            limit = limit * 10 + 9
        }
        return digits
    }
}
