// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import StatusVocabulary

/// What an HSM must open to prove that it holds the same key: a random block, encrypted once under it.
package struct Canary: Sendable, Equatable {
    /// The key's label on the tokens.
    package var label: KeyLabel
    package var sealed: SealedCanary
    /// SHA-256 of the block.
    package var digest: [UInt8]
    /// Name of the HSM that made it; of a peer's HSM where a peer has sent the canary.
    package var maker: String
    /// Unix seconds.
    package var madeAt: Int64
    /// An operator said that this maker holds the right key: the canary is the order. Its digest is the order's id.
    package var isTrusted: Bool
    /// Present while the key is disputed: which HSMs or orders disagree, in words. Stored with the canary, so that a
    /// restart does not turn a dispute into a decision for whichever HSM comes up first.
    package var dispute: String?
    package var history: CanaryHistory

    package init(
        label: KeyLabel, sealed: SealedCanary, digest: [UInt8], maker: String, madeAt: Int64, isTrusted: Bool = false,
        dispute: String? = nil, history: CanaryHistory = CanaryHistory()
    ) {
        self.label = label
        self.sealed = sealed
        self.digest = digest
        self.maker = maker
        self.madeAt = madeAt
        self.isTrusted = isTrusted
        self.dispute = dispute
        self.history = history
    }
}

/// What has become of a canary since it was made. Versions up to 16631be neither store nor send it.
package struct CanaryHistory: Sendable, Equatable {
    /// Most orders that one replaces, and most HSMs that are named.
    package static let mostEntries = 64

    /// Serial numbers of the HSMs that have opened it, at the node that sends it; sorted.
    package var provers: [String]
    /// It began to serve less than `ProofLimits.provisional` ago.
    package var isProvisional: Bool
    /// Ids of the orders on the key that this one replaces; of a canary that an operator trusts only.
    package var replaces: [[UInt8]]
    /// Ids of orders that contradict this one; only an order that names them all ends the dispute.
    package var rivals: [[UInt8]]
    /// How long this node had run, in all its lives, when the canary began to serve here, seconds; `nil` for a
    /// canary that an operator trusts or a peer has sent.
    package var servingSince: Int64?
    /// It serves, and no other node of the cluster could be asked so far whether it has another.
    package var isUnconfirmed: Bool
    /// A node was known that proves the key by another value.
    package var wasContested: Bool
    /// When the last order to forget it was given that had no effect, because an HSM holds the key; Unix seconds.
    package var outlived: Int64?
    /// An HSM of the node that sends it holds another key under the label: a ciphertext may be under that one.
    package var excludes: Bool

    package init(
        provers: [String] = [], isProvisional: Bool = false, replaces: [[UInt8]] = [], rivals: [[UInt8]] = [],
        servingSince: Int64? = nil, isUnconfirmed: Bool = false, wasContested: Bool = false, outlived: Int64? = nil,
        excludes: Bool = false
    ) {
        self.provers = provers
        self.isProvisional = isProvisional
        self.replaces = replaces
        self.rivals = rivals
        self.servingSince = servingSince
        self.isUnconfirmed = isUnconfirmed
        self.wasContested = wasContested
        self.outlived = outlived
        self.excludes = excludes
    }
}

