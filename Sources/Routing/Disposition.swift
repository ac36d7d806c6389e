// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// What is wrong with a request, whichever HSM is asked.
package enum CallersFault: Sendable, Equatable {
    /// Ciphertext, IV, tag, additional data and key do not belong together.
    case ciphertextIsInvalid
    /// The key does not allow this operation.
    case usageNotPermitted
    /// Every HSM that could be asked says that the key is gone.
    case keyIsGone
}

/// What an HSM's answer means for the request, and for the HSM.
package enum Disposition: Sendable, Equatable {
    case done
    /// The request is at fault; another HSM would say the same.
    case callersFault(CallersFault)
    /// This HSM is busy, or lacks this key; nothing is wrong with it.
    case tryElsewhere
    /// This HSM no longer has the key.
    case keyMissing
    /// The lane's session or login is gone; the worker renews it.
    case sessionLost
    /// Soft: three in a row, and the HSM is asked last.
    case hsmSuspect
    /// Hard: the HSM is out at once, and its worker is started anew.
    case hsmOut
    /// The code may mean a bad ciphertext or a sick HSM: another HSM decides.
    case ambiguous
}

extension Disposition {
    /// The one table from an HSM's answer to its meaning.
    ///
    /// A code says nothing without its function: CKR_GENERAL_ERROR is SoftHSM's word for a wrong tag (up to 2.6.1) and
    /// other vendors' word for a broken device; CKR_FUNCTION_FAILED is a wrong tag on nShield and "busy" on CloudHSM.
    /// Where the worker has taken a second opinion, that decides; where it could not, another HSM does.
    package init(_ answer: LaneAnswerHeader, operation: LaneOperation) {
        switch answer.status {
        case .done: self = .done
        case .expired: self = .tryElsewhere
        case .keyGone: self = .keyMissing
        case .refused:
            self = Self.refusal(
                code: ReturnCode(rawValue: UInt(truncatingIfNeeded: answer.code)),
                function: PKCS11Function(rawValue: answer.function) ?? .none, operation: operation,
                secondOpinion: answer.secondOpinion)
        }
    }

    private static func refusal(
        code: ReturnCode, function: PKCS11Function, operation: LaneOperation, secondOpinion: LaneSecondOpinion
    ) -> Disposition {
        if operation == .decrypt, function == .decrypt {
            switch secondOpinion {
            case .ciphertextIsBad: return .callersFault(.ciphertextIsInvalid)
            case .hsmIsSick: return .hsmSuspect
            case .none: break
            }
            if saysBadCiphertext.contains(code) { return .callersFault(.ciphertextIsInvalid) }
            if mayMeanBadCiphertext.contains(code) { return .ambiguous }
        }
        if code == .keyFunctionNotPermitted { return .callersFault(.usageNotPermitted) }
        if keyTrouble.contains(code) { return .tryElsewhere }
        if sessionTrouble.contains(code) { return .sessionLost }
        if deviceGone.contains(code) { return .hsmOut }
        if busy.contains(code) { return .tryElsewhere }
        return .hsmSuspect
    }

    /// Codes of C_Decrypt that say one thing only, on every vendor known.
    private static let saysBadCiphertext: Set<ReturnCode> = [
        .encryptedDataInvalid, .encryptedDataLenRange, .aeadDecryptFailed, .signatureInvalid,
    ]

    private static let mayMeanBadCiphertext: Set<ReturnCode> = [
        .generalError, .functionFailed, .dataInvalid, .dataLenRange, .argumentsBad,
    ]

    /// The handle is stale or the key unfit here; the catalogue is read anew, and another HSM may well have it.
    private static let keyTrouble: Set<ReturnCode> = [
        .keyHandleInvalid, .objectHandleInvalid, .keyTypeInconsistent, .keySizeRange, .keyChanged, .keyNeeded,
    ]

    private static let sessionTrouble: Set<ReturnCode> = [
        .sessionHandleInvalid, .sessionClosed, .userNotLoggedIn, .operationActive, .operationNotInitialized,
    ]

    /// Nothing heals these but a new process, or a person at the device.
    private static let deviceGone: Set<ReturnCode> = [
        .deviceError, .deviceRemoved, .tokenNotPresent, .tokenNotRecognized, .cryptokiNotInitialized, .slotIDInvalid,
        .libraryLoadFailed,
    ]

    private static let busy: Set<ReturnCode> = [.sessionCount, .functionCanceled, .cancel]
}
