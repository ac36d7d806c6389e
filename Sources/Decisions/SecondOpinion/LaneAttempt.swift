// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// What a lane reports of what it was asked.
package struct LaneEnd: Sendable, Equatable {
    package var status: LaneStatus
    /// The call that decided.
    package var result: CallResult
    /// A handle led nowhere while the login stood: the token's keys are to be searched anew.
    package var catalogueIsStale: Bool

    package init(_ status: LaneStatus, _ result: CallResult, catalogueIsStale: Bool = false) {
        self.status = status
        self.result = result
        self.catalogueIsStale = catalogueIsStale
    }
}

/// One request with a key on one session: the call, and one more where the first failure may be the session's. Whether
/// a ciphertext is bad is not decided here: a refusal of it is reported as it is, after one call, and the node asks
/// again.
///
/// Whoever drives it makes the call that `next` names and gives what came to `take`, until `next` is an end. It ends
/// after at most five calls.
///
/// ```
/// var attempt = LaneAttempt(sessionIsOpen: true)
/// let end = attempt.end { call in call == .request ? CallResult(function: .decrypt, code: hsm(call)) : .ok }
/// ```
package struct LaneAttempt: Sendable, Equatable {
    package enum Call: Sendable, Equatable {
        /// What the node asked for: encrypt or decrypt.
        case request
        /// Look whether the token's login still stands. The answer is `.ok` where it does, any failure where it does not.
        case login
        /// Renew the session, with `restoreLogin` after making sure of the login. The answer is that of the last of these
        /// calls that was made.
        case mend(SessionRemedy)
    }

    package enum Step: Sendable, Equatable {
        case call(Call)
        case end(LaneEnd)
    }

    private enum State: Sendable, Equatable {
        /// The lane has no session. → `first`, `ended`
        case opening
        /// → `ended`, `doubting`, `mending`
        case first
        /// The key's handle led nowhere. → `ended`, `mending`
        case doubting(CallResult)
        /// The session, or its login, has failed; `first` is what the caller gets when it cannot be mended. → `second`,
        /// `ended`
        case mending(SessionRemedy, first: CallResult)
        /// → `ended`
        case second(first: CallResult)
        case ended(LaneEnd)
    }

    private var state: State

    /// - Parameter sessionIsOpen: false while the lane has no session: it begins with opening one.
    package init(sessionIsOpen: Bool) {
        state = sessionIsOpen ? .first : .opening
    }

    /// What to do next.
    package var next: Step {
        switch state {
        case .opening: .call(.mend(.restoreLogin))
        case .first, .second: .call(.request)
        case .doubting: .call(.login)
        case .mending(let remedy, _): .call(.mend(remedy))
        case .ended(let end): .end(end)
        }
    }

    /// Takes what the call gave that `next` has named. After the end nothing is taken any more.
    /// - Parameter isLate: the request's deadline has passed, so that nobody waits for a second call. Counts after `mend`
    ///   only.
    package mutating func take(_ result: CallResult, isLate: Bool = false) {
        switch state {
        case .opening: state = result.isOK ? .first : .ended(LaneEnd(.refused, result))
        case .first: state = after(first: result)
        case .doubting(let first):
            // A handle that leads nowhere does not say that the key is gone: handles also end with the login (PKCS#11
            // 2.40, section 5.6), which may have been lost and restored since. Only the next search of the token can
            // show it.
            state =
                result.isOK
                ? .ended(LaneEnd(.refused, first, catalogueIsStale: true))
                : .mending(.restoreLogin, first: CallResult(function: first.function, code: .userNotLoggedIn))
        case .mending(_, let first):
            state = result.isOK && !isLate ? .second(first: first) : .ended(LaneEnd(.refused, first))
        case .second(let first):
            if result.isOK {
                state = .ended(LaneEnd(.done, result))
            } else if result.code.saysNoSuchObject {
                // A new login may come with new handles: what was lost is the session, not the key.
                state = .ended(LaneEnd(.refused, first, catalogueIsStale: true))
            } else {
                state = .ended(LaneEnd(.refused, result))
            }
        case .ended: break
        }
    }

    private func after(first result: CallResult) -> State {
        if result.isOK { return .ended(LaneEnd(.done, result)) }
        if result.code.saysNoSuchObject { return .doubting(result) }
        let remedy = result.code.laneRemedy
        return remedy == .none ? .ended(LaneEnd(.refused, result)) : .mending(remedy, first: result)
    }

    /// Makes all calls, none of them late, until the end.
    package mutating func end(asking session: (Call) -> CallResult) -> LaneEnd {
        while true {
            switch next {
            case .call(let call): take(session(call))
            case .end(let end): return end
            }
        }
    }
}
