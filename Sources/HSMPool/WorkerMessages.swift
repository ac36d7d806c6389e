// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Logging
import Routing

// What a worker says: taken in under the lock, told in the log after it.

extension HSMPool: ControlDelegate {
    func workerSaid(_ message: WorkerMessage, hsm: Int, epoch: UInt64) {
        let now = monotonicNanoseconds()
        let said = state.withLock { state -> ([PoolEffect], [ConditionChange])? in
            guard state.hsms[hsm].epoch == epoch else { return nil }
            let actions = state.listen(to: message, hsm: hsm, now: now)
            return (state.effects(of: actions, now: now), state.refreshConditions(now: now))
        }
        guard let (effects, changes) = said else { return }
        perform(effects)
        log(message, hsm: hsm)
        report(changes)
        resumeWaiters()
    }

    func workerEnded(hsm: Int, epoch: UInt64) {
        ended(hsm: hsm, epoch: epoch, reason: "its worker ended")
    }

    private func log(_ message: WorkerMessage, hsm: Int) {
        let name = Logger.MetadataValue("\(settings.members[hsm].name)")
        switch message {
        case .ready(let identity, let lanes):
            logger.notice(
                "hsm ready",
                metadata: [
                    "hsm": name, "token": "\(identity.label)", "serial": "\(identity.serial)",
                    "model": "\(identity.model)", "firmware": "\(identity.firmware)", "lanes": "\(lanes)",
                ])
        case .catalogue(let entries, let complaints):
            logger.info("keys listed", metadata: ["hsm": name, "keys": "\(entries.count)"])
            for complaint in complaints {
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
                    "retry": failure.kind.isPermanent ? "no: restart the node when it is mended" : "yes",
                ])
        }
    }
}

private func hexadecimal(_ value: UInt64) -> String { String(value, radix: 16) }

extension PoolState {
    /// What a worker's message means for its HSM.
    mutating func listen(to message: WorkerMessage, hsm: Int, now: UInt64) -> PoolActions {
        hsms[hsm].lastHeard = now
        switch message {
        case .ready(let identity, let lanes):
            hsms[hsm].identity = identity
            hsms[hsm].lanesAnnounced = min(Int(lanes), hsms[hsm].worker?.lanes.count ?? 0)
            hsms[hsm].failure = nil
        case .catalogue(let entries, let complaints):
            catalogue.replace(hsm: hsm, entries: entries, complaints: complaints)
            // Only now: before it has told its keys, an HSM must not be heard on which keys there are.
            guard let lanes = hsms[hsm].lanesAnnounced else { break }
            hsms[hsm].lanesAnnounced = nil
            hsms[hsm].hasServed = true
            hsms[hsm].backoff.ready(now: now)
            return machine.ready(hsm, lanes: lanes, now: now)
        case .probe(let report):
            return machine.probed(hsm, passed: report.passed, now: now)
        case .failed(let failure):
            hsms[hsm].failure = failure
        }
        return PoolActions()
    }
}
