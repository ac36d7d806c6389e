// SPDX-License-Identifier: Apache-2.0
import CPlatform
import LaneProtocol
import PKCS11

/// Probes a token with real cryptography: encrypts random bytes under a key made for it, decrypts them, compares.
/// Used by the keeper's thread only.
struct Prober {
    private let knownBlock: KnownBlockHolder
    private let ivs: IVPool
    private let profile: GCMProfile
    private let isLoggedIn: Bool
    private var key: ObjectHandle?
    /// Distinguishes the keys of the prober, whose handles may be the same.
    private var keyNumber: UInt64 = 0
    /// Why there is no probe key, if the token refused to make one.
    private(set) var refusal: PKCS11Error?

    /// - Parameters:
    ///   - profile: how the token wants to be called.
    ///   - isLoggedIn: whether the worker has a PIN, and so may make private objects.
    init(knownBlock: KnownBlockHolder, ivs: IVPool, profile: GCMProfile, isLoggedIn: Bool) {
        self.knownBlock = knownBlock
        self.ivs = ivs
        self.profile = profile
        self.isLoggedIn = isLoggedIn
    }

    /// The key lived in a session that is gone.
    mutating func forgetKey() {
        key = nil
        knownBlock.replace(with: nil)
    }

    /// One probe on `session`. Where the token makes no session key, it only draws random bytes, and says so by the
    /// function in the report. Its time is that of the calls which a request would make: to make a key, or to draw IVs in
    /// bulk, may take far longer.
    mutating func probe(on session: Session) -> ProbeReport {
        var spent: UInt64 = 0
        let result = run(on: session, &spent)
        return ProbeReport(
            passed: result.passed, function: result.result.function, code: UInt64(result.result.code.rawValue),
            microseconds: UInt32(clamping: spent / 1000))
    }

    /// Makes a call, and adds the time that it takes, nanoseconds.
    private static func timed<Result>(_ spent: inout UInt64, _ call: () -> Result) -> Result {
        let start = claviger_monotonic_nanoseconds()
        let result = call()
        spent &+= claviger_monotonic_nanoseconds() &- start
        return result
    }

    private mutating func run(on session: Session, _ spent: inout UInt64) -> (passed: Bool, result: CallResult) {
        var plaintext = [UInt8](repeating: 0, count: 64)
        var timeOfRandom: UInt64 = 0
        let drawn = plaintext.withUnsafeMutableBytes { bytes in
            Self.timed(&timeOfRandom) { session.random(into: bytes) }
        }
        guard drawn.isOK else { return (false, drawn) }
        // The same generator makes the IVs: what they must not be, this must not be either.
        guard plaintext.withUnsafeBytes({ ivs.admit(drawn: $0) }) else { return (false, .brokenGenerator) }
        if key == nil {
            do {
                key = try session.generateSessionKey(visibleWithoutLogin: !isLoggedIn)
                keyNumber &+= 1
                refusal = nil
            } catch {
                guard error.code.meansUnwillingToMakeKeys else {
                    return (false, CallResult(function: error.function, code: error.code))
                }
                refusal = error
                spent = timeOfRandom
                return (true, drawn)
            }
        }
        guard let key else { return (false, drawn) }
        return roundTrip(plaintext, key: key, session: session, &spent)
    }

    private func roundTrip(
        _ plaintext: [UInt8], key: ObjectHandle, session: Session, _ spent: inout UInt64
    ) -> (passed: Bool, result: CallResult) {
        var iv = [UInt8](repeating: 0, count: profile.ivLength)
        var output = [UInt8](repeating: 0, count: profile.outputRoom(forPlaintextOf: plaintext.count))
        let encrypted = iv.withUnsafeMutableBytes { iv in
            plaintext.withUnsafeBytes { input in
                output.withUnsafeMutableBytes { output in
                    let call = GCMCall(
                        key: key, iv: iv, aad: UnsafeRawBufferPointer(start: nil, count: 0), input: input,
                        output: output)
                    return profile.ivSource == .caller
                        ? encryptWithOwnIV(call, session, &spent) : encryptWithIVOfHSM(call, session, &spent)
                }
            }
        }
        guard encrypted.isOK else { return (false, encrypted) }
        let block = KnownBlock(
            key: key, iv: iv, ciphertext: Array(output.prefix(encrypted.length)), plaintext: plaintext)
        switch Self.timed(&spent, { session.checkKnownBlock(block, profile: profile) }) {
        case .passed:
            knownBlock.replace(with: block)
            return (true, CallResult(function: .decrypt, code: .ok))
        case .failed(let result): return (false, result)
        case .unavailable: return (false, CallResult(function: .decrypt, code: .generalError))
        }
    }

    private func encryptWithOwnIV(_ call: GCMCall, _ session: Session, _ spent: inout UInt64) -> CallResult {
        switch ivs.take(into: call.iv, refill: { session.random(into: $0) }) {
        case .taken: Self.timed(&spent) { session.encrypt(call, profile: profile) }
        case .failed(let result): result
        case .unusable: .brokenGenerator
        }
    }

    /// The keys of the prober have numbers at the upper end, where no token has its handles.
    private func encryptWithIVOfHSM(_ call: GCMCall, _ session: Session, _ spent: inout UInt64) -> CallResult {
        let result = Self.timed(&spent) { session.encrypt(call, profile: profile) }
        guard result.isOK else { return result }
        let iv = UnsafeRawBufferPointer(rebasing: call.iv.prefix(result.ivLength))
        return ivs.admit(iv, madeUnder: .max &- keyNumber) ? result : .brokenGenerator
    }
}

extension ReturnCode {
    /// True when a refused key generation shows what the token allows, not how it is.
    var meansUnwillingToMakeKeys: Bool {
        switch self {
        case .mechanismInvalid, .functionNotSupported, .actionProhibited, .attributeTypeInvalid,
            .attributeValueInvalid, .attributeReadOnly, .templateInconsistent, .templateIncomplete, .keySizeRange,
            .sessionReadOnly, .tokenWriteProtected, .functionRejected, .mechanismParamInvalid:
            true
        default: false
        }
    }
}
