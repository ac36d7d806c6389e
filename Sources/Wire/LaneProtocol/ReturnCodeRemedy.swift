// SPDX-License-Identifier: Apache-2.0

/// What may mend a lane's session after a return code, before the request is tried once more.
package enum SessionRemedy: Sendable, Equatable {
    /// The code is not about the session.
    case none
    /// Close the session and open another: it is gone, or stuck in an operation that was not ended.
    case reopen
    /// The same, after making sure that the token's login still stands.
    case restoreLogin
}

// The worker and the node read the same codes, each for its own purpose; the tests of the room Routing hold the two
// readings together.
extension ReturnCode {
    /// The one table from return code to remedy (PKCS#11 2.40, sections 5.1.2 to 5.1.5; 3.0 and 3.2 for the last two).
    package var sessionRemedy: SessionRemedy {
        switch self {
        case .sessionClosed, .sessionHandleInvalid, .operationActive, .operationNotInitialized, .operationCancelFailed,
            .pending:
            .reopen
        case .userNotLoggedIn, .cryptokiNotInitialized, .deviceRemoved, .deviceError, .tokenNotPresent,
            .tokenNotRecognized, .slotIDInvalid:
            .restoreLogin
        default: .none
        }
    }

    /// True when the code means that the session's handle leads nowhere. Such a handle must not be closed: the library
    /// may have given its number to another session since.
    package var saysSessionIsGone: Bool { self == .sessionHandleInvalid || self == .sessionClosed }

    /// What a lane does about the code. With a token's last session its login ends (PKCS#11 2.40, section 5.6), so a
    /// session that is gone may have taken the login along.
    package var laneRemedy: SessionRemedy { saysSessionIsGone ? .restoreLogin : sessionRemedy }

    /// True when the code means that the key's handle leads nowhere.
    package var saysNoSuchObject: Bool { self == .keyHandleInvalid || self == .objectHandleInvalid }

    /// True for a refusal of a ciphertext that may be about the ciphertext, or about the HSM: CKR_GENERAL_ERROR is
    /// SoftHSM's (up to 2.6.1) for a wrong tag, CKR_FUNCTION_FAILED is nShield's for a wrong tag and CloudHSM's for
    /// "busy". What a vendor's own codes, and codes out of place, mean for a ciphertext nobody can know. False for
    /// codes that say one thing only.
    package var mayMeanBadCiphertext: Bool {
        if sessionRemedy != .none || saysNoSuchObject { return false }
        return !Self.clearOfCiphertext.contains(self)
    }

    private static let clearOfCiphertext: Set<ReturnCode> = [
        .ok,
        // The ciphertext is bad, and nothing else can be meant.
        .encryptedDataInvalid, .encryptedDataLenRange, .aeadDecryptFailed,
        // The key.
        .keySizeRange, .keyTypeInconsistent, .keyNotNeeded, .keyChanged, .keyNeeded, .keyIndigestible,
        .keyFunctionNotPermitted, .keyExhausted, .mechanismInvalid,
        // Room, and calls that were ended before their time.
        .sessionCount, .tokenResourceExceeded, .cancel, .functionCanceled, .hostMemory, .deviceMemory,
        // Nothing but a new process or a person helps.
        .tokenNotInitialized, .fipsSelfTestFailed, .fipsSelfTestFailedFreeHeader, .libraryLoadFailed,
        .libraryLoadFailedFreeHeader,
    ]
}
