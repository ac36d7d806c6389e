// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import SecondOpinion

/// Where the keys of a worker's catalogue are. One for all sessions of a worker.
final class SimulatedKeyTable {
    var handles: [UInt32: KeyHandle] = [:]
    var isStale = false
}

/// A session of a worker with a token. It has a clock of its own, which each call moves on: the simulation sets it before
/// work begins, and finds there when the work ends.
final class SimulatedSession: LaneSession {
    private let token: SimulatedToken
    private let keys: SimulatedKeyTable
    /// Added to the simulation's time, the monotonic clock of the worker's host.
    private let offset: UInt64
    /// The simulation's time.
    var clock: UInt64 = 0

    init(token: SimulatedToken, keys: SimulatedKeyTable, offset: UInt64) {
        self.token = token
        self.keys = keys
        self.offset = offset
    }

    private func spend() { clock = token.end(ofCallAt: clock) }

    func encrypt(_ call: GCMCall) -> CallResult {
        spend()
        let (value, refusal) = token.refusal(of: call.key, .encrypt)
        guard let value else { return refusal }
        let tag = ToyCipher.tag(value, iv: UnsafeRawBufferPointer(call.iv), aad: call.aad, plaintext: call.input)
        let length = call.input.count + tag.count
        guard call.output.count >= length else { return CallResult(function: .encrypt, code: .argumentsBad) }
        for (index, byte) in call.input.enumerated() { call.output[index] = byte ^ ToyCipher.mask(value) }
        for (index, byte) in tag.enumerated() { call.output[call.input.count + index] = byte }
        return CallResult(function: .encrypt, code: .ok, length: length, ivLength: call.iv.count)
    }

    func decrypt(_ call: GCMCall) -> CallResult {
        spend()
        let (value, refusal) = token.refusal(of: call.key, .decrypt)
        guard let value else { return refusal }
        let invalid = CallResult(function: .decrypt, code: .encryptedDataInvalid)
        let length = call.input.count - ToyCipher.tagLength
        guard length >= 0, !token.denies() else { return invalid }
        let plaintext = call.input.prefix(length).map { $0 ^ ToyCipher.mask(value) }
        let tag = ToyCipher.tag(value, iv: UnsafeRawBufferPointer(call.iv), aad: call.aad, plaintext: plaintext)
        guard call.input.suffix(ToyCipher.tagLength).elementsEqual(tag), call.output.count >= length else {
            return invalid
        }
        for (index, byte) in plaintext.enumerated() { call.output[index] = byte }
        return CallResult(function: .decrypt, code: .ok, length: length)
    }

    func random(into target: UnsafeMutableRawBufferPointer) -> CallResult {
        spend()
        if token.isGone { return CallResult(function: .generateRandom, code: .tokenNotPresent) }
        token.fill(target)
        return .ok
    }

    func knownAnswer() -> KnownAnswer {
        spend()
        if token.isGone { return .failed(CallResult(function: .decrypt, code: .tokenNotPresent)) }
        if let code = token.excuse() { return .failed(CallResult(function: .decrypt, code: code)) }
        if token.denies() { return .failed(CallResult(function: .decrypt, code: .encryptedDataInvalid)) }
        return .passed
    }

    func reopen() -> CallResult {
        spend()
        return token.isGone ? CallResult(function: .openSession, code: .tokenNotPresent) : .ok
    }

    func close() { spend() }
    func restoreLogin() -> CallResult { reopen() }
    func loginStands() -> Bool { !token.isGone }
    func handle(ofKey reference: UInt32) -> KeyHandle { keys.handles[reference] ?? .gone }
    func catalogueIsStale() { keys.isStale = true }
    func generatorIsBroken() {}
    func now() -> UInt64 { clock + offset }

    /// One probe: the same call as a known answer, with a key of the token's own.
    func probe() -> ProbeReport {
        let begun = clock
        spend()
        let microseconds = UInt32(clamping: (clock - begun) / 1_000)
        if token.isGone {
            return ProbeReport(
                passed: false, function: .openSession, code: UInt64(ReturnCode.tokenNotPresent.rawValue),
                microseconds: microseconds)
        }
        let code = token.excuse() ?? (token.denies() ? .encryptedDataInvalid : .ok)
        return ProbeReport(
            passed: code == .ok, function: .decrypt, code: UInt64(code.rawValue), microseconds: microseconds)
    }
}
