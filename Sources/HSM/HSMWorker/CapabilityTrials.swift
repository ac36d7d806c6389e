// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

/// Encryptions and decryptions that show how a token behaves. What is encrypted is of no worth, and so is the key.
struct CapabilityTrials {
    /// A code that passes by itself, such as a busy HSM's, is believed after this many tries.
    private static let tries = 3
    /// As long as the shortest additional data of a real request, so that it is no case of its own.
    private static let aad = Array("claviger capability".utf8)

    private let holder: Session
    private let key: ObjectHandle
    /// `nil` where the token allows no further session; then the holder serves.
    private var own: Session?

    /// The key lives in `holder`. The trials have a session of their own, where the token allows one more: a refused
    /// call may leave it in the midst of an operation.
    init(_ holder: Session, key: ObjectHandle) {
        self.holder = holder
        self.key = key
        own = try? Session.open(holder.module, slot: holder.slot)
    }

    func end() { try? own?.close() }

    private var session: Session { own ?? holder }

    private mutating func renew() {
        end()
        own = try? Session.open(holder.module, slot: holder.slot)
    }

    /// Tries, and again while the code may pass by itself.
    private mutating func attempt(_ body: (Session) -> CallResult) -> CallResult {
        var result = body(session)
        var left = Self.tries - 1
        while !result.isOK {
            renew()
            guard left > 0, result.code.mayPassByItself else { return result }
            left -= 1
            result = body(session)
        }
        return result
    }

    // MARK: Profile

    enum Found {
        case found(GCMProfile)
        case refused(CallResult)
    }

    /// The profile that works with this layout.
    mutating func profile(in layout: GCMProfile.Layout) -> Found {
        let seen = ivSource(in: layout)
        if case .found(let profile) = seen {
            let outcome = confirm(profile)
            return outcome.isOK ? seen : .refused(outcome)
        }
        guard case .refused(let refusal) = seen, layout != .message, refusal.code != .mechanismInvalid,
            refusal.code != .functionNotSupported, !refusal.code.isAboutTheHSM
        else { return seen }
        // It refuses the caller's IV, or this layout.
        for source in [GCMProfile.IVSource.buffer, .appended] {
            let profile = GCMProfile(ivSource: source, layout: layout)
            let outcome = confirm(profile)
            if outcome.isOK { return .found(profile) }
            // It takes this way, and makes IVs that nobody may use.
            if outcome == .brokenGenerator { return .refused(outcome) }
        }
        return seen
    }

    /// Gives an IV, and sees who made the one that was used. There is no additional data yet: a library that takes the
    /// longer parameter for the shorter one reads the IV's length in bits where the address of these data should be.
    private mutating func ivSource(in layout: GCMProfile.Layout) -> Found {
        let given = Self.randomBytes(ivLength)
        let plaintext = Self.randomBytes(32)
        var iv = given
        var output = [UInt8](repeating: 0, count: plaintext.count + gcmTagLength + GCMProfile.longestIV)
        let key = key
        let result = attempt { session in
            iv = given
            return lend(key, &iv, [], plaintext, &output) { session.tryEncryption($0, layout: layout) }
        }
        guard result.isOK else { return .refused(result) }
        let source: GCMProfile.IVSource
        switch result.length - plaintext.count - gcmTagLength {
        case GCMProfile(ivSource: .appended, layout: layout).ivLength: source = .appended
        case 0: source = iv == given ? .caller : .buffer
        default: return .refused(CallResult(function: result.function, code: .deviceError))
        }
        return .found(GCMProfile(ivSource: source, layout: layout))
    }

    /// A round trip as a request makes it.
    mutating func confirm(_ profile: GCMProfile) -> CallResult {
        roundTrip(profile, plaintext: Self.randomBytes(32), aad: Self.aad)
    }

    /// Encrypts, decrypts, compares. Another plaintext is CKR_DEVICE_ERROR.
    mutating func roundTrip(_ profile: GCMProfile, plaintext: [UInt8], aad: [UInt8]) -> CallResult {
        let (result, sealed) = encrypt(plaintext, aad: aad, profile)
        guard let sealed else { return result }
        let opened = decrypt(sealed, profile)
        guard opened.result.isOK else { return opened.result }
        return opened.plaintext == plaintext ? .ok : CallResult(function: opened.result.function, code: .deviceError)
    }

    // MARK: Wrong tags

    enum WrongTag: Equatable {
        /// Always this code, while the right tag passes.
        case code(ReturnCode)
        case unsure
        /// The token gave a plaintext.
        case opened
    }

    /// Which tags are offered, one after the other: true is the wrong one. A busy HSM's code must not be taken for a
    /// wrong tag's, also when it is busy at every second or third call; so the order has no period. The right one comes
    /// first: the ciphertext itself may be spoilt.
    private static let wrongTagOrder = [false, true, false, true, true, false, true, true, true, false]

