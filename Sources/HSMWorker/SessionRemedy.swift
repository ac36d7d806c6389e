// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

/// What may mend a lane's session after a return code, before the request is tried once more.
package enum SessionRemedy: Sendable, Equatable {
    /// The code is not about the session.
    case none
    /// Close the session and open another: it is gone, or stuck in an operation that was not ended.
    case reopen
    /// The same, after making sure that the token's login still stands.
    case restoreLogin
}

extension ReturnCode {
    /// The one table from return code to remedy (PKCS#11 2.40, sections 5.1.2 to 5.1.5).
    package var sessionRemedy: SessionRemedy {
        switch self {
        case .sessionClosed, .sessionHandleInvalid, .operationActive, .operationNotInitialized: .reopen
        case .userNotLoggedIn, .cryptokiNotInitialized, .deviceRemoved, .deviceError, .tokenNotPresent,
            .tokenNotRecognized, .slotIDInvalid:
            .restoreLogin
        default: .none
        }
    }

    /// True when the code means that the key's handle leads nowhere.
    package var saysNoSuchObject: Bool { self == .keyHandleInvalid || self == .objectHandleInvalid }
}

extension CallResult {
    /// True for a refusal by C_Decrypt that is a bad ciphertext's on one vendor and a sick or busy HSM's on another:
    /// CKR_GENERAL_ERROR is SoftHSM's (up to 2.6.1) for a wrong tag, CKR_FUNCTION_FAILED is nShield's for a wrong tag
    /// and CloudHSM's for "busy". A refusal by C_DecryptInit never saw the ciphertext.
    package var mayMeanBadCiphertext: Bool {
        guard function == .decrypt else { return false }
        switch code {
        case .generalError, .functionFailed, .dataInvalid, .dataLenRange, .argumentsBad: return true
        default: return false
        }
    }
}
