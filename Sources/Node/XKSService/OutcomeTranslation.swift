// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import XKSProtocol

extension XKSError {
    /// The one place where what happened in the pool gets a name of the API. `nil` when it was done.
    ///
    /// "There is no such key" and "nobody could be asked" stay apart: the first is final for KMS's caller, the second is
    /// worth another try.
    init?(_ outcome: OperationOutcome, of operation: LaneOperation) {
        switch outcome {
        case .done: return nil
        case .callersFault(.ciphertextIsInvalid) where operation == .decrypt:
            self.init(
                .invalidCiphertext,
                "ciphertext, initializationVector, authenticationTag, additional data and key do not belong together")
        case .callersFault(.ciphertextIsInvalid): self.init(.internalFailure, "an HSM called its own input invalid")
        case .callersFault(.usageNotPermitted):
            self.init(.invalidKeyUsage, "the key does not allow \(operation == .encrypt ? "Encrypt" : "Decrypt")")
        case .callersFault(.keyIsGone):
            // It was there when the request came in: `KeyDecision` alone says that a key is absent.
            self.init(.internalFailure, "the HSMs that held this key say that they have it no more")
        case .timedOut(let shortage): self.init(.dependencyTimeout, shortage.text)
        case .unavailable(let reason): self.init(.internalFailure, "no HSM can do this at the moment: \(reason)")
        case .abandoned: self.init(.dependencyTimeout, "the client has closed the connection before it was done")
        case .overloaded, .crowded:
            self.init(.throttling, "no lane of an HSM becomes free in time: more is asked than the HSMs can do")
        }
    }
}

extension Shortage {
    fileprivate var text: String {
        switch self {
        case .time: "no HSM could be asked in time: the request came too late"
        case .lane: "no HSM answered in time: no lane of one became free"
        case .answer: "no HSM answered in time"
        case .budget: "no HSM answered in time, and the budget for further attempts is spent"
        }
    }
}

extension Refusal {
    /// `nil` when the operation was done.
    init?(_ outcome: OperationOutcome, of operation: LaneOperation) {
        guard let error = XKSError(outcome, of: operation) else { return nil }
        switch outcome {
        case .unavailable, .callersFault(.keyIsGone): self.init(error: error, isOnlyHere: true)
        case .overloaded, .crowded: self.init(error: error, isOnlyHere: true, needs: ForwardingNeeds(isSurplus: true))
        case .done, .callersFault, .timedOut, .abandoned: self.init(error: error, isOnlyHere: false)
        }
    }
}
