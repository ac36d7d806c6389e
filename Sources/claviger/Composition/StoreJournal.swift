// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import CPlatform
import Glibc
import KeyProof
import LaneProtocol
import NodeStore
import Routing

/// Keeps in the store what the pool wants kept.
struct StoreJournal: PoolJournal {
    let store: NodeStore
    let refusedPINs: RefusedPINs

    func proof() -> StoredProof {
        StoredProof(
            canaries: store.canaries().map(Canary.init), forgets: store.forgets().map(ForgetOrder.init),
            ranSeconds: Int64(store.runningSeconds()))
    }

    func drainedHSMs() -> Set<String> { store.drained() }

    func keep(_ canary: Canary) {
        store.record(
            canary: StoredCanary(
                label: canary.label.text, iv: canary.sealed.initializationVector, ciphertext: canary.sealed.ciphertext,
                digest: canary.digest, hsm: canary.maker, madeUnixSeconds: Int(clamping: canary.madeAt),
                trustedByOperator: canary.isTrusted, dispute: canary.dispute,
                history: StoredCanaryHistory(canary.history)))
    }

    func drop(canaryOf label: KeyLabel) { store.removeCanary(label: label.text) }

    func keep(_ order: ForgetOrder) {
        store.record(
            forget: StoredForget(
                label: order.label.text, canaries: order.canaries, givenUnixSeconds: Int(clamping: order.givenAt),
                author: order.author))
    }

    func noteRan(seconds: Int64) { store.record(runningSeconds: Int(clamping: seconds)) }

    func keyUses() -> [KeyLabel: KeyUses] {
        let uses = store.keyUses().map { stored in
            (
                KeyLabel(stored.label),
                KeyUses(encrypts: UInt64(clamping: stored.encrypts), decrypts: UInt64(clamping: stored.decrypts))
            )
        }
        return Dictionary(uses) { first, _ in first }
    }

    func add(_ uses: [KeyLabel: KeyUses]) {
        store.add(
            keyUses: uses.map { label, uses in
                StoredKeyUses(
                    label: label.text, encrypts: Int(clamping: uses.encrypts), decrypts: Int(clamping: uses.decrypts))
            })
    }

    func note(pinOf hsm: String, isRefused: Bool) { refusedPINs.note(hsm, isRefused: isRefused) }

    func setDrained(_ hsm: String, _ isDrained: Bool) { store.setDrained(hsm, isDrained) }

    func note(_ change: HSMStateChange) {
        store.record(
            StoredTransition(
                hsm: change.hsm, from: change.from, to: change.to, reason: change.reason,
                atUnixMilliseconds: UnixTime.milliseconds()))
    }

    func note(hsms: [PoolHSM], keys: [KeyRow]) {
        let now = Int(time(nil))
        store.record(hsms: hsms.map { stored($0, now: now) })
        store.record(keys: keys.flatMap { stored($0, now: now) })
    }

    private func stored(_ hsm: PoolHSM, now: Int) -> StoredHSM {
        let (shown, latency) = (hsm.shown, hsm.shown.latencyMicroseconds)
        return StoredHSM(
            name: shown.name, module: hsm.module, tokenLabel: shown.tokenLabel ?? "", serial: shown.serial ?? "",
            vendor: hsm.identity?.manufacturer ?? "", model: shown.model ?? "", firmware: shown.firmware ?? "",
            sessionLimit: hsm.identity.flatMap { $0.sessionLimit == 0 ? nil : Int(clamping: $0.sessionLimit) },
            state: shown.state, reason: shown.reason ?? "",
            sinceUnixSeconds: Int(clamping: shown.sinceUnixSeconds),
            p50Microseconds: Int(clamping: latency?.p50 ?? 0), p95Microseconds: Int(clamping: latency?.p95 ?? 0),
            p99Microseconds: Int(clamping: latency?.p99 ?? 0), failures: Int(clamping: hsm.failures),
            lanesOpen: shown.lanes.open, lanesBusy: shown.lanes.inUse, lanesOverdue: shown.lanes.overdue,
            workerPID: hsm.workerPID == 0 ? nil : Int(hsm.workerPID), updatedUnixSeconds: now)
    }

    private func stored(_ key: KeyRow, now: Int) -> [StoredKey] {
        key.cells.map { cell in
            StoredKey(
                label: key.label.text, hsm: cell.hsm, verdict: cell.state, detail: key.dispute ?? cell.detail,
                usage: cell.usage.words.joined(separator: " "), checkedUnixSeconds: now,
                encrypts: Int(clamping: cell.encrypts), decrypts: Int(clamping: cell.decrypts))
        }
    }

    func claimLanes(token: String, wanted: Int, floor: Int, holding: Int, limit: Int?) -> LaneGrant {
        let claim = store.claimLanes(token: token, wanted: wanted, floor: floor, limit: limit, holding: holding)
        return LaneGrant(granted: claim.granted, others: claim.others)
    }

    func releaseLanes(token: String) { store.releaseLanes(token: token) }
}

/// The wall clock, for what people and the store are given.
enum UnixTime {
    static func milliseconds() -> Int {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int(now.tv_sec) * 1_000 + Int(now.tv_nsec) / 1_000_000
    }

    /// When it was `monotonic`, nanoseconds of the monotonic clock, in seconds since 1970.
    static func seconds(ofMonotonic monotonic: UInt64) -> Int64 {
        let now = claviger_monotonic_nanoseconds()
        return Int64(time(nil)) - Int64(clamping: (now > monotonic ? now - monotonic : 0) / 1_000_000_000)
    }
}

extension HSMTransition {
    init(_ stored: StoredTransition) {
        self.init(
            atUnixSeconds: Int64(stored.atUnixMilliseconds / 1_000), hsm: stored.hsm, from: stored.from.state,
            to: stored.to.state, reason: stored.reason.isEmpty ? nil : stored.reason)
    }
}

extension Canary {
    fileprivate init(_ stored: StoredCanary) {
        self.init(
            label: KeyLabel(stored.label),
            sealed: SealedCanary(initializationVector: stored.iv, ciphertext: stored.ciphertext),
            digest: stored.digest, maker: stored.hsm, madeAt: Int64(stored.madeUnixSeconds),
            isTrusted: stored.trustedByOperator, dispute: stored.dispute, history: CanaryHistory(stored.history))
    }
}

extension CanaryHistory {
    fileprivate init(_ stored: StoredCanaryHistory) {
        self.init(
            provers: stored.provers, replaces: stored.replaces, rivals: stored.rivals,
            servingSince: stored.servingSinceSeconds.map(Int64.init), isUnconfirmed: stored.isUnconfirmed,
            wasContested: stored.wasContested, outlived: stored.outlivedUnixSeconds.map(Int64.init))
    }
}

extension StoredCanaryHistory {
    fileprivate init(_ history: CanaryHistory) {
        self.init()
        provers = history.provers
        replaces = history.replaces
        rivals = history.rivals
        servingSinceSeconds = history.servingSince.map { Int(clamping: $0) }
        isUnconfirmed = history.isUnconfirmed
        wasContested = history.wasContested
        outlivedUnixSeconds = history.outlived.map { Int(clamping: $0) }
    }
}

extension ForgetOrder {
    fileprivate init(_ stored: StoredForget) {
        self.init(
            label: KeyLabel(stored.label), canaries: stored.canaries, givenAt: Int64(stored.givenUnixSeconds),
            author: stored.author)
    }
}
