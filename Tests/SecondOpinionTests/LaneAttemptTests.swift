// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import SecondOpinion
import Testing

@Suite("One request on one session")
struct LaneAttemptTests {
    /// Runs an attempt in which the request's calls give `codes` in order, the last one for ever.
    private func attempt(
        _ codes: [ReturnCode], loginStands: Bool = true, mended: CallResult = .ok, isLate: Bool = false,
        isOpen: Bool = true
    ) -> (end: LaneEnd, calls: [LaneAttempt.Call]) {
        var answers = Answers(codes, then: codes.last ?? .ok)
        var calls: [LaneAttempt.Call] = []
        var attempt = LaneAttempt(sessionIsOpen: isOpen)
        while case .call(let call) = attempt.next {
            calls.append(call)
            switch call {
            case .request: attempt.take(CallResult(function: .decrypt, code: answers.next()))
            case .login: attempt.take(loginStands ? .ok : CallResult(function: .login, code: .userNotLoggedIn))
            case .mend: attempt.take(mended, isLate: isLate)
            }
        }
        guard case .end(let end) = attempt.next else { return (LaneEnd(.expired, .ok), calls) }
        return (end, calls)
    }

    private func refused(_ code: ReturnCode, isStale: Bool = false) -> LaneEnd {
        LaneEnd(.refused, CallResult(function: .decrypt, code: code), catalogueIsStale: isStale)
    }

    private let done = LaneEnd(.done, CallResult(function: .decrypt, code: .ok))

    @Test("The good case is one call")
    func success() {
        let ended = attempt([.ok])
        #expect(ended.end == done)
        #expect(ended.calls == [.request])
    }

    @Test(
        "A refused ciphertext is reported as it is, after one call: the node decides what it means",
        arguments: [
            ReturnCode.generalError, .functionFailed, .dataInvalid, .dataLenRange, .argumentsBad, .encryptedDataInvalid,
            .aeadDecryptFailed,
        ])
    func refusedCiphertext(code: ReturnCode) {
        let ended = attempt([code])
        #expect(ended.end == refused(code))
        #expect(ended.calls == [.request])
    }

    @Test("A stuck session is opened anew", arguments: [ReturnCode.operationActive, .operationNotInitialized])
    func reopening(code: ReturnCode) {
        let ended = attempt([code, .ok])
        #expect(ended.end == done)
        #expect(ended.calls == [.request, .mend(.reopen), .request])
    }

    @Test(
        "A lost login is restored first, and a lost session may have taken it along",
        arguments: [
            ReturnCode.userNotLoggedIn, .deviceRemoved, .deviceError, .tokenNotPresent, .cryptokiNotInitialized,
            .sessionHandleInvalid, .sessionClosed,
        ])
    func loginAgain(code: ReturnCode) {
        let ended = attempt([code, .ok])
        #expect(ended.end == done)
        #expect(ended.calls == [.request, .mend(.restoreLogin), .request])
    }

    @Test("Once, not for ever: the second failure is the answer")
    func onlyOnce() {
        let ended = attempt([.deviceError, .functionFailed])
        #expect(ended.end == refused(.functionFailed))
        #expect(ended.calls.filter { $0 == .request }.count == 2)
    }

    @Test("What cannot be mended leaves the first failure as the answer; so does a deadline that has passed")
    func unmended() {
        let refusal = CallResult(function: .login, code: .pinIncorrect)
        let ended = attempt([.userNotLoggedIn], mended: refusal)
        #expect(ended.end == refused(.userNotLoggedIn))
        #expect(ended.calls == [.request, .mend(.restoreLogin)])
        let late = attempt([.operationActive, .ok], isLate: true)
        #expect(late.end == refused(.operationActive))
        #expect(late.calls == [.request, .mend(.reopen)])
    }

    @Test("A lane without session begins with opening one")
    func closed() {
        let ended = attempt([.ok], isLate: true, isOpen: false)
        #expect(ended.end == done)
        #expect(ended.calls == [.mend(.restoreLogin), .request])
        let none = CallResult(function: .openSession, code: .sessionCount)
        let refused = attempt([.ok], mended: none, isOpen: false)
        #expect(refused.end == LaneEnd(.refused, none))
        #expect(refused.calls == [.mend(.restoreLogin)])
    }

    @Test(
        "A handle that leads nowhere is no word on the key, but has the catalogue read anew",
        arguments: [ReturnCode.keyHandleInvalid, .objectHandleInvalid])
    func staleHandle(code: ReturnCode) {
        let ended = attempt([code])
        #expect(ended.end == refused(code, isStale: true))
        #expect(ended.calls == [.request, .login])
    }

    @Test("Without login, a handle that leads nowhere is a lost login")
    func handleWithoutLogin() {
        let ended = attempt([.keyHandleInvalid, .ok], loginStands: false)
        #expect(ended.end == done)
        #expect(ended.calls == [.request, .login, .mend(.restoreLogin), .request])
        #expect(attempt([.keyHandleInvalid], loginStands: false).end == refused(.userNotLoggedIn, isStale: true))
    }

    @Test("A new login may come with new handles: the session was lost, not the key")
    func handleAfterMending() {
        #expect(attempt([.sessionClosed, .keyHandleInvalid]).end == refused(.sessionClosed, isStale: true))
    }
}

@Suite("A token's known answer")
struct KnownAnswerTrialTests {
    private func end(
        _ answers: [KnownAnswer], mended: KnownAnswer = .passed
    ) -> (end: LaneEnd, calls: [KnownAnswerTrial.Call]) {
        var answers = Answers(answers, then: .unavailable)
        var calls: [KnownAnswerTrial.Call] = []
        var trial = KnownAnswerTrial()
        let end = trial.end { call in
            calls.append(call)
            return call == .knownAnswer ? answers.next() : mended
        }
        return (end, calls)
    }

    @Test("One that comes is done; one that does not is reported with function and code")
    func plain() {
        #expect(end([.passed]).end == LaneEnd(.done, .ok))
        let failed = CallResult(function: .decrypt, code: .functionFailed)
        #expect(end([.failed(failed)]).end == LaneEnd(.refused, failed))
        #expect(end([.failed(failed)]).calls == [.knownAnswer])
    }

    @Test("Without a block to open, nothing is said against the HSM")
    func noBlock() {
        #expect(end([.unavailable]).end.result == CallResult(function: .decryptInit, code: .keyHandleInvalid))
    }

    @Test("A decryption that did not end on the session is no failure of the known answer")
    func stuckOperation() {
        let stuck = CallResult(function: .decryptInit, code: .operationActive)
        let mended = end([.failed(stuck), .passed])
        #expect(mended.end.status == .done)
        #expect(mended.calls == [.knownAnswer, .mend(.reopen), .knownAnswer])
        #expect(end([.failed(stuck), .passed], mended: .failed(.ok)).end == LaneEnd(.refused, stuck))
        let gone = CallResult(function: .decryptInit, code: .sessionHandleInvalid)
        #expect(end([.failed(gone), .passed]).calls == [.knownAnswer, .mend(.restoreLogin), .knownAnswer])
    }
}
