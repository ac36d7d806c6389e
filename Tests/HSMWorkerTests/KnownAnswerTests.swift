// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

@Suite("Refused ciphertext and known answers on a lane")
struct KnownAnswerTests {
    @Test("a refused ciphertext is reported as it is, after one call: the node decides what it means")
    func refusedCiphertext() throws {
        var bench = try Bench()
        bench.script.decrypt = [.functionFailed]
        let verdict = bench.serve(.decrypt)
        #expect(verdict.status == .refused)
        #expect(verdict.result == CallResult(function: .decrypt, code: .functionFailed))
        #expect(bench.script.calls == [.decrypt])
    }

    @Test("a known answer that comes is done; one that does not is reported with function and code")
    func knownAnswer() throws {
        var bench = try Bench()
        #expect(bench.engine.answerKnown(deadline: .max).status == .done)
        bench.script.knownAnswer = [.failed(CallResult(function: .decrypt, code: .functionFailed))]
        let failed = bench.engine.answerKnown(deadline: .max)
        #expect(failed.status == .refused && failed.result.code == .functionFailed)
    }

    @Test("without a block to open, nothing is said against the HSM")
    func noBlock() throws {
        var bench = try Bench()
        bench.script.knownAnswer = [.unavailable]
        let verdict = bench.engine.answerKnown(deadline: .max)
        #expect(verdict.status == .refused && verdict.result.code == .keyHandleInvalid)
    }

    @Test("a decryption that did not end on the session is no failure of the known answer")
    func stuckOperation() throws {
        var bench = try Bench()
        bench.script.knownAnswer = [.failed(CallResult(function: .decryptInit, code: .operationActive)), .passed]
        #expect(bench.engine.answerKnown(deadline: .max).status == .done)
        #expect(bench.script.calls == [.knownAnswer, .reopen, .knownAnswer])
    }

    @Test("after its deadline nothing is called")
    func late() throws {
        var bench = try Bench()
        #expect(bench.engine.answerKnown(deadline: 0).status == .expired)
        #expect(bench.script.calls.isEmpty)
    }
}
