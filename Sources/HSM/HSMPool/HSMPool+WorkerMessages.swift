// SPDX-License-Identifier: Apache-2.0
import Glibc
import LaneProtocol
import Logging
import Routing
import StatusVocabulary

// What a worker says: taken in under the lock, reported in the log after it.

extension HSMPool: ControlDelegate {
    func workerSaid(_ message: WorkerMessage, hsm: Int, epoch: UInt64) {
        let now = monotonicNanoseconds()
        let said = state.withLock {
            $0.received(message, hsm: hsm, epoch: epoch, now: now, unixSeconds: Int64(time(nil)))
        }
        guard let (effects, changes) = said else { return }
        perform(effects)
        note(message, hsm: hsm)
        log(message, hsm: hsm)
        report(changes)
        resumeWaiters()
    }

    private func note(_ message: WorkerMessage, hsm: Int) {
        let isRefused: Bool
        switch message {
        case .ready: isRefused = false
        case .failed(let failure) where failure.kind == .pinRefused: isRefused = true
        default: return
        }
        journal.note(pinOf: state.withLock { $0.hsms[hsm].settings.name }, isRefused: isRefused)
    }

    private func log(_ message: WorkerMessage, hsm: Int) {
        let name = Logger.MetadataValue("\(state.withLock { $0.hsms[hsm].settings.name })")
        switch message {
        case .confined(let compartment): report(compartment, of: hsm)
        case .ready(let readiness):
            let identity = readiness.identity
            logger.notice(
                "hsm ready",
                metadata: [
                    "hsm": name, "token": "\(identity.label)", "serial": "\(identity.serial)",
                    "model": "\(identity.model)", "firmware": "\(identity.firmware)",
                    "lanes": "\(readiness.openLanes)", "gcm": "\(readiness.capabilities.profile.words)",
                ])
        case .catalogue(let listing):
            logger.info(
                "keys listed",
                metadata: [
                    "hsm": name, "keys": "\(listing.entries.count)", "others": "\(listing.others)",
                    "extent": "\(listing.extent)",
                ])
            // While the token is being read they come again and again.
            let complaints = listing.extent == .growing ? [] : listing.complaints
            // One without a label is about the token or the worker.
            for complaint in complaints where complaint.label.isEmpty {
                logger.error("hsm is not whole", metadata: ["hsm": name, "reason": "\(complaint.reason)"])
            }
            for complaint in complaints where !complaint.label.isEmpty {
                logger.error(
                    "key cannot serve",
                    metadata: ["hsm": name, "key": "\(complaint.label)", "reason": "\(complaint.reason)"])
            }
        case .probe(let report):
            guard !report.passed else { return }
            logger.warning(
                "probe failed",
                metadata: ["hsm": name, "function": "\(report.function.name)", "code": "0x\(hexadecimal(report.code))"])
        case .failed(let failure):
            logger.error(
                "hsm not usable",
                metadata: [
                    "hsm": name, "reason": "\(failure.message)", "function": "\(failure.function.name)",
                    "code": "0x\(hexadecimal(failure.code))",
                    "retry": failure.kind.isPermanent ? "no: reload the configuration when it is mended" : "yes",
                ])
        case .canaryMade, .canaryOpened, .canaryRefused: break
        }
    }
}

extension HSMPool {
    /// Said again only when it is something else: workers are started anew for other reasons.
    private func report(_ compartment: Compartment, of hsm: Int) {
        let complaint = compartment.complaint
        let (name, isNews) = state.withLock { state in
            let isNews = state.hsms[hsm].compartmentComplaint != complaint
            state.hsms[hsm].compartmentComplaint = complaint
            return (state.hsms[hsm].settings.name, isNews)
        }
        guard let complaint, isNews else { return }
        logger.warning("library not confined", metadata: ["hsm": "\(name)", "reason": "\(complaint)"])
    }
}

private func hexadecimal(_ value: UInt64) -> String { String(value, radix: 16) }

extension PoolState {
    /// What a worker's message means for its HSM.
    mutating func listen(to message: WorkerMessage, hsm: Int, now: UInt64, unixSeconds: Int64) -> [PoolEffect] {
        hsms[hsm].lastReceived = awake(now)
        switch message {
        case .confined(let compartment):
            hsms[hsm].compartment = compartment
            return []
        case .ready(let readiness):
            hsms[hsm].identity = readiness.identity
            proof.identified(hsm: hsm, serial: readiness.identity.serial)
            hsms[hsm].capabilities = readiness.capabilities
            hsms[hsm].lanesAnnounced = min(Int(readiness.openLanes), hsms[hsm].worker?.lanes.count ?? 0)
            hsms[hsm].failure = nil
            return []
        case .catalogue(let listing):
            // A list that was on its way when key stores began to offer less: nothing is made with keys of others.
            let offered = hsms[hsm].settings.offered
            let entries = listing.entries.filter { offered.contains($0.label) }
            hsms[hsm].complaints = listing.complaints
            let isToHaveKeys = hsms[hsm].settings.offered != OfferedKeys()
            hsms[hsm].absence.listed(listing, isToHaveKeys: isToHaveKeys, now: now)
            var effects: [PoolEffect] = []
            // Only now: before it has listed its keys, an HSM's word on which keys there are must not count.
            if let lanes = hsms[hsm].lanesAnnounced, let worker = hsms[hsm].worker {
                hsms[hsm].lanesAnnounced = nil
                effects += self.effects(
                    of: machine.ready(hsm, openLanes: lanes, lanes: worker.lanes.count, now: now), now: now)
            }
            effects += self.effects(
                of: proof.listed(hsm: hsm, entries: entries, extent: listing.extent, now: now), now: now)
            return effects + own(hsm, now: now)
        case .probe(let report):
            return listen(to: report, hsm: hsm, now: now)
        case .canaryMade, .canaryOpened, .canaryRefused:
            return effects(of: listenToProof(message, now: now, unixSeconds: unixSeconds), now: now)
        case .failed(let failure):
            hsms[hsm].failure = failure
            hsms[hsm].hasSaidFailure = true
            return effects(of: proof.settled(hsm: hsm, now: now), now: now)
        }
    }

    private mutating func listen(to report: ProbeReport, hsm: Int, now: UInt64) -> [PoolEffect] {
        hsms[hsm].lastProbed = awake(now)
        if report.passed {
            hsms[hsm].probeFailure = nil
        } else {
            let code = ReturnCode(rawValue: UInt(truncatingIfNeeded: report.code))
            hsms[hsm].probeFailure =
                "its probe failed: \(report.function.name) \(code.isOK ? "gave a wrong result" : code.name)"
        }
        let actions = machine.probed(
            hsm, passed: report.passed, latency: UInt64(report.microseconds) * 1_000, now: now)
        if machine.phase(of: hsm) == .serving { hsms[hsm].hasServed = true }
        return effects(of: actions, now: now)
    }
}
