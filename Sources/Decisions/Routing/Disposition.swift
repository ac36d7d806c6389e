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
    /// This HSM is busy, has no room, or cannot use this key; nothing is wrong with it.
    case tryElsewhere
    /// This HSM no longer has the key.
    case keyMissing
    /// The lane's session or login is gone; the worker renews it.
    case sessionLost
    /// Soft: three in a row count against the HSM.
    case hsmSuspect
    /// Hard: the HSM is out at once, and its worker is started anew.
    case hsmOut
    /// The code may mean a bad ciphertext or a sick HSM, and is looked into like a clear one (`CiphertextCheck`). No
    /// evidence against this HSM unless the ciphertext is opened after all.
    case ambiguous
}

/// Where in a lane's work a return code came from. A code says nothing without it.
package enum LaneStep: Sendable, CaseIterable {
    /// Any call of an encryption, random bytes for its IV included.
    case encryption
    /// The calls of a decryption that have not seen the ciphertext yet: C_DecryptInit, C_MessageDecryptInit.
    case preparation
    /// C_Decrypt or C_DecryptMessage of a decryption: the ciphertext may be the cause.
    case decryption
    /// Opening and closing sessions, logging in, whatever the lane was asked for.
    case session

    package init(function: PKCS11Function, operation: LaneOperation) {
        switch function {
        case .openSession, .closeSession, .login, .logout, .getSessionInfo: self = .session
        case .decrypt, .decryptMessage: self = operation == .decrypt ? .decryption : Self.work(of: operation)
        default: self = Self.work(of: operation)
        }
    }

    private static func work(of operation: LaneOperation) -> LaneStep {
        switch operation {
        case .encrypt: .encryption
        case .decrypt: .preparation
        case .knownAnswer: .preparation
        case .openSession, .closeSession: .session
        }
    }
}

/// With what an HSM has refused a call, for those who read why a request failed or an HSM is out.
package struct HSMRefusal: Sendable, Equatable, CustomStringConvertible {
    private let function: PKCS11Function
    private let code: ReturnCode

    /// `nil` where the answer is none of a call's.
    package init?(_ answer: LaneAnswerHeader) {
        guard answer.status == .refused, let function = PKCS11Function(rawValue: answer.function), function != .none
        else { return nil }
        self.function = function
        code = ReturnCode(rawValue: UInt(truncatingIfNeeded: answer.code))
    }

    /// As in the library's own log: `C_Encrypt: CKR_DEVICE_ERROR`.
    package var description: String { "\(function.name): \(code.isOK ? "a wrong result" : code.name)" }
}

extension Disposition {
    /// The meaning of an HSM's answer.
    package init(_ answer: LaneAnswerHeader, operation: LaneOperation) {
        switch answer.status {
        case .done: self = .done
        case .expired: self = .tryElsewhere
        case .keyGone: self = .keyMissing
        case .refused:
            let function = PKCS11Function(rawValue: answer.function) ?? .none
            let code = ReturnCode(rawValue: UInt(truncatingIfNeeded: answer.code))
            self = DispositionRow.row(for: code)[LaneStep(function: function, operation: operation)]
        }
    }
}
