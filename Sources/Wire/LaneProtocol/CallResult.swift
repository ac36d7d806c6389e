// SPDX-License-Identifier: Apache-2.0

/// What one PKCS#11 call gave, without throwing: for the way of a request, and for those who judge it.
package struct CallResult: Sendable, Equatable {
    package var function: PKCS11Function
    package var code: ReturnCode
    /// Bytes of output, never more than the room that was offered. 0 unless the call succeeded.
    package var length: Int
    /// Bytes of the IV that an encryption used, at the beginning of the call's IV buffer. 0 otherwise.
    package var ivLength: Int

    package init(function: PKCS11Function, code: ReturnCode, length: Int = 0, ivLength: Int = 0) {
        self.function = function
        self.code = code
        self.length = length
        self.ivLength = ivLength
    }

    /// A success of no function in particular.
    package static let ok = CallResult(function: .none, code: .ok)

    package var isOK: Bool { code.isOK }

    /// True for a refusal by C_Decrypt or C_DecryptMessage that may be a bad ciphertext's, or a sick or busy HSM's: a
    /// second opinion is worth having. A refusal by the functions that prepare a decryption never saw the ciphertext.
    package var mayMeanBadCiphertext: Bool { sawCiphertext && code.mayMeanBadCiphertext }

    /// True for a refusal by the function that saw the ciphertext, with a code that can mean nothing else than that key
    /// and ciphertext do not belong together.
    package var saysBadCiphertext: Bool {
        guard sawCiphertext else { return false }
        switch code {
        case .encryptedDataInvalid, .encryptedDataLenRange, .aeadDecryptFailed: return true
        default: return false
        }
    }

    private var sawCiphertext: Bool { function == .decrypt || function == .decryptMessage }
}
