// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

@Suite("A lane without session")
struct ParkedLaneTests {
    @Test("Opening and closing are done once, however often they are asked for")
    func idempotent() throws {
        var bench = try Bench(isOpen: false)
        #expect(bench.engine.closeSession().status == .done)
        #expect(bench.script.calls.isEmpty)
        #expect(bench.engine.openSession(deadline: .max).status == .done)
        #expect(bench.engine.openSession(deadline: .max).status == .done)
        #expect(bench.engine.sessionIsOpen)
        #expect(bench.script.calls == [.restoreLogin, .reopen])
        #expect(bench.serve(.decrypt).status == .done)
        #expect(bench.engine.closeSession().status == .done)
        #expect(bench.engine.closeSession().status == .done)
        #expect(!bench.engine.sessionIsOpen)
        #expect(bench.script.calls == [.restoreLogin, .reopen, .decrypt, .close])
    }

    @Test("A session that the token does not give is refused with its code, and the lane stays parked")
    func refused() throws {
        var bench = try Bench(isOpen: false)
        bench.script.reopen = [.sessionCount]
        let verdict = bench.engine.openSession(deadline: .max)
        #expect(verdict.status == .refused)
        #expect(verdict.result == CallResult(function: .openSession, code: .sessionCount))
        #expect(!bench.engine.sessionIsOpen)
    }

    @Test("A login that cannot be restored is reported as such")
    func refusedLogin() throws {
        var bench = try Bench(isOpen: false)
        bench.script.restoreLogin = [.pinLocked]
        let verdict = bench.engine.openSession(deadline: .max)
        #expect(verdict.result == CallResult(function: .login, code: .pinLocked))
        #expect(bench.script.calls == [.restoreLogin])
    }

    @Test("Nothing is opened that nobody waits for; what is given back is given back in any case")
    func deadline() throws {
        var bench = try Bench(isOpen: false)
        #expect(bench.engine.openSession(deadline: bench.script.clock).status == .expired)
        #expect(bench.script.calls.isEmpty)
    }

    @Test("A request on a parked lane opens a session, or is refused with what the token said")
    func request() throws {
        var bench = try Bench(isOpen: false)
        bench.script.reopen = [.sessionCount, .ok]
        let refused = bench.serve(.encrypt)
        #expect(refused.status == .refused)
        #expect(refused.result == CallResult(function: .openSession, code: .sessionCount))
        #expect(!bench.script.calls.contains(.encrypt))
        #expect(bench.serve(.encrypt).status == .done)
        #expect(bench.engine.sessionIsOpen)
    }

    @Test("A session that was lost and not replaced is opened when the node asks")
    func lostSession() throws {
        var bench = try Bench()
        bench.script.decrypt = [.deviceRemoved, .ok]
        bench.script.reopen = [.tokenNotPresent, .ok]
        #expect(bench.serve(.decrypt).status == .refused)
        #expect(!bench.engine.sessionIsOpen)
        #expect(bench.engine.openSession(deadline: .max).status == .done)
        #expect(bench.serve(.decrypt).status == .done)
    }
}
