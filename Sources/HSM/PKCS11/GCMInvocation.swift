// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol

// The calls themselves: one mechanism parameter in three layouts.

extension GCMCall {
    /// Makes the call; `length` is what the library reported, ciphertext and tag together.
    @inline(__always)
    func perform(_ direction: GCMDirection, on session: Session, layout: GCMProfile.Layout) -> CallResult {
        switch layout {
        case .withIVBits:
            // The official header of 2.40. Libraries of either kind refuse the other's length.
            var parameters = CK_GCM_PARAMS(
                pIv: ivPointer, ulIvLen: UInt(iv.count), ulIvBits: UInt(iv.count) &* 8, pAAD: aadPointer,
                ulAADLen: UInt(aad.count), ulTagBits: UInt(gcmTagLength) &* 8)
            return withUnsafeMutableBytes(of: &parameters) { singlePart(direction, session, $0) }
        case .withoutIVBits:
            var parameters = claviger_gcm_params_without_iv_bits(
                pIv: ivPointer, ulIvLen: UInt(iv.count), pAAD: aadPointer, ulAADLen: UInt(aad.count),
                ulTagBits: UInt(gcmTagLength) &* 8)
            return withUnsafeMutableBytes(of: &parameters) { singlePart(direction, session, $0) }
        case .message: return message(direction, session)
        }
    }

    /// C_EncryptInit and C_Encrypt, or C_DecryptInit and C_Decrypt. `parameters` is lent for the whole operation, since
    /// a library may read it until the operation ends.
    @inline(__always)
    private func singlePart(
        _ direction: GCMDirection, _ session: Session, _ parameters: UnsafeMutableRawBufferPointer
    ) -> CallResult {
        var mechanism = CK_MECHANISM(
            mechanism: UInt(CKM_AES_GCM), pParameter: parameters.baseAddress, ulParameterLen: UInt(parameters.count))
        let encrypts = direction == .encrypt
        let initFunction: PKCS11Function = encrypts ? .encryptInit : .decryptInit
        return session.module.exclusively { functions in
            let list = functions.base
            guard let begin = encrypts ? list.pointee.C_EncryptInit : list.pointee.C_DecryptInit,
                let perform = encrypts ? list.pointee.C_Encrypt : list.pointee.C_Decrypt
            else { return CallResult(function: initFunction, code: .functionNotSupported) }
            note(initFunction)
            var code = begin(session.handle, &mechanism, key.rawValue)
            guard code == 0 else { return CallResult(function: initFunction, code: ReturnCode(rawValue: code)) }
            var length = UInt(output.count)
            note(encrypts ? .encrypt : .decrypt)
            code = perform(session.handle, inputPointer, UInt(input.count), outputPointer, &length)
            return outcome(encrypts ? .encrypt : .decrypt, code: code, length: length)
        }
    }

    /// PKCS#11 3.0, section 5.9: C_MessageEncryptInit, C_EncryptMessage, C_MessageEncryptFinal, and their counterparts.
    /// The parameter goes with the message; the tag has memory of its own, here behind the ciphertext.
    private func message(_ direction: GCMDirection, _ session: Session) -> CallResult {
        let encrypts = direction == .encrypt
        let initFunction: PKCS11Function = encrypts ? .messageEncryptInit : .messageDecryptInit
        let bodyLength = encrypts ? input.count : input.count - gcmTagLength
        guard bodyLength >= 0, output.count >= bodyLength + (encrypts ? gcmTagLength : 0) else {
            return CallResult(function: initFunction, code: .bufferTooSmall)
        }
        let tag = encrypts ? outputPointer.map { $0 + bodyLength } : inputPointer.map { $0 + bodyLength }
        var parameters = claviger_gcm_message_params(
            pIv: ivPointer, ulIvLen: UInt(iv.count), ulIvFixedBits: 0, ivGenerator: UInt(CLAVIGER_NO_GENERATE),
            pTag: tag, ulTagBits: UInt(gcmTagLength) &* 8)
        var mechanism = CK_MECHANISM(mechanism: UInt(CKM_AES_GCM), pParameter: nil, ulParameterLen: 0)
        return session.module.exclusively { functions in
            guard let list = functions.newer,
                let begin = encrypts ? list.pointee.C_MessageEncryptInit : list.pointee.C_MessageDecryptInit,
                let perform = encrypts ? list.pointee.C_EncryptMessage : list.pointee.C_DecryptMessage,
                let finish = encrypts ? list.pointee.C_MessageEncryptFinal : list.pointee.C_MessageDecryptFinal
            else { return CallResult(function: initFunction, code: .functionNotSupported) }
            note(initFunction)
            var code = begin(session.handle, &mechanism, key.rawValue)
            guard code == 0 else { return CallResult(function: initFunction, code: ReturnCode(rawValue: code)) }
            // The session stays ready for messages until it is set otherwise, also after a failure.
            defer { _ = finish(session.handle) }
            var length = UInt(output.count - (encrypts ? gcmTagLength : 0))
            note(encrypts ? .encryptMessage : .decryptMessage)
            code = perform(
                session.handle, &parameters, UInt(MemoryLayout<claviger_gcm_message_params>.size), aadPointer,
                UInt(aad.count), inputPointer, UInt(bodyLength), outputPointer, &length)
            if code == 0, encrypts, length != UInt(bodyLength) {
                return CallResult(function: .encryptMessage, code: .deviceError)
            }
            return outcome(
                encrypts ? .encryptMessage : .decryptMessage, code: code,
                length: length &+ (encrypts ? UInt(gcmTagLength) : 0))
        }
    }

    private func outcome(_ function: PKCS11Function, code: UInt, length: UInt) -> CallResult {
        guard code == 0 else { return CallResult(function: function, code: ReturnCode(rawValue: code)) }
        guard length <= UInt(output.count) else { return CallResult(function: function, code: .deviceError) }
        return CallResult(function: function, code: .ok, length: Int(length))
    }

    private var ivPointer: UnsafeMutablePointer<UInt8>? {
        iv.isEmpty ? nil : iv.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }

    /// The library takes it as writable, but only reads it.
    private var aadPointer: UnsafeMutablePointer<UInt8>? {
        guard !aad.isEmpty, let base = aad.baseAddress else { return nil }
        return UnsafeMutableRawPointer(mutating: base).assumingMemoryBound(to: UInt8.self)
    }

    /// The library takes it as writable, but only reads it.
    private var inputPointer: UnsafeMutablePointer<UInt8>? {
        input.baseAddress.map { UnsafeMutableRawPointer(mutating: $0).assumingMemoryBound(to: UInt8.self) }
    }

    private var outputPointer: UnsafeMutablePointer<UInt8>? {
        output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }
}
