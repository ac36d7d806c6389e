// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

/// Canaries over a scripted HSM.
private struct CanaryBench {
    let script = Script()
    var canaries: Canaries<ScriptedSession>

    init() throws {
        guard let ivs = IVPool(history: IVHistory()) else { throw Bench.NoMemory() }
        canaries = Canaries(session: ScriptedSession(script: script), ivs: ivs, profile: .callerWithIVBits)
    }

    static let block = (0..<UInt8(SealedCanary.blockLength)).map { $0 }
    static let canary = SealedCanary(
        initializationVector: [UInt8](repeating: 3, count: 12), ciphertext: block + [UInt8](repeating: 0, count: 16))

    mutating func open(_ canary: SealedCanary = canary, key: UInt32 = 1) -> Canaries<ScriptedSession>.Outcome {
        canaries.open(canary, key: key)
    }
}

@Suite("Canaries")
struct CanaryTests {
    private static let mending = [SessionCall.restoreLogin, .reopen]

    @Test("A canary is random, and opened before it is given away")
    func making() throws {
        var bench = try CanaryBench()
        guard case .made(let canary, let block) = bench.canaries.make(key: 1) else {
            Issue.record("no canary")
            return
        }
        #expect(block.count == SealedCanary.blockLength)
        #expect(canary.initializationVector.count == ivLength)
        #expect(canary.ciphertext.count == block.count + gcmTagLength)
        #expect(bench.script.calls == [.random, .random, .encrypt, .decrypt])
        #expect(bench.open(canary) == .opened(block))
        #expect(bench.canaries.make(key: 1) != .made(canary, block: block))
    }

    @Test("A canary that was spoilt is not given away")
    func spoilt() throws {
        var bench = try CanaryBench()
        bench.script.flipsBits = true
        let failed = CallResult(function: .encrypt, code: .deviceError)
        #expect(bench.canaries.make(key: 1) == .refused(.failed, failed))
        var other = try CanaryBench()
        other.script.decrypt = [.encryptedDataInvalid]
        #expect(other.canaries.make(key: 1) == .refused(.failed, failed))
        #expect(other.script.calls.filter { $0 == .encrypt }.count == 2)
    }

    @Test("A generator that fails or gives zeroes makes none")
    func generator() throws {
        var bench = try CanaryBench()
        bench.script.random = { target, _ in
            for index in target.indices { target[index] = 0 }
            return .ok
        }
        let broken = CallResult(function: .generateRandom, code: .randomNoRNG)
        #expect(bench.canaries.make(key: 1) == .refused(.failed, broken))
        #expect(!bench.script.calls.contains(.encrypt))

        var lost = try CanaryBench()
        let good = lost.script.random
        lost.script.random = { target, call in call == 1 ? .deviceError : good(target, call) }
        guard case .made = lost.canaries.make(key: 1) else {
            Issue.record("no canary")
            return
        }
        #expect(lost.script.calls == [.random] + Self.mending + [.random, .random, .encrypt, .decrypt])
    }

    @Test("The right key opens it in one call")
    func opening() throws {
        var bench = try CanaryBench()
        #expect(bench.open() == .opened(CanaryBench.block))
        #expect(bench.script.calls == [.decrypt])
    }

    @Test("A number that leads nowhere, or elsewhere by now, is a key that is gone")
    func gone() throws {
        var bench = try CanaryBench()
        #expect(bench.open(key: 2) == .refused(.keyGone, .ok))
        let moved = CallResult(function: .decryptInit, code: .keyHandleInvalid)
        #expect(bench.open(key: 3) == .refused(.keyGone, moved))
        guard case .refused(.keyGone, _) = bench.canaries.make(key: 3) else {
            Issue.record("made with a key that is gone")
            return
        }
        #expect(!bench.script.calls.contains(.decrypt))
    }

    @Test("So is a handle that leads nowhere while the login stands, and the catalogue is read anew")
    func staleHandle() throws {
        var bench = try CanaryBench()
        bench.script.decryptFunction = .decryptInit
        bench.script.decrypt = [.keyHandleInvalid]
        let result = CallResult(function: .decryptInit, code: .keyHandleInvalid)
        #expect(bench.open() == .refused(.keyGone, result))
        #expect(bench.script.staleCatalogues == 1)
        #expect(bench.script.calls == [.decrypt, .loginStands])
    }

