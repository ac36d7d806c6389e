// SPDX-License-Identifier: Apache-2.0

/// A small generator of numbers that look random, for choosing among HSMs and moments (SplitMix64, Steele, Lea and
/// Flood 2014). Its seed is an argument, so that a run can be replayed. Of no use where somebody must not guess.
package struct RandomChoice: Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// 0 … 1, without 1.
    package mutating func fraction() -> Double { Double(next() >> 11) / Double(1 << 53) }

    /// A number below `bound`, which must be positive; 0 otherwise.
    package mutating func below(_ bound: Int) -> Int {
        guard bound > 1 else { return 0 }
        return Int(next() % UInt64(bound))
    }
}
