// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import SeededRandom
import Testing

@Suite("Bad ciphertext or sick HSM")
struct SecondOpinionTests {
    private static let ambiguous: [ReturnCode] = [
        .generalError, .functionFailed, .dataInvalid, .dataLenRange, .argumentsBad,
    ]

    @Test("The known answer passes and the ciphertext fails again: it is bad", arguments: ambiguous)
    func badCiphertext(code: ReturnCode) throws {
        var bench = try Bench()
        bench.script.decrypt = [code]
        let verdict = bench.serve(.decrypt)
        #expect(verdict.status == .refused)
        #expect(verdict.secondOpinion == .ciphertextIsBad)
        #expect(verdict.result == CallResult(function: .decrypt, code: code))
        #expect(bench.script.calls == [.decrypt, .knownAnswer, .decrypt, .knownAnswer, .decrypt])
    }

    @Test("A code that the token was not found to use for a wrong tag is believed after three rounds only")
    func unusualCode() throws {
        let usual = UInt64(ReturnCode.encryptedDataInvalid.rawValue)
        var bad = try Bench(wrongTagCode: usual)
        bad.script.decrypt = [.functionFailed]
        #expect(bad.serve(.decrypt).secondOpinion == .ciphertextIsBad)
        #expect(bad.script.calls.count { $0 == .knownAnswer } == 3)
        #expect(bad.script.calls.count { $0 == .decrypt } == 4)
        var busy = try Bench(wrongTagCode: usual)
        busy.script.decrypt = [.functionFailed, .functionFailed, .ok]
        #expect(busy.serve(.decrypt).status == .done)
    }

    @Test("An HSM that fails everything because it is busy has seen no bad ciphertext")
    func busyHSM() throws {
        var bench = try Bench()
        bench.script.decrypt = [.functionFailed]
        bench.script.knownAnswer = [.failed(CallResult(function: .decryptInit, code: .functionFailed))]
        let verdict = bench.serve(.decrypt)
        #expect(verdict.secondOpinion == .hsmIsSick)
        #expect(bench.script.calls == [.decrypt, .knownAnswer])
    }

    @Test("A wrong known answer is a sick HSM, too")
    func wrongAnswer() throws {
        var bench = try Bench()
        bench.script.decrypt = [.generalError]
        bench.script.knownAnswer = [.failed(CallResult(function: .decrypt, code: .ok, length: 64))]
        #expect(bench.serve(.decrypt).secondOpinion == .hsmIsSick)
    }

    @Test("A passing fault is mended by the repetition")
    func passingFault() throws {
        var bench = try Bench()
        bench.script.decrypt = [.functionFailed, .ok]
        let verdict = bench.serve(.decrypt)
        #expect(verdict.status == .done)
        #expect(verdict.secondOpinion == .none)
    }

    @Test("Another code the second time decides nothing")
    func otherCode() throws {
        var bench = try Bench()
        bench.script.decrypt = [.functionFailed, .deviceError]
        let verdict = bench.serve(.decrypt)
        #expect(verdict.secondOpinion == .none)
        #expect(verdict.result.code == .deviceError)
    }

    @Test("Without a probe key there is no opinion")
    func noProbeKey() throws {
        var bench = try Bench()
        bench.script.decrypt = [.generalError]
        bench.script.knownAnswer = [.unavailable]
        let verdict = bench.serve(.decrypt)
        #expect(verdict.secondOpinion == .none)
        #expect(verdict.result.code == .generalError)
        #expect(bench.script.calls == [.decrypt, .knownAnswer])
    }

    @Test(
        "Codes that mean one thing only are not asked about",
        arguments: [
            ReturnCode.encryptedDataInvalid, .encryptedDataLenRange, .aeadDecryptFailed, .keyFunctionNotPermitted,
            .mechanismInvalid, .hostMemory,
        ])
    func unambiguous(code: ReturnCode) throws {
        var bench = try Bench()
        bench.script.decrypt = [code]
        let verdict = bench.serve(.decrypt)
        #expect(verdict.status == .refused)
        #expect(verdict.result.code == code)
        #expect(verdict.secondOpinion == .none)
        #expect(bench.script.calls == [.decrypt])
    }

    @Test("C_DecryptInit has not seen the ciphertext, and an encryption has none")
    func otherFunctions() throws {
        var bench = try Bench()
        bench.script.decryptFunction = .decryptInit
        bench.script.decrypt = [.functionFailed]
        bench.script.encrypt = [.generalError]
        #expect(bench.serve(.decrypt).secondOpinion == .none)
        #expect(bench.serve(.encrypt).secondOpinion == .none)
        #expect(!bench.script.calls.contains(.knownAnswer))
    }

    @Test("A decryption that did not end is no sign of sickness")
    func stuckOperation() throws {
        var bench = try Bench()
        bench.script.decrypt = [.generalError]
        bench.script.knownAnswer = [
            .failed(CallResult(function: .decryptInit, code: .operationActive)), .passed,
        ]
        #expect(bench.serve(.decrypt).secondOpinion == .ciphertextIsBad)
        #expect(bench.script.calls.prefix(5) == [.decrypt, .knownAnswer, .reopen, .knownAnswer, .decrypt])
    }

    @Test("After the deadline nobody waits for an opinion")
    func deadlinePasses() throws {
        var bench = try Bench()
        bench.script.callDuration = 1_000
        bench.script.decrypt = [.generalError]
        #expect(bench.serve(.decrypt, deadline: 1_500).secondOpinion == .none)
        #expect(bench.script.calls == [.decrypt])
    }

    /// Whatever an HSM answers: ciphertext is bad only where a known answer passed, and the last call refused it with a
    /// code that may mean so; and a request never takes more than a few calls.
    @Test("Over random HSMs, no ciphertext is bad without proof", arguments: 0..<200)
    func randomHSMs(seed: UInt64) throws {
        var generator = SplitMix(seed: seed)
        let codes: [ReturnCode] =
            Self.ambiguous + [.ok, .ok, .deviceError, .sessionClosed, .userNotLoggedIn, .keyHandleInvalid, .cancel]
        for _ in 0..<50 {
            var bench = try Bench()
            let script = bench.script
            script.decrypt = (0..<6).map { _ in codes.randomElement(using: &generator) ?? .ok }
            script.reopen = (0..<4).map { _ in codes.randomElement(using: &generator) ?? .ok }
            script.restoreLogin = (0..<4).map { _ in codes.randomElement(using: &generator) ?? .ok }
            script.loginStands = Bool.random(using: &generator)
            script.knownAnswer = (0..<3).map { _ in
                switch UInt8.random(in: 0..<3, using: &generator) {
                case 0: .passed
                case 1: .unavailable
                default: .failed(CallResult(function: .decrypt, code: codes.randomElement(using: &generator) ?? .ok))
                }
            }
            let answers = script.knownAnswer
            let verdict = bench.serve(.decrypt)
            #expect(script.calls.count <= 12)
            if verdict.status == .done { #expect(verdict.secondOpinion == .none) }
            if verdict.secondOpinion == .ciphertextIsBad {
                let asked = script.calls.filter { $0 == .knownAnswer }.count
                #expect(answers.prefix(asked).last == .passed)
                #expect(script.calls.last == .decrypt)
                #expect(verdict.result.mayMeanBadCiphertext)
            }
        }
    }
}