    @Test("Without login it says nothing about the key")
    func staleHandleWithoutLogin() throws {
        var bench = try CanaryBench()
        bench.script.loginStands = false
        bench.script.decrypt = [.keyHandleInvalid, .ok]
        #expect(bench.open() == .opened(CanaryBench.block))
        var other = try CanaryBench()
        other.script.loginStands = false
        other.script.decrypt = [.keyHandleInvalid]
        #expect(other.open() == .refused(.failed, CallResult(function: .decrypt, code: .userNotLoggedIn)))
    }

    @Test("The wrong key is reported only with known answers before and after, all on the session that failed")
    func wrongKey() throws {
        var bench = try CanaryBench()
        bench.script.decrypt = [.aeadDecryptFailed]
        #expect(bench.open() == .refused(.wrongKey, CallResult(function: .decrypt, code: .aeadDecryptFailed)))
        let expected: [SessionCall] = [
            .decrypt, .decrypt, .knownAnswer, .decrypt, .decrypt, .knownAnswer, .knownAnswer, .decrypt,
        ]
        #expect(bench.script.calls == expected)
    }

    @Test(
        "A lost session or login is mended first",
        arguments: [ReturnCode.sessionHandleInvalid, .userNotLoggedIn, .deviceRemoved])
    func lostSession(code: ReturnCode) throws {
        var bench = try CanaryBench()
        bench.script.decrypt = [code, .ok]
        #expect(bench.open() == .opened(CanaryBench.block))
    }

    @Test("Any other failure is tried once more on a new session, and then reported")
    func failing() throws {
        var bench = try CanaryBench()
        bench.script.decrypt = [.hostMemory]
        #expect(bench.open() == .refused(.failed, CallResult(function: .decrypt, code: .hostMemory)))
        #expect(bench.script.calls == [.decrypt] + Self.mending + [.decrypt])
        var refused = try CanaryBench()
        refused.script.decrypt = [.deviceError]
        refused.script.restoreLogin = [.pinLocked]
        #expect(refused.open() == .refused(.failed, CallResult(function: .decrypt, code: .deviceError)))
    }

    @Test("What is no canary is not tried: its refusal would say nothing about the key")
    func malformed() throws {
        var bench = try CanaryBench()
        let good = CanaryBench.canary
        for canary in [
            SealedCanary(initializationVector: good.initializationVector, ciphertext: []),
            SealedCanary(initializationVector: good.initializationVector, ciphertext: good.ciphertext + [0]),
            SealedCanary(initializationVector: [], ciphertext: good.ciphertext),
            SealedCanary(initializationVector: [UInt8](repeating: 1, count: 17), ciphertext: good.ciphertext),
        ] {
            let refused = CallResult(function: .decrypt, code: .encryptedDataLenRange)
            #expect(bench.open(canary) == .refused(.failed, refused))
        }
        #expect(bench.script.calls.isEmpty)
    }

    @Test("Answers bear the ticket of their request")
    func tickets() throws {
        var bench = try CanaryBench()
        let opened = bench.canaries.serve(.open(ticket: 41, key: 1, CanaryBench.canary))
        #expect(opened == .canaryOpened(ticket: 41, block: CanaryBench.block))
        guard case .canaryMade(ticket: 42, let canary, let block) = bench.canaries.serve(.make(ticket: 42, key: 1))
        else {
            Issue.record("no canary")
            return
        }
        #expect(bench.open(canary) == .opened(block))
        let gone = bench.canaries.serve(.open(ticket: 43, key: 2, canary))
        #expect(gone == .canaryRefused(ticket: 43, .keyGone, function: .none, code: 0))
        bench.script.decrypt = [.aeadDecryptFailed]
        let wrong = bench.canaries.serve(.open(ticket: .max, key: 1, canary))
        #expect(wrong == .canaryRefused(ticket: .max, .wrongKey, function: .decrypt, code: 0x42))
    }
}
