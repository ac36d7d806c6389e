// SPDX-License-Identifier: Apache-2.0
import CPKCS11
import LaneProtocol

/// Length of the tag that stands behind every ciphertext, bytes.
package let gcmTagLength = 16

/// One single-part AES-GCM call: what goes in, and where the result goes. Lends memory; owns nothing.
package struct GCMCall {
    package var key: ObjectHandle
    /// A few HSMs make the IV themselves and write it here, so it is read back after the call.
    package var iv: UnsafeMutableRawBufferPointer
    package var aad: UnsafeRawBufferPointer
    /// Plaintext, or ciphertext ‖ tag.
    package var input: UnsafeRawBufferPointer
    /// Room for the result: encrypt `input.count + 16`, decrypt `input.count` (some libraries want room for the tag).
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

/// Builds the mechanism's parameter in the layout the token wants.
///
/// This is the 48-byte CK_GCM_PARAMS of the official header, with ulIvBits. The text of PKCS#11 2.40's errata has no
/// such field (40 bytes); libraries of either kind refuse the other's length.
struct GCMParameters {
    private var parameters: CK_GCM_PARAMS

    init(_ call: GCMCall) {
        let aad = call.aad.baseAddress.map { UnsafeMutableRawPointer(mutating: $0) }
        let hasAAD = !call.aad.isEmpty
        parameters = CK_GCM_PARAMS(
            pIv: call.iv.baseAddress?.assumingMemoryBound(to: UInt8.self),
            ulIvLen: UInt(call.iv.count), ulIvBits: UInt(call.iv.count) &* 8,
            pAAD: hasAAD ? aad?.assumingMemoryBound(to: UInt8.self) : nil,
            ulAADLen: UInt(call.aad.count), ulTagBits: UInt(gcmTagLength) &* 8)
    }

    /// Lends the CK_MECHANISM for the length of `body`: the whole operation, since a library may read the parameter
    /// until the operation ends.
    @inline(__always)
    mutating func withMechanism(_ body: (UnsafeMutablePointer<CK_MECHANISM>) -> CallResult) -> CallResult {
        withUnsafeMutablePointer(to: &parameters) { pointer in
            var mechanism = CK_MECHANISM(
                mechanism: UInt(CKM_AES_GCM), pParameter: UnsafeMutableRawPointer(pointer),
                ulParameterLen: UInt(MemoryLayout<CK_GCM_PARAMS>.size))
            return body(&mechanism)
        }
    }
}

extension Session {
    /// C_EncryptInit and C_Encrypt: the output is ciphertext ‖ tag. No size query; a result of another length than
    /// `input.count + 16` is CKR_DEVICE_ERROR.
    package func encrypt(_ call: GCMCall) -> CallResult {
        guard let begin = module.functions.pointee.C_EncryptInit, let perform = module.functions.pointee.C_Encrypt
        else { return CallResult(function: .encryptInit, code: .functionNotSupported) }
        guard !call.iv.isEmpty else { return CallResult(function: .encryptInit, code: .mechanismParamInvalid) }
        guard call.output.count >= call.input.count + gcmTagLength else {
            return CallResult(function: .encryptInit, code: .bufferTooSmall)
        }
        var parameters = GCMParameters(call)
        return parameters.withMechanism { mechanism in
            var code = begin(handle, mechanism, call.key.rawValue)
            guard code == 0 else { return CallResult(function: .encryptInit, code: ReturnCode(rawValue: code)) }
            var length = UInt(call.output.count)
            code = perform(handle, call.inputPointer, UInt(call.input.count), call.outputPointer, &length)
            return call.finish(.encrypt, code: code, length: length, expected: call.input.count + gcmTagLength)
        }
    }

    /// C_DecryptInit and C_Decrypt of ciphertext ‖ tag. No size query; a result of another length than
    /// `input.count - 16` is CKR_DEVICE_ERROR. What cannot hold a tag is CKR_ENCRYPTED_DATA_LEN_RANGE without a call;
    /// an empty IV is CKR_MECHANISM_PARAM_INVALID.
    package func decrypt(_ call: GCMCall) -> CallResult {
        guard let begin = module.functions.pointee.C_DecryptInit, let perform = module.functions.pointee.C_Decrypt
        else { return CallResult(function: .decryptInit, code: .functionNotSupported) }
        guard !call.iv.isEmpty else { return CallResult(function: .decryptInit, code: .mechanismParamInvalid) }
        guard call.input.count >= gcmTagLength else {
            return CallResult(function: .decrypt, code: .encryptedDataLenRange)
        }
        guard call.output.count >= call.input.count else {
            return CallResult(function: .decryptInit, code: .bufferTooSmall)
        }
        var parameters = GCMParameters(call)
        return parameters.withMechanism { mechanism in
            var code = begin(handle, mechanism, call.key.rawValue)
            guard code == 0 else { return CallResult(function: .decryptInit, code: ReturnCode(rawValue: code)) }
            var length = UInt(call.output.count)
            code = perform(handle, call.inputPointer, UInt(call.input.count), call.outputPointer, &length)
            return call.finish(.decrypt, code: code, length: length, expected: call.input.count - gcmTagLength)
        }
    }
}

extension GCMCall {
    /// The library takes it as writable, but only reads it.
    fileprivate var inputPointer: UnsafeMutablePointer<UInt8>? {
        input.baseAddress.map { UnsafeMutableRawPointer(mutating: $0).assumingMemoryBound(to: UInt8.self) }
    }

    fileprivate var outputPointer: UnsafeMutablePointer<UInt8>? {
        output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }

    fileprivate func finish(_ function: PKCS11Function, code: UInt, length: UInt, expected: Int) -> CallResult {
        guard code == 0 else { return CallResult(function: function, code: ReturnCode(rawValue: code)) }
        guard length == UInt(expected) else { return CallResult(function: function, code: .deviceError) }
        return CallResult(function: function, code: .ok, length: expected)
    }
}
