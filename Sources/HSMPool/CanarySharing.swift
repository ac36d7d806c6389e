// SPDX-License-Identifier: Apache-2.0
import Crypto
import Glibc
import LaneProtocol
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
    package func unservedKeys(limit: Int) -> [KeyLabel] { Array(summary().unserved.prefix(max(limit, 0))) }

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

    // MARK: When it has changed

    /// Has `observer` called whenever an HSM's condition, what HSMs may serve, or a canary has changed: on any thread,
    /// often in a row while many keys are proven, so it must be cheap.
    package func observe(_ observer: @escaping @Sendable () -> Void) { self.observer.withLock { $0 = observer } }

    /// To be called after every such change, without the pool's lock.
    func changed() {
        summaries.withLock { $0.forget() }
        observer.withLock { $0 }?()
    }

    private func summary() -> KeySummary {
        let now = monotonicNanoseconds()
        let (known, edition) = summaries.withLock { ($0.current(now: now), $0.edition) }
        if let known { return known }
        let (proof, usable) = state.withLock { ($0.proof, $0.usable) }
        let summary = KeySummary(proof, usable: usable, now: now)
        summaries.withLock { $0.keep(summary, of: edition) }
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

/// What peers are told of the keys as a whole.
struct KeySummary: Sendable {
    /// More than any message names.
    private static let mostUnserved = 64

    let canaries: String
    let unserved: [KeyLabel]
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
        unserved = proof.unserved(by: usable, limit: Self.mostUnserved)
        madeAt = now
    }
}
