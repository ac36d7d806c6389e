// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import SecondOpinion
import Testing

@Suite("What an HSM says of a canary")
struct CanaryOpeningTests {
    private func refused(_ refusal: CanaryRefusal, _ code: ReturnCode) -> CanaryOpening.Verdict {
        .refused(refusal, CallResult(function: .decrypt, code: code))
    }

    @Test("The right key opens it in one call")
    func opening() {
        var hsm = ScriptedOpening([], then: .ok)
        #expect(hsm.verdict() == .opened)
        #expect(hsm.calls == [.open])
    }

    @Test(
        "The wrong key is reported only with known answers before and after",
        arguments: [
            ReturnCode.encryptedDataInvalid, .encryptedDataLenRange, .aeadDecryptFailed, .generalError, .functionFailed,
        ])
    func wrongKey(code: ReturnCode) {
        var hsm = ScriptedOpening([], then: code)
        #expect(hsm.verdict() == refused(.wrongKey, code))
        #expect(
            hsm.calls == [.open, .open, .knownAnswer, .open, .open, .knownAnswer, .knownAnswer, .open])
    }

    @Test(
        "The message functions of PKCS#11 3.0 count as well; those that prepare a decryption never saw the ciphertext")
    func functions() {
        for (function, refusal) in [
            (PKCS11Function.decryptMessage, CanaryRefusal.wrongKey), (.decryptInit, .failed),
            (.messageDecryptInit, .failed),
        ] {
            let result = CallResult(function: function, code: .functionFailed)
            var opening = CanaryOpening()
            let verdict = opening.verdict { $0 == .open ? .failed(result) : .passed }
            #expect(verdict == .refused(refusal, result))
        }
    }

    @Test(
        "Without a known answer nothing is known about the key; where there can be none, that is reported",
        arguments: [
            ReturnCode.encryptedDataInvalid, .generalError,
        ])
    func noKnownAnswer(code: ReturnCode) {
        for answer in [KnownAnswer.unavailable, .failed(CallResult(function: .decrypt, code: .deviceError))] {
            var hsm = ScriptedOpening([], then: code)
            hsm.known = Answers([], then: answer)
            // Without "unclear" the node took both for a passing failure, and a proven key served for ever.
            #expect(hsm.verdict() == refused(answer == .unavailable ? .unclear : .failed, code))
            let round: [CanaryOpening.Call] = [.open, .open, .knownAnswer]
            #expect(hsm.calls == round + [.mend] + round)
        }
    }

    @Test("An HSM that fails every second call, and so the canary each time, does not hold another key for that")
    func everySecondCall() {
        // Asked twice in direct succession, it opens the canary the second time.
        var hsm = ScriptedOpening([.generalError, .ok], then: .generalError)
        #expect(hsm.verdict() == .opened)
        #expect(hsm.calls == [.open, .open])
    }

    /// Whichever call of the HSM the fault falls on, and whichever it begins with.
    @Test("An HSM that fails every nth call never holds another key for that", arguments: 2...9)
    func everyNthCall(period: Int) {
        for offset in 0..<period {
            for fails in [1, period - 1] {
                var count = offset
                var opening = CanaryOpening()
                let verdict = opening.verdict { call in
                    guard call != .mend else { return .passed }
                    count += 1
                    return count % period < fails ? ScriptedOpening.answer(.functionFailed) : .passed
                }
                if case .refused(.wrongKey, _) = verdict { Issue.record("\(fails) of \(period) from \(offset)") }
            }
        }
    }

    @Test("A passing fault is no word on the key", arguments: 1...4)
    func passingFault(failures: Int) {
        var hsm = ScriptedOpening([ReturnCode](repeating: .functionFailed, count: failures), then: .ok)
        #expect(hsm.verdict() == .opened)
    }

    @Test("Any other failure is tried once more on a new session, and then reported")
    func failing() {
        var hsm = ScriptedOpening([], then: .hostMemory)
        #expect(hsm.verdict() == refused(.failed, .hostMemory))
        #expect(hsm.calls == [.open, .mend, .open])
        var stuck = ScriptedOpening([], then: .deviceError)
        stuck.mended = .failed(CallResult(function: .login, code: .pinLocked))
        #expect(stuck.verdict() == refused(.failed, .deviceError))
        #expect(stuck.calls == [.open, .mend])
    }

    @Test("A key that is gone is reported at once, also while a wrong key is being looked into")
    func gone() {
        for position in 0..<5 {
            var hsm = ScriptedOpening([ReturnCode](repeating: .generalError, count: position), then: .keyHandleInvalid)
            #expect(hsm.verdict() == refused(.keyGone, .keyHandleInvalid))
            #expect(!hsm.calls.contains(.mend))
        }
        var opening = CanaryOpening()
        #expect(opening.verdict { _ in .unavailable } == .refused(.keyGone, .ok))
    }

    @Test("What is no canary is not tried: its refusal would say nothing about the key")
    func malformed() {
        let iv = [UInt8](repeating: 3, count: 12)
        let sealed = [UInt8](repeating: 5, count: SealedCanary.sealedLength)
        for canary in [
            SealedCanary(initializationVector: iv, ciphertext: []),
            SealedCanary(initializationVector: iv, ciphertext: sealed + [0]),
            SealedCanary(initializationVector: [], ciphertext: sealed),
            SealedCanary(initializationVector: [UInt8](repeating: 1, count: 17), ciphertext: sealed),
        ] {
            #expect(CanaryOpening(canary).next == .verdict(refused(.failed, .encryptedDataLenRange)))
        }
        #expect(CanaryOpening(SealedCanary(initializationVector: iv, ciphertext: sealed)).next == .call(.open))
    }

    @Test("After the verdict nothing changes it")
    func final() {
        var opening = CanaryOpening()
        opening.take(.passed)
        opening.take(.unavailable)
        #expect(opening.next == .verdict(.opened))
    }

    /// Whatever an HSM answers, the wrong key is reported only where known answers passed and the canary never opened.
    @Test("Over random HSMs, no key is wrong without proof", arguments: 0..<100)
    func randomHSMs(seed: UInt64) {
        var generator = RandomChoice(seed: seed)
        let codes: [ReturnCode] = [
            .generalError, .functionFailed, .encryptedDataInvalid, .ok, .deviceError, .sessionClosed, .keyHandleInvalid,
        ]
        for _ in 0..<50 {
            let weights = (0..<3).map { _ in codes.randomElement(using: &generator) ?? .ok }
            var asked: [(call: CanaryOpening.Call, answer: KnownAnswer)] = []
            var opening = CanaryOpening()
            let verdict = opening.verdict { call in
                let answer: KnownAnswer
                switch call {
                case .open: answer = ScriptedOpening.answer(weights.randomElement(using: &generator) ?? .ok)
                case .knownAnswer:
                    answer = generator.below(5) == 0 ? ScriptedOpening.answer(.generalError) : .passed
                case .mend: answer = generator.below(5) == 0 ? ScriptedOpening.answer(.deviceError) : .passed
                }
                asked.append((call, answer))
                return answer
            }
            #expect(asked.count <= 17)
            guard case .refused(.wrongKey, let result) = verdict else { continue }
            let session = asked.split { $0.call == .mend }.last ?? []
            let known = session.filter { $0.call == .knownAnswer }
            #expect(known.count >= 3 && known.allSatisfy { $0.answer == .passed })
            let tried = session.filter { $0.call == .open }
            #expect(tried.count >= 3 && !tried.contains { $0.answer == .passed })
            #expect(result.mayMeanBadCiphertext || result.saysBadCiphertext)
        }
    }
}
