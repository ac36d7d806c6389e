// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// A canary is made: random bytes of the HSM, encrypted under the key, and opened before anybody relies on them. A canary
/// that is spoilt would speak against every HSM that holds the right key.
///
/// Driven as `CanaryOpening` is; it ends after at most seven calls.
package struct CanaryMaking: Sendable, Equatable {
    package enum Call: Sendable, Equatable {
        /// Draw the block from the HSM's generator. A block of zeroes is `failed` with `noRandomness`.
        case drawBlock
        /// Encrypt the block under the key; `unavailable` where the worker has no key of that number.
        case seal
        /// Decrypt what was sealed, and compare. Another block is `failed` with `spoilt`.
        case open
        /// Make sure of the login and renew the session: `passed` or `failed`.
        case mend
    }

    package enum Verdict: Sendable, Equatable {
        /// What was last sealed is a canary.
        case made
        case refused(CanaryRefusal, CallResult)
    }

    package enum Step: Sendable, Equatable {
        case call(Call)
        case verdict(Verdict)
    }

    private enum State: Sendable, Equatable {
        /// → `sealing`, `mending`, `ended`
        case drawing
        /// → `opening`, `mending`, `ended`
        case sealing
        /// → `mending`, `ended`
        case opening
        /// The verdict stands if there is no other session to be had. → `drawing`, `ended`
        case mending(Verdict)
        case ended(Verdict)
    }

    /// The generator gave nothing but zeroes.
    package static let noRandomness = CallResult(function: .generateRandom, code: .randomNoRNG)
    /// What the key has sealed, it does not open, or opens to something else.
    package static let spoilt = CallResult(function: .encrypt, code: .deviceError)

    private var state = State.drawing
    /// The session is renewed once.
    private var mayMend = true

    package init() {}

    /// What to do next.
    package var next: Step {
        switch state {
        case .drawing: .call(.drawBlock)
        case .sealing: .call(.seal)
        case .opening: .call(.open)
        case .mending: .call(.mend)
        case .ended(let verdict): .verdict(verdict)
        }
    }

    /// Takes what the call gave that `next` has named. After the verdict nothing is taken any more.
    package mutating func take(_ answer: KnownAnswer) {
        switch (state, answer) {
        case (.drawing, .passed): state = .sealing
        case (.sealing, .passed): state = .opening
        case (.opening, .passed): state = .ended(.made)
        case (.drawing, .failed(let result)): settle(.failed, result)
        case (.drawing, .unavailable): settle(.failed, .ok)
        case (.sealing, _), (.opening, _):
            guard let (refusal, result) = answer.refusal else { return }
            if state == .opening, refusal == .wrongKey { settle(.failed, Self.spoilt) } else { settle(refusal, result) }
        case (.mending(let verdict), _):
            mayMend = false
            state = answer == .passed ? .drawing : .ended(verdict)
        case (.ended, _): break
        }
    }

    private mutating func settle(_ refusal: CanaryRefusal, _ result: CallResult) {
        let verdict = Verdict.refused(refusal, result)
        state = refusal == .failed && mayMend ? .mending(verdict) : .ended(verdict)
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
