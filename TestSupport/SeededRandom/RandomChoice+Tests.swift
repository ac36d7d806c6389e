// SPDX-License-Identifier: Apache-2.0
import Chance

// What tests and simulations draw. It follows from a seed alone, on every machine: a failing round can be run again.

extension RandomChoice {
    /// Both bounds included; `highest` is not below `lowest`.
    package mutating func between(_ lowest: Int, _ highest: Int) -> Int { lowest + below(highest - lowest + 1) }

    /// Both bounds included; `highest` is not below `lowest`.
    package mutating func between(_ lowest: UInt64, _ highest: UInt64) -> UInt64 {
        lowest + next() % (highest - lowest + 1)
    }

    /// True in so many of a thousand cases.
    package mutating func chance(_ permille: Int) -> Bool { below(1_000) < permille }

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
