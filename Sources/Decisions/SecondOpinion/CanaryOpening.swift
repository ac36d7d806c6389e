// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// One check of a key: an HSM opens the key's canary, and what it means when it does not. "Wrong key" is said only where
/// the same session gives a known answer three times, before and after, and the canary fails every time with a code that
/// says or may mean a bad ciphertext.
///
/// Whoever drives it makes the call that `next` names and gives what came to `take`, until `next` is a verdict. It ends
/// after at most 17 calls. No time passes in it and nothing is remembered between two checks, so an HSM may be a function:
///
/// ```
/// var opening = CanaryOpening()
/// let verdict = opening.verdict { call in
///     let code = hsm(call)
///     return code.isOK ? .passed : .failed(CallResult(function: .decrypt, code: code))
/// }
/// ```
package struct CanaryOpening: Sendable, Equatable {
    package enum Call: Sendable, Equatable {
        /// Decrypt the canary, as a lane does (`LaneAttempt`): `passed` when it opened, whatever it held (the node knows
        /// that); `failed` with the call that refused; `unavailable` where the worker has no key of that number.
        case open
        /// Decrypt the token's known block, on the same session, and compare.
        case knownAnswer
        /// Make sure of the login and renew the session: `passed` or `failed`.
        case mend
    }

    package enum Verdict: Sendable, Equatable {
        /// Opened by the last call.
        case opened
        case refused(CanaryRefusal, CallResult)
    }

    package enum Step: Sendable, Equatable {
        case call(Call)
        case verdict(Verdict)
    }

    private enum State: Sendable, Equatable {
        /// → `confirming`, `mending`, `ended`
        case first
        /// It was refused as under a wrong key; `made` of the calls of `confirmation` have not shaken that.
        /// → `mending`, `ended`
        case confirming(CallResult, made: Int)
        /// The verdict may be the session's fault, and stands if there is no other session to be had. → `first`, `ended`
        case mending(Verdict)
        case ended(Verdict)
    }

    /// What follows a refusal. An HSM that fails every second call could have failed the canary only; so it is opened again
    /// in direct succession, and the known answer is asked for once, then twice.
    private static let confirmation: [Call] = [.open, .knownAnswer, .open, .open, .knownAnswer, .knownAnswer, .open]

    private var state: State
    /// The session is renewed once.
    private var mayMend = true

    /// For a canary that is well formed.
    package init() { state = .first }

    /// What is no canary is not tried: its refusal would say nothing about the key.
    package init(_ canary: SealedCanary) {
        let isCanary =
            canary.ciphertext.count == SealedCanary.sealedLength
            && (12...GCMProfile.longestIV).contains(canary.initializationVector.count)
        let malformed = CallResult(function: .decrypt, code: .encryptedDataLenRange)
        state = isCanary ? .first : .ended(.refused(.failed, malformed))
    }

    /// What to do next.
    package var next: Step {
        switch state {
        case .first: .call(.open)
        case .confirming(_, let made): .call(Self.confirmation[made])
        case .mending: .call(.mend)
        case .ended(let verdict): .verdict(verdict)
        }
    }

    /// Takes what the call gave that `next` has named. After the verdict nothing is taken any more.
    package mutating func take(_ answer: KnownAnswer) {
        switch state {
        case .first:
            switch answer.refusal {
            case nil: settle(.opened)
            case (.wrongKey, let result)?: state = .confirming(result, made: 0)
            case (let refusal, let result)?: settle(.refused(refusal, result))
            }
        case .confirming(let first, let made): confirm(first, made: made, answer)
        case .mending(let verdict):
            mayMend = false
            state = answer == .passed ? .first : .ended(verdict)
        case .ended: break
        }
    }

    private mutating func confirm(_ first: CallResult, made: Int, _ answer: KnownAnswer) {
        if Self.confirmation[made] == .open {
            switch answer.refusal {
            case nil: return settle(.opened)
            case (.wrongKey, _)?: break
            case (let refusal, let result)?: return settle(.refused(refusal, result))
            }
        } else {
            switch answer {
            case .passed: break
            case .unavailable: return settle(.refused(.unclear, first))
            case .failed: return settle(.refused(.failed, first))
            }
        }
        if made + 1 < Self.confirmation.count {
            state = .confirming(first, made: made + 1)
        } else {
            state = .ended(.refused(.wrongKey, first))
        }
    }

    private mutating func settle(_ verdict: Verdict) {
        switch verdict {
        case .refused(.failed, _), .refused(.unclear, _): state = mayMend ? .mending(verdict) : .ended(verdict)
        case .opened, .refused: state = .ended(verdict)
        }
    }

    /// Makes all calls until the verdict.
    package mutating func verdict(asking session: (Call) -> KnownAnswer) -> Verdict {
        while true {
            switch next {
            case .call(let call): take(session(call))
            case .verdict(let verdict): return verdict
            }
        }
    }
}

extension KnownAnswer {
    /// What an attempt on a canary says of the key where it did not pass. `wrongKey` is still to be confirmed.
    var refusal: (CanaryRefusal, CallResult)? {
        switch self {
        case .passed: nil
        case .unavailable: (.keyGone, .ok)
        case .failed(let result):
            if result.code.saysNoSuchObject {
                (.keyGone, result)
            } else if result.mayMeanBadCiphertext || result.saysBadCiphertext {
                (.wrongKey, result)
            } else {
                (.failed, result)
            }
        }
    }
}
