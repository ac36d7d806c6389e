// SPDX-License-Identifier: Apache-2.0
import Glibc
import KeyProof
import LaneProtocol
import Routing

// What is announced to other nodes of this one's keys, and what they announce. Worked out from a snapshot, after the
// lock has been let go of: there may be thousands of keys.

extension HSMPool {
    /// Operations that HSMs have done since the pool was made, those that have left included.
    package var totals: (encrypts: UInt64, decrypts: UInt64) {
        state.withLock { ($0.useCounts.encrypts, $0.useCounts.decrypts) }
    }

    /// What peers are sent of keys, by label, in order.
    package func announcedCanaries() -> [Canary] { state.withLock { $0.proof }.announced() }

    /// Orders to forget keys, in the order of their labels.
    package func forgetOrders() -> [ForgetOrder] { state.withLock { $0.proof }.forgetOrders() }

    /// Grows whenever what peers are sent of keys changes.
    package var sharedVersion: UInt64 { state.withLock { $0.proof.sharedVersion } }

    /// Equal on two nodes that prove the same keys by the same canaries. Lower-case hex.
    package func canariesDigest() -> String { summary().canaries }

    /// Labels that no HSM of this node can serve at the moment, all of them, in order.
    package func unservedKeys() -> [KeyLabel] { summary().unserved }

    /// A peer has sent canaries, and orders to forget some. What is malformed is passed over.
    package func offered(_ canaries: [Canary], forgets: [ForgetOrder], by node: String) {
        step { proof, now in
            var actions = proof.forget(forgets, now: now)
            actions.append(proof.offered(canaries, by: node, now: now))
            return actions
        }
    }

    /// An exchange of all canaries with a peer begins; returns the version of what this node sends in it.
    package func exchangeBegan(with node: String) -> UInt64 {
        state.withLock { $0.beginExchange(with: node) }
    }

    /// It has come to its end.
    package func exchangeEnded(with node: String) {
        step { proof, now in proof.exchangeEnded(with: node, now: now) }
    }

    /// A peer proves its keys as this node does.
    package func agreed(with node: String) { step { proof, now in proof.agreed(with: node, now: now) } }

    /// From now on this is the cluster.
    package func know(_ cluster: ProofCluster) { step { proof, now in proof.cluster(cluster, now: now) } }

    /// An operator says that a key is gone for good. Returns why that cannot be done, or `nil`.
    package func forget(key label: KeyLabel, author: String) -> ForgetRefusal? {
        let now = monotonicNanoseconds()
        let (refusal, effects) = state.withLock { state -> (ForgetRefusal?, [PoolEffect]) in
            switch state.proof.forget(label, author: author, now: now, unixSeconds: Int64(time(nil))) {
            case .success(let actions): return (nil, state.effects(of: actions, now: now))
            case .failure(let refusal): return (refusal, [])
            }
        }
        perform(effects)
        return refusal
    }

    /// Gives the key proof an event, and does what follows.
    private func step(_ event: (inout KeyProof, UInt64) -> ProofActions) {
        let now = monotonicNanoseconds()
        perform(state.withLock { $0.step(now: now, event) })
    }

    package var hasDisagreements: Bool { state.withLock { $0.proof.hasDisagreements } }

    /// Where peers prove keys otherwise than this node, a sentence each.
    package func disagreements() -> [String] { state.withLock { $0.proof }.disagreements() }

    // MARK: When it has changed

    /// Has `observer` called whenever an HSM's state, what HSMs may serve, or a canary has changed: on any thread,
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
    var usable: HSMSet {
        HSMSet(
            hsms.indices.filter {
                hsms[$0].role.isMember && machine.phase(of: $0) == .serving && !machine.isDrained($0)
            })
    }
}
