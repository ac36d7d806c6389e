// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

@Suite("A lane's session is lost and comes back")
struct SessionRecoveryTests {
    @Test("The good case is one call")
    func success() throws {
        var bench = try Bench()
        let encrypted = bench.serve(.encrypt)
        #expect(encrypted.status == .done)
        #expect(encrypted.result.length == 64)
        #expect(encrypted.hsmNanoseconds == 10)
        #expect(bench.serve(.decrypt).result.length == 32)
        #expect(bench.script.calls == [.random, .encrypt, .decrypt])
    }

    @Test("After the deadline, and for a key that is not there, no call is made")
    func nothingToDo() throws {
        var bench = try Bench()
        #expect(bench.serve(.encrypt, deadline: 1_000).status == .expired)
        #expect(bench.serve(.encrypt, deadline: 0).status == .expired)
        #expect(bench.serve(.decrypt, key: 2).status == .keyGone)
        let moved = bench.serve(.decrypt, key: 3)
        #expect(moved.status == .refused)
        #expect(moved.result == CallResult(function: .decryptInit, code: .keyHandleInvalid))
        #expect(bench.script.calls.isEmpty)
    }

    @Test(
        "A stuck session is opened anew, and the request done",
        arguments: [
            ReturnCode.operationActive, .operationNotInitialized,
        ])
    func reopening(code: ReturnCode) throws {
        var bench = try Bench()
        bench.script.decrypt = [code, .ok]
        #expect(bench.serve(.decrypt).status == .done)
        #expect(bench.script.calls == [.decrypt, .reopen, .decrypt])
    }

    @Test(
        "A lost login is restored first, and a lost session may have taken it along",
        arguments: [
            ReturnCode.userNotLoggedIn, .deviceRemoved, .deviceError, .tokenNotPresent, .cryptokiNotInitialized,
            .sessionHandleInvalid, .sessionClosed,
        ])
    func loginAgain(code: ReturnCode) throws {
        var bench = try Bench()
        bench.script.decrypt = [code, .ok]
        #expect(bench.serve(.decrypt).status == .done)
        #expect(bench.script.calls == [.decrypt, .restoreLogin, .reopen, .decrypt])
    }

    @Test("An encryption that is repeated has another IV")
    func freshIV() throws {
        var bench = try Bench()
        bench.script.encrypt = [.sessionClosed, .ok]
        #expect(bench.serve(.encrypt).status == .done)
        #expect(bench.script.ivs.count == 2)
        #expect(Set(bench.script.ivs).count == 2)
    }

    @Test("Once, not for ever: the second failure is the answer")
    func onlyOnce() throws {
        var bench = try Bench()
        bench.script.encrypt = [.deviceError]
        let verdict = bench.serve(.encrypt)
        #expect(verdict.status == .refused)
        #expect(verdict.result.code == .deviceError)
        #expect(bench.script.calls.filter { $0 == .encrypt }.count == 2)
        #expect(bench.script.calls.filter { $0 == .restoreLogin }.count == 1)
    }

    @Test("A login that is refused leaves the first failure as the answer, and nothing is repeated")
    func refusedLogin() throws {
        var bench = try Bench()
        bench.script.decrypt = [.userNotLoggedIn]
        bench.script.restoreLogin = [.pinIncorrect]
        let verdict = bench.serve(.decrypt)
        #expect(verdict.result == CallResult(function: .decrypt, code: .userNotLoggedIn))
        #expect(bench.script.calls == [.decrypt, .restoreLogin])
    }

    @Test("When no session can be opened, the next request begins with opening one")
    func reopenFails() throws {
        var bench = try Bench()
        bench.script.decrypt = [.sessionHandleInvalid, .ok]
        bench.script.reopen = [.tokenNotPresent, .deviceRemoved, .ok]
        #expect(bench.serve(.decrypt).result.code == .sessionHandleInvalid)
        let second = bench.serve(.decrypt)
        #expect(second.status == .refused)
        #expect(second.result == CallResult(function: .openSession, code: .deviceRemoved))
        #expect(bench.serve(.decrypt).status == .done)
        let attempt = [SessionCall.restoreLogin, .reopen]
        #expect(bench.script.calls == [.decrypt] + attempt + attempt + attempt + [.decrypt])
    }

    @Test("Nothing is repeated that nobody waits for any more")
    func deadlinePasses() throws {
        var bench = try Bench()
        bench.script.callDuration = 1_000
        bench.script.decrypt = [.operationActive, .ok]
        #expect(bench.serve(.decrypt, deadline: 2_500).status == .refused)
        #expect(bench.script.calls == [.decrypt, .reopen])
    }

    @Test(
        "A handle that leads nowhere is no word on the key, but has the catalogue read anew",
        arguments: [
            ReturnCode.keyHandleInvalid, .objectHandleInvalid,
        ])
    func staleHandle(code: ReturnCode) throws {
        var bench = try Bench()
        bench.script.encrypt = [code]
        let verdict = bench.serve(.encrypt)
        #expect(verdict.status == .refused)
        #expect(verdict.result == CallResult(function: .encrypt, code: code))
        #expect(bench.script.staleCatalogues == 1)
    }

    @Test("Without login, a handle that leads nowhere is a lost login")
    func handleWithoutLogin() throws {
        var bench = try Bench()
        bench.script.loginStands = false
        bench.script.decrypt = [.keyHandleInvalid, .ok]
        #expect(bench.serve(.decrypt).status == .done)
        #expect(bench.script.calls == [.decrypt, .loginStands, .restoreLogin, .reopen, .decrypt])

        var other = try Bench()
        other.script.loginStands = false
        other.script.decrypt = [.keyHandleInvalid]
        let verdict = other.serve(.decrypt)
        #expect(verdict.status == .refused)
        #expect(verdict.result.code == .userNotLoggedIn)
    }
}
