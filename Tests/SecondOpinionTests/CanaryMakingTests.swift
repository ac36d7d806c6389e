// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import SecondOpinion
import Testing

@Suite("A canary is made")
struct CanaryMakingTests {
    /// Runs the making against answers by call; what is not named passes.
    private func make(
        _ answers: [CanaryMaking.Call: [KnownAnswer]]
    ) -> (verdict: CanaryMaking.Verdict, calls: [CanaryMaking.Call]) {
        var answers = answers
        var calls: [CanaryMaking.Call] = []
        var making = CanaryMaking()
        let verdict = making.verdict { call in
            calls.append(call)
            guard let answer = answers[call]?.first else { return .passed }
            answers[call]?.removeFirst()
            return answer
        }
        return (verdict, calls)
    }

    private static let round = [CanaryMaking.Call.drawBlock, .seal, .open]

    private func failed(_ function: PKCS11Function, _ code: ReturnCode) -> KnownAnswer {
        .failed(CallResult(function: function, code: code))
    }

    @Test("It is opened before it is given away")
    func making() {
        let made = make([:])
        #expect(made.verdict == .made)
        #expect(made.calls == Self.round)
    }

    @Test("One that was spoilt is not given away; once more it is tried on a new session")
    func spoilt() {
        let wrongTag = failed(.decrypt, .encryptedDataInvalid)
        for opened in [KnownAnswer.failed(CanaryMaking.spoilt), wrongTag] {
            let twice = make([.open: [opened, opened]])
            #expect(twice.verdict == .refused(.failed, CanaryMaking.spoilt))
            #expect(twice.calls == Self.round + [.mend] + Self.round)
            #expect(make([.open: [opened]]).verdict == .made)
        }
    }

    @Test("A generator that fails or gives zeroes makes none")
    func generator() {
        let zeroes = KnownAnswer.failed(CanaryMaking.noRandomness)
        let broken = make([.drawBlock: [zeroes, zeroes]])
        #expect(broken.verdict == .refused(.failed, CanaryMaking.noRandomness))
        #expect(broken.calls == [.drawBlock, .mend, .drawBlock])
        let lost = make([.drawBlock: [failed(.generateRandom, .deviceError)]])
        #expect(lost.verdict == .made)
        #expect(lost.calls == [.drawBlock, .mend] + Self.round)
    }

    @Test("A key that is gone is reported at once")
    func gone() {
        let invalid = CallResult(function: .encryptInit, code: .keyHandleInvalid)
        #expect(make([.seal: [.failed(invalid)]]).verdict == .refused(.keyGone, invalid))
        #expect(make([.seal: [.unavailable]]).calls == [.drawBlock, .seal])
        #expect(make([.open: [.unavailable]]).verdict == .refused(.keyGone, .ok))
    }

    @Test("Where no other session can be had, the first failure is reported")
    func unmended() {
        let full = CallResult(function: .encrypt, code: .deviceMemory)
        let made = make([.seal: [.failed(full)], .mend: [failed(.login, .pinLocked)]])
        #expect(made.verdict == .refused(.failed, full))
        #expect(made.calls == [.drawBlock, .seal, .mend])
    }
}