/// An operator's order to forget the canaries of a key that no HSM holds any more: from then on the key is absent, where
/// it was unknown. It has no effect on a canary that an HSM has opened since its worker started.
package struct ForgetOrder: Sendable, Equatable, Hashable {
    /// Longest text of `author`, bytes.
    package static let longestAuthor = 128

    package var label: KeyLabel
    /// Digests of the canaries that are forgotten: what the node knew that was given the order. Sorted.
    package var canaries: [[UInt8]]
    /// Unix seconds.
    package var givenAt: Int64
    /// Who gave it, at which node, for people.
    package var author: String

    package init(label: KeyLabel, canaries: [[UInt8]], givenAt: Int64, author: String) {
        self.label = label
        self.canaries = canaries
        self.givenAt = givenAt
        self.author = author
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
    /// How long a canary that has begun to serve counts less than one that a peer has decided by.
    package var provisional: UInt64
    /// How long an HSM that disagrees makes a dispute, unless it is outnumbered; running time of the node, since the
    /// canary began to serve.
    package var young: UInt64
    /// How long a key that is seen for the first time waits until canaries have been exchanged with another node.
    package var alone: UInt64
    /// Longest time until a key that was used since its last check is checked again.
    package var usedRecheck: UInt64
    /// Checks of keys that are proven already take at most one part in so many of one lane's time.
    package var share: UInt64
    /// After so many checks in a row that another key may have failed the key is out, where other canaries open on the
    /// HSM; four times as many where none does.
    package var unclear: Int
    /// First pause after a failed check; it doubles up to `longestRetry`.
    package var shortestRetry: UInt64
    package var longestRetry: UInt64
    /// Most labels without an HSM that lists them for which a peer's canary is taken.
    package var unlisted: Int

    package init(
        outstanding: Int = 4, recheck: UInt64 = 3_600_000_000_000, firstSight: UInt64 = 5_000_000_000,
        provisional: UInt64 = 10_000_000_000, young: UInt64 = 86_400_000_000_000, alone: UInt64 = 10_000_000_000,
        usedRecheck: UInt64 = 60_000_000_000, share: UInt64 = 20, unclear: Int = 3,
        shortestRetry: UInt64 = 1_000_000_000, longestRetry: UInt64 = 30_000_000_000, unlisted: Int = 4_096
    ) {
        self.outstanding = max(outstanding, 1)
        self.recheck = max(recheck, 2)
        self.firstSight = firstSight
        self.provisional = provisional
        self.young = young
        self.alone = alone
        self.usedRecheck = max(usedRecheck, 2)
        self.share = max(share, 1)
        self.unclear = max(unclear, 1)
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
    /// Listed, and the checks of it fail. Says where.
    case failing(String)
    /// Several keys of the label lie on one token, and nothing says which of them is meant. Says where.
    case ambiguous(String)
    /// Listed, but no HSM that lists it may serve it. Says why.
    case excluded(String)
}

/// One row of the matrix key × HSM.
package struct KeyProofRow: Sendable, Equatable {
    package var label: KeyLabel
    /// Name of the HSM that made the canary; `nil` while there is none.
    package var canaryMaker: String?
    package var dispute: String?
    /// What is odd about the key, a sentence each: nothing of it keeps the key from being served.
    package var complaints: [String] = []
    /// Every HSM that lists it says that it may neither encrypt nor decrypt.
    package var isOfNoUse = false
    /// One for each position of the pool; `nil` where its HSM does not list the key, or there is none.
    package var verdicts: [KeyVerdict?]
}

/// A key on an HSM.
package struct KeyHolding: Sendable, Equatable, Hashable {
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
    /// From now on the key is proven by a canary that a peer has sent; `maker` is an HSM of the cluster.
    case adopted(label: KeyLabel, node: String, maker: String)
    /// A peer proves the key by a canary that `hsm` does not open. Nothing changes here.
    case disagrees(label: KeyLabel, node: String, hsm: String)
    /// The HSM held the right key at `lastOpened`, and holds another at `found` (nanoseconds of the monotonic clock):
    /// what it has encrypted in between may be under the other key.
    case swapped(label: KeyLabel, hsm: String, lastOpened: UInt64, found: UInt64)
    /// So many keys of this label lie on the HSM's token.
    case several(label: KeyLabel, hsm: String, count: Int)
    /// Two operators' orders name different canaries, and neither names the other.
    case ordersDisagree(label: KeyLabel, node: String)
    /// No other node could be asked about the key: this one decides alone.
    case decidedAlone(label: KeyLabel)
    /// The key's canaries are forgotten by an order.
    case forgotten(label: KeyLabel, author: String)

    /// True when a person has to look.
    package var isAlarm: Bool {
        switch self {
        case .differs, .disputed, .vanished, .disagrees, .swapped, .ordersDisagree: true
        case .canaryMade, .proven, .checkFailed, .trusted, .adopted, .several, .decidedAlone, .forgotten: false
        }
    }
}

/// What follows from one event. Names things by ticket, label and position; the driver holds them.
package struct ProofActions: Sendable, Equatable {
    package var checks: [ProofCheck] = []
    /// To be stored at once, each in place of the one with the same label.
    package var canaries: [Canary] = []
    /// Labels whose canaries are to be deleted from the store.
    package var dropped: [KeyLabel] = []
    /// Orders to be stored at once.
    package var forgets: [ForgetOrder] = []
    /// From now on these may serve.
    package var granted: [KeyHolding] = []
    /// From now on these must not serve.
    package var revoked: [KeyHolding] = []
    package var news: [ProofNews] = []

    package init() {}

    /// What follows from a second event, after what follows from the first.
    package mutating func append(_ other: ProofActions) {
        checks += other.checks
        canaries += other.canaries
        dropped += other.dropped
        forgets += other.forgets
        granted += other.granted
        revoked += other.revoked
        news += other.news
    }
}

/// Why an operator's word was not taken.
package enum TrustRefusal: Error, Sendable, Equatable {
    case unknownHSM
    /// The HSM does not list the key now.
    case notListed
    /// The key may not both encrypt and decrypt there, so that no canary can be made.
    case usageNotPermitted
    /// So many keys of this label lie on the token: which one is meant?
    case ambiguous(Int)
}

/// Why an order to forget a key was not taken.
package enum ForgetRefusal: Error, Sendable, Equatable {
    /// Nothing is known under this label.
    case unknownKey
    /// This HSM holds the key: there is nothing to forget.
    case isHeld(hsm: String)
}
