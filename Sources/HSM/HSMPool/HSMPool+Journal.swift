// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Logging
import NIOCore
import NIOPosix
import Routing

// Sessions are shared with other node processes of the host (an upgrade, for example) through the journal's ledger, so
// that together they keep to the token's limit; and the journal is kept informed of the HSMs.

extension HSMPool {
    /// A worker is not started with fewer lanes than this.
    private static let fewestLanes = 1
    /// How soon sessions that other processes hold are asked for again, nanoseconds.
    private static let askAgainAfter: UInt64 = 250_000_000

    /// Claims sessions for a worker that is about to start; how many lanes it may open, or `nil` when there is not even
    /// room for one. Blocks for a moment.
    func claimFirstLanes(_ hsm: Int) -> Int? {
        let lanes = claim(hsm, holding: 0)
        return lanes >= Self.fewestLanes ? lanes : nil
    }

    /// Lanes that the ledger grants.
    private func claim(_ hsm: Int, holding: Int) -> Int {
        let (member, reported, beside) = state.withLock { state in
            (state.hsms[hsm].settings, state.hsms[hsm].identity?.sessionLimit ?? 0, state.sessionsBeside(hsm))
        }
        let lanes = Int(member.worker.lanes)
        let limit = member.sessionLimit > 0 ? member.sessionLimit : Int(clamping: reported)
        let grant = journal.claimLanes(
            token: member.ledgerName, wanted: lanes + PoolMember.sessionsBesideLanes + beside,
            floor: Self.fewestLanes + PoolMember.sessionsBesideLanes + beside, holding: holding + beside,
            limit: limit > 0 ? limit : nil)
        return min(grant.granted - beside - PoolMember.sessionsBesideLanes, lanes)
    }

    /// Nobody here uses a token any more.
    func releaseLedger(_ token: String) {
        NIOThreadPool.singleton.submit { _ in self.journal.releaseLanes(token: token) }
    }

    /// Other processes hold all sessions: says so, and asks again soon.
    func postpone(_ hsm: Int, epoch: UInt64) {
        let now = monotonicNanoseconds()
        let changes = state.withLock { state -> [HSMStateChange] in
            guard state.hsms[hsm].epoch == epoch, !state.isStopping else { return [] }
            state.hsms[hsm].outReason = "other processes of this host hold all sessions that the token allows"
            return state.refreshStates(now: now)
        }
        report(changes)
        startWorker(hsm, after: Self.askAgainAfter)
    }

    /// Brings ledger and journal up to date, off the event loops; one round at a time.
    func keepBooks() {
        guard !isKeepingBooks.exchange(true, ordering: .acquiringAndReleasing) else { return }
        NIOThreadPool.singleton.submit { _ in
            for hsm in self.state.withLock({ $0.hsms.indices }) { self.adjustLanes(hsm) }
            let keys = self.noted.withLock { $0.next(self.keys) }
            self.journal.note(hsms: self.status(), keys: keys)
            if !keys.isEmpty { self.noteUses() }
            self.noteRunningTime()
            self.isKeepingBooks.store(false, ordering: .releasing)
        }
    }

    /// Writes to the journal how all is, before the end.
    func closeBooks() {
        let now = monotonicNanoseconds()
        journal.noteRan(seconds: state.withLock { $0.proof.ran(now: now) })
        journal.note(hsms: status(), keys: noted.withLock { $0.changed(keys()) })
        noteUses()
    }

    /// A key is young for some time of running, not of the calendar: a node that was off has compared nothing.
    func noteRunningTime() {
        let now = monotonicNanoseconds()
        let ran = state.withLock { $0.proof.ran(now: now) }
        if noted.withLock({ $0.isNewMinute(ran) }) { journal.noteRan(seconds: ran) }
    }

    /// Writes to the journal how often keys have been used, and warns people when one nears the limit. A key that was
    /// used has changed as the journal is given keys, so that this is asked for in the same rounds.
    private func noteUses() {
        let totals = state.withLock { $0.useCounts }.totals
        let (new, reached) = notedUses.withLock { $0.note(totals) }
        if !new.isEmpty { journal.add(new) }
        let reason =
            "a key may encrypt 2^32 times with random IVs (NIST SP 800-38D, section 8.3), and what other nodes have "
            + "encrypted under it counts as well: replace the key in time"
        for (label, encrypts) in reached {
            logger.warning(
                "key used often",
                metadata: [
                    "key": "\(label)", "encrypts": "\(encrypts)", "limit": "\(KeyUseLimit.encrypts)",
                    "reason": "\(reason)",
                ])
        }
    }

    private func adjustLanes(_ hsm: Int) {
        let holding = state.withLock { state -> Int? in
            guard !state.isStopping, state.hsms[hsm].worker != nil, state.hsms[hsm].identity != nil else { return nil }
            return state.machine.lanes(of: hsm).open + PoolMember.sessionsBesideLanes
        }
        guard let holding else { return }
        let lanes = max(claim(hsm, holding: holding), Self.fewestLanes)
        let now = monotonicNanoseconds()
        let effects = state.withLock { state in
            state.effects(of: state.machine.allow(hsm, lanes: lanes, now: now), now: now)
        }
        perform(effects)
    }
}

extension PoolState {
    /// Sessions that other workers of this process have with the token of an HSM: the ledger knows processes only.
    fileprivate func sessionsBeside(_ hsm: Int) -> Int {
        let token = hsms[hsm].settings.ledgerName
        return hsms.indices.reduce(0) { sum, other in
            guard other != hsm, hsms[other].worker != nil, hsms[other].settings.ledgerName == token else { return sum }
            return sum + machine.lanes(of: other).open + PoolMember.sessionsBesideLanes
        }
    }
}

/// Which keys the journal has been given, so that only changes are given to it. There may be thousands.
struct NotedKeys {
    /// Keys are looked at in each tenth round only.
    private static let rounds = 10

    private var round = 0
    private var minute: Int64 = -1
    private var last: [KeyLabel: KeyRow] = [:]

    /// The keys to give to it in this round.
    mutating func next(_ keys: () -> [KeyRow]) -> [KeyRow] {
        defer { round = (round + 1) % Self.rounds }
        return round == 0 ? changed(keys()) : []
    }

    /// True once in each minute of running time.
    mutating func isNewMinute(_ ranSeconds: Int64) -> Bool {
        defer { minute = ranSeconds / 60 }
        return minute != ranSeconds / 60
    }

    mutating func changed(_ keys: [KeyRow]) -> [KeyRow] {
        let new = keys.filter { last[$0.label] != $0 }
        for key in new { last[key.label] = key }
        return new
    }
}
