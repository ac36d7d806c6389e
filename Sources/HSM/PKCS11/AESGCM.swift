// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol
import SecureMemory

/// Length of the tag that stands behind every ciphertext, bytes.
package let gcmTagLength = 16

/// One AES-GCM call: what goes in, and where the result goes. Lends memory; owns nothing.
package struct GCMCall {
    package var key: ObjectHandle
    /// Encrypt, where the caller makes the IV: the IV, all of the buffer; read it back after the call, since an HSM may
    /// have put its own in its place. Encrypt, where the HSM makes it: room for the profile's `ivLength`, or more; the
    /// IV stands at the beginning afterwards. Decrypt: the IV.
    package var iv: UnsafeMutableRawBufferPointer
    package var aad: UnsafeRawBufferPointer
    /// Plaintext, or ciphertext ‖ tag.
    package var input: UnsafeRawBufferPointer
    /// Room for the result: encrypt `GCMProfile.outputRoom`, decrypt `input.count` (some libraries want room for the
    /// tag).
    package var output: UnsafeMutableRawBufferPointer

    package init(
        key: ObjectHandle, iv: UnsafeMutableRawBufferPointer, aad: UnsafeRawBufferPointer,
        input: UnsafeRawBufferPointer, output: UnsafeMutableRawBufferPointer
    ) {
        self.key = key
        self.iv = iv
        self.aad = aad
        self.input = input
        self.output = output
    }
}

extension GCMProfile {
    /// Room that an encryption of `count` bytes needs for its output. An HSM that appends the IV writes it there.
    package func outputRoom(forPlaintextOf count: Int) -> Int {
        count + gcmTagLength + (ivSource == .appended ? ivLength : 0)
    }
}

extension Session {
    /// Encrypts; the output is ciphertext ‖ tag, `length` bytes, and the IV is the first `ivLength` bytes of `call.iv`.
    ///
    /// No size query; a result of another length than the profile promises is CKR_DEVICE_ERROR. An HSM that was to make
    /// the IV and left zeroes is CKR_RANDOM_NO_RNG of C_GenerateRandom: what it encrypted must not be used.
    package func encrypt(_ call: GCMCall, profile: GCMProfile) -> CallResult {
        switch profile.ivSource {
        case .caller:
            guard !call.iv.isEmpty else { return profile.layout.refusal(.encrypt, .mechanismParamInvalid) }
            let result = tryEncryption(call, layout: profile.layout)
            return call.finishEncryption(result, expected: gcmTagLength, ivLength: call.iv.count)
        case .buffer: return encryptIntoZeroedBuffer(call, profile)
        case .appended: return encryptAppending(call, profile)
        }
    }

    /// The HSM writes its IV into a buffer of zeroes. One that took the zeroes for an IV is caught here.
    private func encryptIntoZeroedBuffer(_ call: GCMCall, _ profile: GCMProfile) -> CallResult {
        guard profile.layout != .message, call.iv.count >= profile.ivLength else {
            return profile.layout.refusal(.encrypt, .mechanismParamInvalid)
        }
        var zeroed = call
        zeroed.iv = UnsafeMutableRawBufferPointer(rebasing: call.iv[0..<profile.ivLength])
        wipe(zeroed.iv)
        let result = call.finishEncryption(
            tryEncryption(zeroed, layout: profile.layout), expected: gcmTagLength, ivLength: profile.ivLength)
        guard result.isOK else { return result }
        guard zeroed.iv.contains(where: { $0 != 0 }) else {
            wipe(call.output)
            return CallResult(function: .generateRandom, code: .randomNoRNG)
        }
        return result
    }

