// SPDX-License-Identifier: Apache-2.0

let millisecond: UInt64 = 1_000_000
let second: UInt64 = 1_000 * millisecond

/// Chance that comes from a seed (SplitMix64).
struct Dice {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { bound > 1 ? Int(next() % UInt64(bound)) : 0 }
    mutating func between(_ lowest: UInt64, _ highest: UInt64) -> UInt64 { lowest + next() % (highest - lowest + 1) }
    /// True in so many of a thousand cases.
    mutating func chance(_ permille: Int) -> Bool { below(1_000) < permille }
}
