// SPDX-License-Identifier: Apache-2.0
import Chance
import Gossip

let millisecond: UInt64 = 1_000_000
let second: UInt64 = 1_000 * millisecond

extension RandomChoice {
    mutating func between(_ lowest: UInt64, _ highest: UInt64) -> UInt64 { lowest + next() % (highest - lowest + 1) }

    /// True in so many of a thousand cases.
    mutating func chance(_ permille: Int) -> Bool { below(1_000) < permille }
}
