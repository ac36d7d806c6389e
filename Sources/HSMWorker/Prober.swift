// SPDX-License-Identifier: Apache-2.0
import CPlatform
import LaneProtocol
import PKCS11

/// Probes a token with real cryptography: encrypts random bytes under a key made for it, decrypts them, compares.
/// Used by the keeper's thread only.
struct Prober {
    private let knownBlock: KnownBlockHolder
    private let ivs: IVPool
    private let isLoggedIn: Bool
    private var key: ObjectHandle?
    /// Why there is no probe key, if the token refused to make one.
    private(set) var refusal: PKCS11Error?

    /// `isLoggedIn`: whether the worker has a PIN, and so may make private objects.
    init(knownBlock: KnownBlockHolder, ivs: IVPool, isLoggedIn: Bool) {
        self.knownBlock = knownBlock
        self.ivs = ivs
        self.isLoggedIn = isLoggedIn
    }

    /// The key lived in a session that is gone.
    mutating func forgetKey() {
        key = nil
        knownBlock.replace(with: nil)
    }

    /// One probe on `session`. Where the token makes no session key, it only draws random bytes, and says so by the
    /// function in the report.
    mutating func probe(on session: Session) -> ProbeReport {
        let start = claviger_monotonic_nanoseconds()
        let result = run(on: session)
        let microseconds = UInt32(clamping: (claviger_monotonic_nanoseconds() &- start) / 1000)
        return ProbeReport(
            passed: result.passed, function: result.result.function, code: UInt64(result.result.code.rawValue),
            microseconds: microseconds)
    }

    private mutating func run(on session: Session) -> (passed: Bool, result: CallResult) {
        var plaintext = [UInt8](repeating: 0, count: 64)
        let drawn = plaintext.withUnsafeMutableBytes { session.random(into: $0) }
        guard drawn.isOK else { return (false, drawn) }
        guard plaintext.contains(where: { $0 != 0 }) else { return (false, drawn) }
        if key == nil {
            do {
                key = try session.generateSessionKey(visibleWithoutLogin: !isLoggedIn)
                refusal = nil
            } catch {
                guard Self.meansUnwilling(error.code) else {
                    return (false, CallResult(function: error.function, code: error.code))
                }
                refusal = error
                return (true, drawn)
            }
        }
        guard let key else { return (false, drawn) }
        return roundTrip(plaintext, key: key, session: session)
    }

    private func roundTrip(
        _ plaintext: [UInt8], key: ObjectHandle, session: Session
    ) -> (passed: Bool, result: CallResult) {
        var block = KnownBlock(
            key: key, iv: [UInt8](repeating: 0, count: ivLength),
            ciphertext: [UInt8](repeating: 0, count: plaintext.count + gcmTagLength), plaintext: plaintext)
        let taken = block.iv.withUnsafeMutableBytes { ivs.take(into: $0, refill: { session.random(into: $0) }) }
        switch taken {
        case .taken: break
        case .failed(let result): return (false, result)
        case .unusable: return (false, CallResult(function: .generateRandom, code: .randomNoRNG))
        }
        let encrypted = block.iv.withUnsafeMutableBytes { iv in
            plaintext.withUnsafeBytes { input in
                block.ciphertext.withUnsafeMutableBytes { output in
                    session.encrypt(
                        GCMCall(
                            key: key, iv: iv, aad: UnsafeRawBufferPointer(start: nil, count: 0), input: input,
                            output: output))
                }
            }
        }
        guard encrypted.isOK else { return (false, encrypted) }
        switch session.checkKnownBlock(block) {
        case .passed:
            knownBlock.replace(with: block)
            return (true, CallResult(function: .decrypt, code: .ok))
        case .failed(let result): return (false, result)
        case .unavailable: return (false, CallResult(function: .decrypt, code: .generalError))
        }
    }

    /// True when a refused key generation tells what the token allows, not how it is.
    private static func meansUnwilling(_ code: ReturnCode) -> Bool {
        switch code {
        case .mechanismInvalid, .functionNotSupported, .actionProhibited, .attributeTypeInvalid,
            .attributeValueInvalid, .attributeReadOnly, .templateInconsistent, .templateIncomplete, .keySizeRange,
            .sessionReadOnly, .tokenWriteProtected, .functionRejected, .mechanismParamInvalid:
            true
        default: false
        }
    }
}
