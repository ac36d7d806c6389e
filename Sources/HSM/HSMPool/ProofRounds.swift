// SPDX-License-Identifier: Apache-2.0

/// Decides which of the proofs of keys have a line of their own: of each HSM's round a few, and all of it one line at its
/// end. A round is what follows without a pause: a token of a thousand keys is proven in one.
///
/// Time is an argument, nanoseconds of a clock that is never set back.
package struct ProofRounds: Sendable {
    /// What has come of a round that had more proofs than lines.
    package struct Round: Sendable, Equatable {
        package var hsm: String
        package var canariesMade = 0
        package var keysProven = 0
    }

    package enum Proof: Sendable { case canaryMade, keyProven }

    private struct Entry {
        var round: Round
        var first: UInt64
        var last: UInt64

        var proofs: Int { round.canariesMade + round.keysProven }
    }

    /// Proofs of a round that are said one by one.
    package static let saidOneByOne = 10
    private static let pause: UInt64 = 2_000_000_000
    /// A round that does not end is reported all the same.
    private static let longest: UInt64 = 60_000_000_000

    private var entries: [String: Entry] = [:]

    package init() {}

    /// Counts one, and says whether it has a line of its own.
    package mutating func counts(_ proof: Proof, of hsm: String, now: UInt64) -> Bool {
        var entry = entries[hsm] ?? Entry(round: Round(hsm: hsm), first: now, last: now)
        switch proof {
        case .canaryMade: entry.round.canariesMade += 1
        case .keyProven: entry.round.keysProven += 1
        }
        entry.last = max(now, entry.last)
        entries[hsm] = entry
        return entry.proofs <= Self.saidOneByOne
    }

    /// The rounds that are over and of which something has had no line.
    package mutating func ended(now: UInt64) -> [Round] {
        let over = entries.filter { now >= $0.value.last &+ Self.pause || now >= $0.value.first &+ Self.longest }
        for hsm in over.keys { entries[hsm] = nil }
        return over.values.filter { $0.proofs > Self.saidOneByOne }.map(\.round).sorted { $0.hsm < $1.hsm }
    }
}
