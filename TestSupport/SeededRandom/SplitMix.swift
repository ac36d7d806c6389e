// SPDX-License-Identifier: Apache-2.0

/// A small generator whose numbers follow from its seed alone, on every machine (SplitMix64; Steele, Lea and Flood
/// 2014): a failing round can be run again.
package struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where the bound is not positive.
    package mutating func below(_ bound: Int) -> Int { bound > 1 ? Int(next() % UInt64(bound)) : 0 }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<max(count, 0)).map { _ in UInt8(truncatingIfNeeded: next()) }
    }

    /// Characters of the alphabet, which must not be empty.
    package mutating func text(of alphabet: String, length: ClosedRange<Int>) -> String {
        let characters = Array(alphabet)
        let count = Int.random(in: length, using: &self)
        return String((0..<count).map { _ in characters[below(characters.count)] })
    }
}
