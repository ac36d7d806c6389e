// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

extension CallResult {
    /// True for a refusal by C_Decrypt or C_DecryptMessage that may be a bad ciphertext's, or a sick or busy HSM's: a
    /// second opinion is worth having. A refusal by the functions that prepare a decryption never saw the ciphertext.
    package var mayMeanBadCiphertext: Bool {
        (function == .decrypt || function == .decryptMessage) && code.mayMeanBadCiphertext
    }
}
