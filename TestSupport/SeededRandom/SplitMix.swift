// SPDX-License-Identifier: Apache-2.0
import Chance

/// Random bytes and texts that follow from a seed alone, on every machine: a failing round can be run again.
package struct SplitMix: RandomNumberGenerator, Sendable {
    private var choice: RandomChoice

    package init(seed: UInt64) { choice = RandomChoice(seed: seed) }

    package mutating func next() -> UInt64 { choice.next() }

    /// A number below `bound`; 0 where the bound is not positive.
    package mutating func below(_ bound: Int) -> Int { choice.below(bound) }

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
