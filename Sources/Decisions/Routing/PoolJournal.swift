// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import StatusVocabulary

/// An HSM that has come into another state.
package struct HSMStateChange: Sendable, Equatable {
    package var hsm: String
    package var from: HSMState
    package var to: HSMState
    /// Why, in words; empty where there is nothing to say.
    package var reason: String

    package init(hsm: String, from: HSMState, to: HSMState, reason: String) {
        self.hsm = hsm
        self.from = from
        self.to = to
        self.reason = reason
    }
}

/// How many sessions this process may hold with a token.
package struct LaneGrant: Sendable, Equatable {
    package var granted: Int
    /// Other processes of this host that hold sessions with the same token.
    package var others: Int

    package init(granted: Int, others: Int) {
        self.granted = granted
        self.others = others
    }
}

/// What is known of keys when a pool begins.
package struct StoredProof: Sendable, Equatable {
    /// One for each label.
    package var canaries: [Canary]
    package var forgets: [ForgetOrder]
    /// How long the node has run in all its lives, seconds.
    package var ranSeconds: Int64

    package init(canaries: [Canary] = [], forgets: [ForgetOrder] = [], ranSeconds: Int64 = 0) {
        self.canaries = canaries
        self.forgets = forgets
        self.ranSeconds = ranSeconds
    }
}

/// Where the pool keeps what must outlive it, and what other processes of the host are to know. Nothing here is on the
/// path of a request, and nothing of it may fail the pool: a journal that cannot be written keeps things in memory.
package protocol PoolJournal: Sendable {
    /// What earlier runs knew of keys.
    func proof() -> StoredProof
    /// Names of the HSMs that an operator has drained.
    func drainedHSMs() -> Set<String>

    /// Uses of keys by earlier processes, and by others of this host.
    func keyUses() -> [KeyLabel: KeyUses]

    /// To be durable as soon as possible, this and the next three.
    func keep(_ canary: Canary)
    func drop(canaryOf label: KeyLabel)
    func keep(_ order: ForgetOrder)
    func setDrained(_ hsm: String, _ isDrained: Bool)
    /// A token has taken its PIN, or has refused it.
    func note(pinOf hsm: String, isRefused: Bool)

    /// How long the node has run in all its lives, seconds. Reported once a minute.
    func noteRan(seconds: Int64)
    /// Within a second.
    func note(_ change: HSMStateChange)
    func note(hsms: [PoolHSM], keys: [KeyRow])
    /// To be added to the uses of keys.
    func add(_ uses: [KeyLabel: KeyUses])

    /// Sessions with a token. `floor` is below which a process is of no use, `holding` how many this one has at the
    /// moment, `limit` how many the token allows all of them together, `nil` when it says nothing. Blocks for
    /// milliseconds: not for an event loop.
    func claimLanes(token: String, wanted: Int, floor: Int, holding: Int, limit: Int?) -> LaneGrant
    func releaseLanes(token: String)
}

/// Keeps nothing: for tests and for commands that only look.
package struct NoJournal: PoolJournal {
    private let onPIN: @Sendable (_ hsm: String, _ isRefused: Bool) -> Void

    /// - Parameter onPIN: called when a token has taken its PIN, or has refused it.
    package init(onPIN: @escaping @Sendable (_ hsm: String, _ isRefused: Bool) -> Void = { _, _ in }) {
        self.onPIN = onPIN
    }

    package func proof() -> StoredProof { StoredProof() }
    package func drainedHSMs() -> Set<String> { [] }
    package func keep(_ canary: Canary) {}
    package func drop(canaryOf label: KeyLabel) {}
    package func keep(_ order: ForgetOrder) {}
    package func noteRan(seconds: Int64) {}
    package func setDrained(_ hsm: String, _ isDrained: Bool) {}
    package func note(pinOf hsm: String, isRefused: Bool) { onPIN(hsm, isRefused) }
    package func note(_ change: HSMStateChange) {}
    package func note(hsms: [PoolHSM], keys: [KeyRow]) {}
    package func keyUses() -> [KeyLabel: KeyUses] { [:] }
    package func add(_ uses: [KeyLabel: KeyUses]) {}
    package func claimLanes(token: String, wanted: Int, floor: Int, holding: Int, limit: Int?) -> LaneGrant {
        LaneGrant(granted: wanted, others: 0)
    }
    package func releaseLanes(token: String) {}
}
