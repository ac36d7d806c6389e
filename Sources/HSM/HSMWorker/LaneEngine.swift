// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11
import SecondOpinion

/// How one request ended on a lane.
package struct LaneVerdict: Sendable, Equatable {
    package var status: LaneStatus
    /// The call that decided; `length` is the size of the output when the status is `done`.
    package var result: CallResult
    /// Nanoseconds from the first call into the library to the end of the last.
    package var hsmNanoseconds: UInt64 = 0

    package init(
        status: LaneStatus, result: CallResult = .ok, hsmNanoseconds: UInt64 = 0
    ) {
        self.status = status
        self.result = result
        self.hsmNanoseconds = hsmNanoseconds
    }
}

/// What a lane does with one request: makes the calls that `LaneAttempt` and `KnownAnswerTrial` decide on. All effects are
/// the session's, so a scripted one shows every case.
package struct LaneEngine<Session: LaneSession> {
    package private(set) var session: Session
    private let ivs: IVPool
    private let profile: GCMProfile
    /// False while the lane is parked, and after a session was closed and no other could be opened. The next request
    /// begins with opening one.
    package private(set) var sessionIsOpen: Bool

    /// `profile` is how the token wants to be called; `isOpen` is false for a parked lane, which has no session.
    package init(session: Session, ivs: IVPool, profile: GCMProfile, isOpen: Bool = true) {
        self.session = session
        self.ivs = ivs
        self.profile = profile
        sessionIsOpen = isOpen
    }

    /// Opens a session for a parked lane. For one that has a session, nothing is left to do.
    package mutating func openSession(deadline: UInt64) -> LaneVerdict {
        let start = session.now()
        guard deadline > start else { return LaneVerdict(status: .expired) }
        let opened = sessionIsOpen ? .ok : mend(.restoreLogin)
        return LaneVerdict(
            status: opened.isOK ? .done : .refused, result: opened, hsmNanoseconds: session.now() &- start)
    }

    /// Closes the session; the lane is parked. A session that cannot be closed is as good as gone. The deadline does
    /// not matter: what is to be given back is given back, however late.
    package mutating func closeSession() -> LaneVerdict {
        let start = session.now()
        if sessionIsOpen { session.close() }
        sessionIsOpen = false
        return LaneVerdict(status: .done, hsmNanoseconds: session.now() &- start)
    }

    /// Serves one request with a key. `call.key` is filled in here; for encrypt, so is the memory that `call.iv` lends.
    package mutating func serve(_ request: LaneRequestHeader, _ call: GCMCall) -> LaneVerdict {
        let start = session.now()
        guard request.deadline > start else { return LaneVerdict(status: .expired) }
        var call = call
        switch session.handle(ofKey: request.keyReference) {
        case .at(let key): call.key = key
        case .gone: return LaneVerdict(status: .keyGone)
        case .moved:
            // Not "gone": the node learns the new number in a moment, and until then asks elsewhere.
            let function: PKCS11Function = request.operation == .encrypt ? .encryptInit : .decryptInit
            return LaneVerdict(status: .refused, result: CallResult(function: function, code: .keyHandleInvalid))
        }
        var verdict = attempt(request, call)
        verdict.hsmNanoseconds = session.now() &- start
        return verdict
    }

    private mutating func attempt(_ request: LaneRequestHeader, _ call: GCMCall) -> LaneVerdict {
        var attempt = LaneAttempt(sessionIsOpen: sessionIsOpen)
        while true {
            switch attempt.next {
            case .call(.request): attempt.take(perform(request.operation, call))
            case .call(.login):
                attempt.take(
                    session.loginStands() ? .ok : CallResult(function: .getSessionInfo, code: .userNotLoggedIn))
            case .call(.mend(let remedy)):
                let mended = mend(remedy)
                attempt.take(mended, isLate: request.deadline <= session.now())
            case .end(let end):
                if end.catalogueIsStale { session.catalogueIsStale() }
                return LaneVerdict(status: end.status, result: end.result)
            }
        }
    }

    private mutating func perform(_ operation: LaneOperation, _ call: GCMCall) -> CallResult {
        guard operation == .encrypt else { return session.decrypt(call) }
        guard profile.ivSource == .caller else { return encryptWithIVOfHSM(call) }
        // A new IV for each attempt: whether a failed one has used it up, nobody knows.
        switch ivs.take(into: call.iv, refill: { session.random(into: $0) }) {
        case .taken: return session.encrypt(call)
        case .failed(let result): return result
        case .unusable:
            session.generatorIsBroken()
            return .brokenGenerator
        }
    }

    /// The HSM makes the IV. One that it gave before, or that it left zero, lays open what was encrypted with it.
    private mutating func encryptWithIVOfHSM(_ call: GCMCall) -> CallResult {
        let result = session.encrypt(call)
        guard result.isOK else {
            if result == .brokenGenerator { session.generatorIsBroken() }
            return result
        }
        let iv = UnsafeRawBufferPointer(rebasing: call.iv.prefix(result.ivLength))
        guard ivs.admit(iv, madeUnder: UInt64(call.key.rawValue)) else {
            session.generatorIsBroken()
            return .brokenGenerator
        }
        return result
    }

    private mutating func mend(_ remedy: SessionRemedy) -> CallResult {
        if remedy == .restoreLogin {
            let login = session.restoreLogin()
            guard login.isOK else { return login }
        }
        let opened = session.reopen()
        sessionIsOpen = opened.isOK
        return opened
    }

    /// Decrypts what a probe has encrypted with the token's own key.
    package mutating func answerKnown(deadline: UInt64) -> LaneVerdict {
        let start = session.now()
        guard deadline > start else { return LaneVerdict(status: .expired) }
        var trial = KnownAnswerTrial()
        let end = trial.end { call in
            switch call {
            case .knownAnswer: return session.knownAnswer()
            case .mend(let remedy):
                let mended = mend(remedy)
                return mended.isOK ? .passed : .failed(mended)
            }
        }
        return LaneVerdict(status: end.status, result: end.result, hsmNanoseconds: session.now() &- start)
    }
}
