// SPDX-License-Identifier: Apache-2.0

/// A small generator of numbers that look random, for choosing among HSMs, nodes and moments (SplitMix64; Steele, Lea and
/// Flood 2014). Its seed is an argument, so that a run can be replayed. Of no use where somebody must not guess.
package struct RandomChoice: RandomNumberGenerator, Sendable {
    @usableFromInline var state: UInt64

    @inlinable package init(seed: UInt64) { state = seed }

    @inlinable package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// 0 … 1, without 1.
    @inlinable package mutating func fraction() -> Double { Double(next() >> 11) / Double(1 << 53) }

    /// A number below `bound`; 0 where the bound is not positive.
    @inlinable package mutating func below(_ bound: Int) -> Int { bound > 1 ? Int(next() % UInt64(bound)) : 0 }

    /// A time below `bound`; 0 where the bound is 0.
    @inlinable package mutating func below(_ bound: UInt64) -> UInt64 { bound > 1 ? next() % bound : 0 }

    /// Puts names into a random order (Fisher and Yates).
    @inlinable package mutating func shuffle(_ names: inout [String]) {
        for index in stride(from: names.count - 1, to: 0, by: -1) { names.swapAt(index, below(index + 1)) }
    }
}
