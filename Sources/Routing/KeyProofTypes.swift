// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// What an HSM must open to prove that it holds the same key: a random block, encrypted once under it.
package struct Canary: Sendable, Equatable {
    /// The key's label on the tokens.
    package var label: KeyLabel
    package var sealed: SealedCanary
    /// SHA-256 of the block.
    package var digest: [UInt8]
    /// Name of the HSM that made it; of a peer's HSM where a peer has told the canary.
    package var maker: String
    /// Unix seconds.
    package var madeAt: Int64
    /// An operator said that this maker holds the right key.
    package var isTrusted: Bool
    /// Present while the key is disputed: which HSMs disagree, in words. Stored with the canary, so that a restart does
    /// not turn a dispute into a decision for whichever HSM comes up first.
    package var dispute: String?

    package init(
        label: KeyLabel, sealed: SealedCanary, digest: [UInt8], maker: String, madeAt: Int64, isTrusted: Bool = false,
        dispute: String? = nil
    ) {
        self.label = label
        self.sealed = sealed
        self.digest = digest
        self.maker = maker
        self.madeAt = madeAt
        self.isTrusted = isTrusted
        self.dispute = dispute
    }
}

/// The limits a key proof works within. Times in nanoseconds.
package struct ProofLimits: Sendable, Equatable {
    /// How many checks one HSM is given at a time.
    package var outstanding: Int
    /// Longest time until a key that was checked is checked again; the real one is between half of it and all of it.
    package var recheck: UInt64
    /// Longest wait for other HSMs before a key seen for the first time gets its canary, and longest wait for their
    /// answers afterwards.
    package var firstSight: UInt64
    /// How long after its canary began to serve a disagreement is a dispute, not an exclusion.
    package var provisional: UInt64
    /// First pause after a failed check; it doubles up to `longestRetry`.
    package var shortestRetry: UInt64
    package var longestRetry: UInt64
    /// Most labels without an HSM that lists them for which a peer's canary is taken.
    package var unlisted: Int

    package init(
        outstanding: Int = 4, recheck: UInt64 = 3_600_000_000_000, firstSight: UInt64 = 5_000_000_000,
        provisional: UInt64 = 10_000_000_000, shortestRetry: UInt64 = 1_000_000_000,
        longestRetry: UInt64 = 30_000_000_000, unlisted: Int = 4_096
    ) {
        self.outstanding = max(outstanding, 1)
        self.recheck = max(recheck, 2)
        self.firstSight = firstSight
        self.provisional = provisional
        self.shortestRetry = max(shortestRetry, 1)
        self.longestRetry = max(longestRetry, self.shortestRetry)
        self.unlisted = unlisted
    }

    /// Pause after the nth failure in a row, counted from 1.
    func retry(afterFailures failures: Int) -> UInt64 {
        var pause = shortestRetry
        for _ in 1..<min(max(failures, 1), 64) where pause < longestRetry { pause = min(pause &* 2, longestRetry) }
        return min(pause, longestRetry)
    }
}

/// What is known about one key on one HSM that lists it.
package enum KeyVerdict: Sendable, Equatable {
    /// Not checked yet, or not since the key, its number or the worker changed.
    case unproven
    /// It opened the canary.
    case proven
    /// It holds another key under the same label than the HSM of this name, which made the canary.
    case different(than: String)
    /// It can never be checked, and why.
    case unprovable(String)
    /// The check itself failed; it is tried again.
    case failing(String)
}

/// What is known about one key on the whole pool.
package enum KeyStanding: Sendable, Equatable {
    /// No HSM lists it.
    case unlisted
    /// At least one HSM may serve it.
    case served
    /// Checks are under way, or will be.
    case pending
    /// HSMs disagree and no canary decides; refused everywhere until an operator does. Says who disagrees.
    case disputed(String)
    /// Listed, but no HSM that lists it may serve it. Says why.
    case excluded(String)
}

/// One row of the matrix key × HSM.
package struct KeyProofRow: Sendable, Equatable {
    package var label: KeyLabel
    /// Name of the HSM that made the canary; `nil` while there is none.
    package var canaryMaker: String?
    package var dispute: String?
    /// One for each place of the pool; `nil` where its HSM does not list the key, or there is none.
    package var verdicts: [KeyVerdict?]
}

/// A key on an HSM.
package struct KeyPlacement: Sendable, Equatable, Hashable {
    package var label: KeyLabel
    package var hsm: Int

    package init(label: KeyLabel, hsm: Int) {
        self.label = label
        self.hsm = hsm
    }
}

/// "Ask this HSM's worker for this." The answer comes back with the ticket.
package struct ProofCheck: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case make
        case open(SealedCanary)
    }

    /// Never used again.
    package var ticket: UInt64
    package var hsm: Int
    package var label: KeyLabel
    /// The worker's number of the key.
    package var key: UInt32
    package var kind: Kind
}

/// What people should read in the log.
package enum ProofNews: Sendable, Equatable {
    case canaryMade(label: KeyLabel, hsm: String)
    case proven(label: KeyLabel, hsm: String, maker: String)
    /// The HSM is out for this key.
    case differs(label: KeyLabel, hsm: String, maker: String)
    /// The key is refused everywhere.
    case disputed(label: KeyLabel, hsm: String, maker: String)
    case vanished(label: KeyLabel, hsm: String)
    case checkFailed(label: KeyLabel, hsm: String, reason: String)
    /// An operator's word holds: `hsm` has made the canary that decides.
    case trusted(label: KeyLabel, hsm: String)
    /// From now on the key is proven by a canary that a peer has told; `maker` is an HSM of the cluster.
    case adopted(label: KeyLabel, node: String, maker: String)
    /// A peer proves the key by a canary that `hsm` does not open. Nothing changes here.
    case disagrees(label: KeyLabel, node: String, hsm: String)

    /// True when a person has to look.
    package var isAlarm: Bool {
        switch self {
        case .differs, .disputed, .vanished, .disagrees: true
        case .canaryMade, .proven, .checkFailed, .trusted, .adopted: false
        }
    }
}

/// What follows from one event. Names things by ticket, label and place; the driver holds them.
package struct ProofActions: Sendable, Equatable {
    package var checks: [ProofCheck] = []
    /// To be stored at once, each in place of the one with the same label.
    package var canaries: [Canary] = []
    /// From now on these may serve.
    package var granted: [KeyPlacement] = []
    /// From now on these must not serve.
    package var revoked: [KeyPlacement] = []
    package var news: [ProofNews] = []

    package init() {}
}

/// Why an operator's word was not taken.
package enum TrustRefusal: Error, Sendable, Equatable {
    case unknownHSM
    /// The HSM does not list the key now.
    case notListed
    /// The key may not both encrypt and decrypt there, so that no canary can be made.
    case usageNotPermitted
}