    /// The HSM writes 16 bytes of IV behind the tag. It is given no IV; one that refuses this gets 16 zeroes. An HSM
    /// that took the zeroes for an IV appends none, and is caught by the length.
    private func encryptAppending(_ call: GCMCall, _ profile: GCMProfile) -> CallResult {
        guard profile.layout != .message, call.iv.count >= profile.ivLength else {
            return profile.layout.refusal(.encrypt, .mechanismParamInvalid)
        }
        var without = call
        without.iv = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        var result = tryEncryption(without, layout: profile.layout)
        if result.code.refusesParameter, result.function == .encryptInit {
            without.iv = UnsafeMutableRawBufferPointer(rebasing: call.iv[0..<profile.ivLength])
            wipe(without.iv)
            result = tryEncryption(without, layout: profile.layout)
        }
        let expected = gcmTagLength + profile.ivLength
        result = call.finishEncryption(result, expected: expected, ivLength: profile.ivLength)
        guard result.isOK else { return result }
        result.length -= profile.ivLength
        let appended = UnsafeRawBufferPointer(rebasing: call.output[result.length..<result.length + profile.ivLength])
        guard appended.contains(where: { $0 != 0 }) else {
            wipe(call.output)
            return CallResult(function: .generateRandom, code: .randomNoRNG)
        }
        call.iv.copyMemory(from: appended)
        return result
    }

    /// Decrypts ciphertext ‖ tag with an IV of any length. No size query; a result of another length than
    /// `input.count - 16` is CKR_DEVICE_ERROR. What cannot hold a tag is CKR_ENCRYPTED_DATA_LEN_RANGE without a call;
    /// an empty IV is CKR_MECHANISM_PARAM_INVALID.
    package func decrypt(_ call: GCMCall, profile: GCMProfile) -> CallResult {
        guard !call.iv.isEmpty else { return profile.layout.refusal(.decrypt, .mechanismParamInvalid) }
        guard call.input.count >= gcmTagLength else {
            let function: PKCS11Function = profile.layout == .message ? .decryptMessage : .decrypt
            return CallResult(function: function, code: .encryptedDataLenRange)
        }
        guard call.output.count >= call.input.count else {
            return profile.layout.refusal(.decrypt, .bufferTooSmall)
        }
        let result = call.perform(.decrypt, on: self, layout: profile.layout)
        guard result.isOK else { return result }
        guard result.length == call.input.count - gcmTagLength else {
            return CallResult(function: result.function, code: .deviceError)
        }
        return result
    }

    /// The bare calls of an encryption, for those who want to know what an HSM does: an empty IV goes as NULL, and
    /// `length` is what the library reported, up to the room there is.
    package func tryEncryption(_ call: GCMCall, layout: GCMProfile.Layout) -> CallResult {
        guard call.output.count >= call.input.count + gcmTagLength else {
            return layout.refusal(.encrypt, .bufferTooSmall)
        }
        return call.perform(.encrypt, on: self, layout: layout)
    }
}

/// Which way a call goes.
enum GCMDirection {
    case encrypt
    case decrypt
}

extension GCMProfile.Layout {
    /// What was refused before the library was asked, reported as from the function that would have refused it.
    fileprivate func refusal(_ direction: GCMDirection, _ code: ReturnCode) -> CallResult {
        let function: PKCS11Function =
            switch (self, direction) {
            case (.message, .encrypt): .messageEncryptInit
            case (.message, .decrypt): .messageDecryptInit
            case (_, .encrypt): .encryptInit
            case (_, .decrypt): .decryptInit
            }
        return CallResult(function: function, code: code)
    }
}

extension GCMCall {
    fileprivate func finishEncryption(_ result: CallResult, expected: Int, ivLength: Int) -> CallResult {
        guard result.isOK else { return result }
        guard result.length == input.count + expected else {
            return CallResult(function: result.function, code: .deviceError)
        }
        return CallResult(function: result.function, code: .ok, length: result.length, ivLength: ivLength)
    }
}

extension ReturnCode {
    /// True when a library refuses the mechanism's parameter: wrong layout, or an IV that it does not want.
    package var refusesParameter: Bool { self == .mechanismParamInvalid || self == .argumentsBad }
}