    /// Offers wrong tags and the right one.
    mutating func wrongTag(_ profile: GCMProfile) -> WrongTag {
        guard let sealed = encrypt(Self.randomBytes(32), aad: Self.aad, profile).sealed else { return .unsure }
        var codes = Set<ReturnCode>()
        for (turn, isWrong) in Self.wrongTagOrder.enumerated() {
            var offered = sealed
            if isWrong { offered.ciphertext[sealed.ciphertext.count - 1 - turn] ^= 0x10 }
            let result = decrypt(offered, profile, tries: 1).result
            if isWrong {
                guard !result.isOK else { return .opened }
                codes.insert(result.code)
            } else if !result.isOK {
                return .unsure
            }
        }
        guard let code = codes.first, codes.count == 1 else { return .unsure }
        return .code(code)
    }

    /// How a decryption with an IV of `length` bytes ends that nobody has encrypted with: with the code of a wrong tag
    /// where the token takes IVs of this length.
    mutating func decryptStrange(ivLength length: Int, _ profile: GCMProfile) -> CallResult {
        let strange = Sealed(iv: Self.randomBytes(length), aad: Self.aad, ciphertext: Self.randomBytes(48))
        return decrypt(strange, profile, tries: 1).result
    }

    // MARK: Calls

    private struct Sealed {
        var iv: [UInt8]
        var aad: [UInt8]
        var ciphertext: [UInt8]
    }

    private mutating func encrypt(
        _ plaintext: [UInt8], aad: [UInt8], _ profile: GCMProfile
    ) -> (result: CallResult, sealed: Sealed?) {
        var iv: [UInt8] = []
        var output = [UInt8](repeating: 0, count: profile.outputRoom(forPlaintextOf: plaintext.count))
        let key = key
        let result = attempt { session in
            iv = Self.randomBytes(profile.ivLength)
            return lend(key, &iv, aad, plaintext, &output) { session.encrypt($0, profile: profile) }
        }
        guard result.isOK else { return (result, nil) }
        return (result, Sealed(iv: iv, aad: aad, ciphertext: Array(output.prefix(result.length))))
    }

    private mutating func decrypt(
        _ sealed: Sealed, _ profile: GCMProfile, tries: Int = tries
    ) -> (result: CallResult, plaintext: [UInt8]) {
        var iv = sealed.iv
        var output = [UInt8](repeating: 0, count: sealed.ciphertext.count)
        let key = key
        let body = { (session: Session) in
            lend(key, &iv, sealed.aad, sealed.ciphertext, &output) { session.decrypt($0, profile: profile) }
        }
        var result: CallResult
        if tries > 1 {
            result = attempt(body)
        } else {
            result = body(session)
            if !result.isOK { renew() }
        }
        return (result, Array(output.prefix(result.length)))
    }

    /// From the system's generator: what these bytes protect is of no worth, and the HSM's is tried elsewhere.
    private static func randomBytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in .random(in: 0...255) } }
}

/// Lends arrays for one call.
private func lend(
    _ key: ObjectHandle, _ iv: inout [UInt8], _ aad: [UInt8], _ input: [UInt8], _ output: inout [UInt8],
    _ body: (GCMCall) -> CallResult
) -> CallResult {
    iv.withUnsafeMutableBytes { iv in
        aad.withUnsafeBytes { aad in
            input.withUnsafeBytes { input in
                output.withUnsafeMutableBytes { output in
                    body(GCMCall(key: key, iv: iv, aad: aad, input: input, output: output))
                }
            }
        }
    }
}

extension ReturnCode {
    /// True when the same call may succeed in a moment.
    var mayPassByItself: Bool {
        switch self {
        case .generalError, .functionFailed, .functionCanceled, .functionRejected, .hostMemory, .deviceMemory,
            .deviceError, .operationActive, .operationNotInitialized, .sessionClosed, .sessionHandleInvalid:
            true
        default: false
        }
    }

    /// True when the code is about token or session, and not about what was tried.
    var isAboutTheHSM: Bool {
        switch self {
        case .hostMemory, .deviceMemory, .deviceError, .deviceRemoved, .tokenNotPresent, .tokenNotRecognized,
            .slotIDInvalid, .sessionClosed, .sessionHandleInvalid, .userNotLoggedIn, .cryptokiNotInitialized,
            .operationActive, .keyHandleInvalid, .objectHandleInvalid:
            true
        default: false
        }
    }

    /// True when a later attempt would end in the same way.
    var refusesForGood: Bool {
        switch self {
        case .mechanismInvalid, .mechanismParamInvalid, .argumentsBad, .functionNotSupported: true
        default: false
        }
    }
}
