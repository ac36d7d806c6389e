// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// How a session did something whose result is known beforehand.
package enum KnownAnswer: Sendable, Equatable {
    /// It gave what it ought to give.
    case passed
    /// It refused, or gave something else: then the code is CKR_OK.
    case failed(CallResult)
    /// There is no key to do it with.
    case unavailable
}

/// A lane decrypts what a probe has encrypted with the token's own key: whether the HSM opens what it ought to open. Used
/// as a witness where the key that a ciphertext was refused under has no canary.
///
/// Driven as `LaneAttempt` is; it ends after at most three calls.
package struct KnownAnswerTrial: Sendable, Equatable {
    package enum Call: Sendable, Equatable {
        /// Decrypt the known block, on this very session, and compare.
        case knownAnswer
        /// Renew the session, with `restoreLogin` after making sure of the login: `passed` or `failed`.
        case mend(SessionRemedy)
    }

    package enum Step: Sendable, Equatable {
        case call(Call)
        case end(LaneEnd)
    }

    private enum State: Sendable, Equatable {
        /// → `mending`, `ended`
        case first
        /// A decryption that was refused before has not ended on this session, or has taken it along; that says nothing
        /// about the HSM. → `second`, `ended`
        case mending(CallResult)
        /// → `ended`
        case second
        case ended(KnownAnswer)
    }

    private var state = State.first

    package init() {}

    /// What to do next.
    package var next: Step {
        switch state {
        case .first, .second: .call(.knownAnswer)
        case .mending(let result): .call(.mend(result.code.laneRemedy))
        case .ended(.passed): .end(LaneEnd(.done, .ok))
        case .ended(.failed(let result)): .end(LaneEnd(.refused, result))
        // Nothing is said against the HSM, and nothing for it.
        case .ended(.unavailable):
            .end(LaneEnd(.refused, CallResult(function: .decryptInit, code: .keyHandleInvalid)))
        }
    }

    /// Takes what the call gave that `next` has named. After the end nothing is taken any more.
    package mutating func take(_ answer: KnownAnswer) {
        switch state {
        case .first:
            if case .failed(let result) = answer, result.code.sessionRemedy == .reopen {
                state = .mending(result)
            } else {
                state = .ended(answer)
            }
        case .mending(let result): state = answer == .passed ? .second : .ended(.failed(result))
        case .second: state = .ended(answer)
        case .ended: break
        }
    }

    /// Makes all calls until the end.
    package mutating func end(asking session: (Call) -> KnownAnswer) -> LaneEnd {
        while true {
            switch next {
            case .call(let call): take(session(call))
            case .end(let end): return end
            }
        }
    }
}
