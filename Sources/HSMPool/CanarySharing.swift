// SPDX-License-Identifier: Apache-2.0
import Crypto
import Glibc
import Routing

// What other nodes are told of this one's keys, and what they tell. Worked out from a snapshot, after the lock has been
// let go of: there may be thousands of keys.

extension HSMPool {
    /// Operations that HSMs have done since the pool was made, those that have left included.
    package var totals: (encrypts: UInt64, decrypts: UInt64) {
        state.withLock { ($0.useCounts.encrypts, $0.useCounts.decrypts) }
    }

    /// The canaries by which keys are proven and that nobody disputes, in the order of their labels.
    package func sharedCanaries() -> [Canary] { state.withLock { $0.proof }.shared() }

    /// Equal on two nodes that prove the same keys by the same canaries. Lower-case hex.
    package func canariesDigest() -> String { summary().canaries }

    /// Labels that no HSM of this node can serve at the moment, the first ones in order.
    package func unservedKeys(limit: Int) -> [String] { Array(summary().unserved.prefix(max(limit, 0))) }

    /// A peer has told canaries. What is malformed is passed over.
    package func offered(_ canaries: [Canary], by node: String) {
        let now = monotonicNanoseconds()
        let effects = state.withLock { state in
            let actions = state.proof.offered(canaries, by: node, now: now, unixSeconds: Int64(time(nil)))
            return state.effects(of: actions, now: now)
        }
        perform(effects)
    }

    /// A peer proves its keys as this node does, or is no peer any more.
    package func agreed(with node: String) { state.withLock { $0.proof.agreed(with: node) } }

    package var hasDisagreements: Bool { state.withLock { $0.proof.hasDisagreements } }

    /// Where peers prove keys otherwise than this node, a sentence each.
    package func disagreements() -> [String] { state.withLock { $0.proof }.disagreements() }

    private func summary() -> KeySummary {
        let now = monotonicNanoseconds()
        if let known = summaries.withLock({ $0 }), now < known.madeAt &+ KeySummary.freshness { return known }
        let (proof, usable) = state.withLock { ($0.proof, $0.usable) }
        let summary = KeySummary(proof, usable: usable, now: now)
        summaries.withLock { $0 = summary }
        return summary
    }
}

extension PoolState {
    /// HSMs that requests are given to.
    fileprivate var usable: HSMSet {
        HSMSet(
            hsms.indices.filter {
                hsms[$0].role.isMember && machine.phase(of: $0) == .serving && !machine.isDrained($0)
            })
    }
}

/// What peers are told of the keys as a whole. Kept for a moment: it is asked for several times a second.
struct KeySummary: Sendable {
    /// Nanoseconds.
    static let freshness: UInt64 = 500_000_000
    /// More than any message names.
    private static let mostUnserved = 64

    let canaries: String
    let unserved: [String]
    let madeAt: UInt64

    init(_ proof: KeyProof, usable: HSMSet, now: UInt64) {
        var hash = SHA256()
        for canary in proof.shared() {
            for part in [
                Array(canary.label.utf8), canary.sealed.initializationVector, canary.sealed.ciphertext, canary.digest,
            ] {
                // With its length before it, no part can pass for another or for two.
                hash.update(data: Array("\(part.count):".utf8))
                hash.update(data: part)
            }
        }
        let digits = Array("0123456789abcdef")
        canaries = String(hash.finalize().prefix(16).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
        unserved = proof.unserved(by: usable, limit: Self.mostUnserved)
        madeAt = now
    }
}
