// SPDX-License-Identifier: Apache-2.0
import Crypto
import KeyProof
import LaneProtocol
import Routing

// What is known of the keys at one moment: taken under the pool's lock, worked out after it.

/// What is known of the keys at one moment. Taken under the pool's lock in no time, for the tables are shared until one
/// side changes them; worked out after it, which takes milliseconds when there are thousands of keys.
struct KeyView {
    private let proof: KeyProof
    private let useCounts: KeyUseCounts
    /// Those of the configuration, in its order: position and name.
    private let hsms: [(position: Int, name: String)]

    init(_ state: borrowing PoolState) {
        proof = state.proof
        useCounts = state.useCounts
        hsms = state.shown.map { ($0, state.hsms[$0].settings.name) }
    }

    /// The matrix key × HSM, sorted by label.
    func matrix() -> [KeyRow] {
        proof.matrix().map { row in
            KeyRow(
                label: row.label, canaryMaker: row.canaryMaker, dispute: row.dispute, complaints: row.complaints,
                isOfNoUse: row.isOfNoUse,
                cells: hsms.map { hsm, name in
                    let uses = useCounts.counts(of: row.label, hsm: hsm)
                    let verdict = row.verdicts.indices.contains(hsm) ? row.verdicts[hsm] : nil
                    return KeyCell(
                        verdict ?? (proof.hasListed(hsm: hsm) ? nil : .unproven), hsm: name,
                        usage: proof.usage(of: row.label, hsm: hsm), encrypts: uses.encrypts, decrypts: uses.decrypts)
                })
        }
    }
}

/// The last summary of the keys, kept until something changes: it is asked for several times a second.
struct KeySummaries: Sendable {
    /// A summary is worked out anew after this time in any case, nanoseconds: requests take HSMs in and out of use
    /// between two looks at their conditions.
    static let longestKept: UInt64 = 500_000_000

    private var summary: KeySummary?
    /// Counts the changes: a summary that was begun before one must not be kept after it.
    private(set) var edition: UInt64 = 0

    func current(now: UInt64) -> KeySummary? {
        summary.flatMap { now < $0.madeAt &+ Self.longestKept ? $0 : nil }
    }

    mutating func keep(_ new: KeySummary, of edition: UInt64) {
        if edition == self.edition { summary = new }
    }

    mutating func forget() {
        edition &+= 1
        summary = nil
    }
}

/// What peers are sent of the keys as a whole.
package struct KeySummary: Sendable {
    package let canaries: String
    package let unserved: [KeyLabel]
    let madeAt: UInt64

    init(_ proof: KeyProof, usable: HSMSet, now: UInt64) {
        var hash = SHA256()
        for canary in proof.shared() {
            for part in [
                Array(canary.label.text.utf8), canary.sealed.initializationVector, canary.sealed.ciphertext,
                canary.digest,
            ] {
                // With its length before it, no part can pass for another or for two.
                hash.update(data: Array("\(part.count):".utf8))
                hash.update(data: part)
            }
        }
        let digits = Array("0123456789abcdef")
        canaries = String(hash.finalize().prefix(16).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
        unserved = proof.unserved(by: usable, limit: .max)
        madeAt = now
    }
}
