// SPDX-License-Identifier: Apache-2.0
import CPlatform
import LaneProtocol
import PKCS11
import SecondOpinion

/// The keeper's own session, on which it searches, probes and proves keys; the probe key lives in it.
/// Used by the keeper's thread only.
final class KeeperSession: LaneSession {
    private let shared: SharedToken
    private var session: Session?
    private var prober: Prober

    /// Why there is no probe key, if the token refused to make one.
    var refusal: PKCS11Error? { prober.refusal }

    init(_ shared: SharedToken, prober: Prober) throws(PKCS11Error) {
        self.shared = shared
        self.prober = prober
        session = try Session.open(shared.module, slot: shared.slot)
    }

    /// One probe.
    func probe() -> ProbeReport {
        guard let session else {
            return ProbeReport(
                passed: false, function: .openSession, code: UInt64(ReturnCode.sessionHandleInvalid.rawValue),
                microseconds: 0)
        }
        let report = prober.probe(on: session)
        if !report.passed { note(ReturnCode(rawValue: UInt(truncatingIfNeeded: report.code))) }
        return report
    }

    /// The token's AES keys, at most `limit`; only those of the label, where there is one.
    func keys(labelled label: KeyLabel?, atMost limit: Int) throws(PKCS11Error) -> (
        handles: [ObjectHandle], isCut: Bool
    ) {
        guard let session else { throw CallResult.noSession(.findObjects).error }
        do {
            return try session.aesKeyHandles(labelled: label, atMost: limit)
        } catch {
            note(error.code)
            throw error
        }
    }

    /// What the token reports of a key object.
    func describe(_ key: ObjectHandle, attributes: inout KeyAttributes) throws(PKCS11Error) -> KeyReading {
        guard let session else { throw CallResult.noSession(.getAttributeValue).error }
        do {
            return try session.describe(key, attributes: &attributes)
        } catch {
            note(error.code)
            throw error
        }
    }

    /// What an object of a label is that is no AES key; `nil` where there is none, or the token does not say.
    func otherObject(labelled label: KeyLabel) -> OtherObject? { try? session?.otherObject(labelled: label) }

    func encrypt(_ call: GCMCall) -> CallResult {
        guard let session else { return .noSession(.encryptInit) }
        return noting(session.encrypt(call, profile: shared.profile))
    }

    func decrypt(_ call: GCMCall) -> CallResult {
        guard let session else { return .noSession(.decryptInit) }
        return noting(session.decrypt(call, profile: shared.profile))
    }

    func random(into target: UnsafeMutableRawBufferPointer) -> CallResult {
        guard let session else { return .noSession(.generateRandom) }
        return noting(session.random(into: target))
    }

    /// Makes a block with known answer first where there is none: before the first probe, and after a new session.
    func knownAnswer() -> KnownAnswer {
        guard let session else { return .failed(.noSession(.decryptInit)) }
        if let block = shared.knownBlock.current {
            let answer = session.checkKnownBlock(block, profile: shared.profile)
            guard case .failed(let result) = answer else { return answer }
            guard result.code.saysNoSuchObject else { return .failed(noting(result)) }
            prober.forgetKey()
        }
        let report = probe()
        guard report.passed else {
            return .failed(
                CallResult(
                    function: report.function, code: ReturnCode(rawValue: UInt(truncatingIfNeeded: report.code))))
        }
        return shared.knownBlock.current == nil ? .unavailable : .passed
    }

    /// The probe key goes with the session.
    func reopen() -> CallResult {
        close()
        do {
            session = try Session.open(shared.module, slot: shared.slot)
            return .ok
        } catch {
            return CallResult(function: error.function, code: error.code)
        }
    }

    func close() {
        prober.forgetKey()
        try? session?.close()
        session = nil
    }

    func restoreLogin() -> CallResult { shared.restoreLogin() }

    func loginStands() -> Bool {
        guard shared.login.canBeSeen else { return true }
        return (try? session?.userIsLoggedIn()) ?? false
    }

    func handle(ofKey reference: UInt32) -> KeyHandle { shared.keys.handle(of: reference) }

    func catalogueIsStale() { shared.doorbell.ring(.readCatalogue) }

    func generatorIsBroken() { shared.doorbell.fail(.brokenGenerator) }

    func now() -> UInt64 { claviger_monotonic_nanoseconds() }

    private func noting(_ result: CallResult) -> CallResult {
        if !result.isOK { note(result.code) }
        return result
    }

    /// A session that is gone is forgotten without being closed, and the probe key with it.
    private func note(_ code: ReturnCode) {
        guard code.saysSessionIsGone else { return }
        prober.forgetKey()
        session = nil
    }
}
