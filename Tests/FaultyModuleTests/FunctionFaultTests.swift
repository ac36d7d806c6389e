// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import LaneProtocol
import PKCS11
import SecureMemory
import Synchronization
import Testing

/// Lines that name a function.
@Suite("Fault-injecting library: functions", .serialized)
struct FunctionFaultTests {
    @Test("Without a fault it is the library that it wraps")
    func transparent() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            #expect(try hsm.token().identity.model == "SoftHSM v2")
            #expect(try hsm.module.information().cryptokiVersion == "2.40")
            #expect(!hsm.module.hasMessageFunctions)
            let session = try hsm.login()
            #expect(try session.aesKeys(atMost: 10).keys.compactMap(\.label).sorted() == ["bar", "foo"])
            let foo = try #require(try session.key("foo"))
            #expect(try session.key("foo") == foo)
            let sealed = session.perform(.encrypt, key: foo)
            #expect(sealed.result.isOK)
            #expect(session.perform(.decrypt, key: foo, data: sealed.output).output == [1, 2, 3, 4, 5])
            let temporary = try session.generateSessionKey()
            #expect(session.encryptionCode(temporary).isOK)
            try session.destroy(temporary)
            #expect(session.encryptionCode(temporary) == .keyHandleInvalid)
            // A handle of one token means nothing on another.
            let other = try hsm.login(FaultyHSM.second)
            #expect(other.encryptionCode(foo) == .keyHandleInvalid)
            try session.close()
            #expect(session.encryptionCode(foo) == .sessionHandleInvalid)
        }
    }

    @Test("delay: fixed and random, on the token of the section alone")
    func delay() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let other = try hsm.login(FaultyHSM.second)
            let foo = try #require(try session.key("foo"))
            let otherFoo = try #require(try other.key("foo"))
            try hsm.control("[hsm-1] # a comment\ndelay C_Encrypt 250ms\ndelay C_GenerateRandom 100ms..120000us\n")
            let fixed = seconds { #expect(session.encryptionCode(foo).isOK) }
            #expect(fixed >= 0.25)
            let random = seconds { #expect(session.random(8).code.isOK) }
            #expect(random >= 0.1)
            let times = (0..<5).map { _ in seconds { _ = other.encryptionCode(otherFoo) } }
            #expect(times.contains { $0 < 0.25 })
        }
    }

    @Test("hang: until the line is gone")
    func hang() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let other = try hsm.login(FaultyHSM.second)
            let foo = try #require(try session.key("foo"))
            let otherFoo = try #require(try other.key("foo"))
            try hsm.control("[hsm-1]\nhang C_Encrypt\n")
            let call = Progress()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    await onThread {
                        call.begun.store(true, ordering: .sequentiallyConsistent)
                        call.code.withLock { $0 = session.encryptionCode(foo) }
                    }
                }
                let limit = ContinuousClock.now + .seconds(20)
                while !call.begun.load(ordering: .sequentiallyConsistent), ContinuousClock.now < limit {}
                let end = ContinuousClock.now + .milliseconds(300)
                while ContinuousClock.now < end {
                    #expect(other.encryptionCode(otherFoo).isOK)
                    // The call holds the lock until it returns.
                    #expect(call.code.withLockIfAvailable { $0 } == nil)
                }
                try hsm.control("")
                try await group.waitForAll()
            }
            #expect(call.code.withLock { $0 } == .ok)
        }
    }

    @Test("crash: the process ends by SIGSEGV")
    func crash() async {
        let directory = FaultyHSM.newDirectory()
        await #expect(processExitsWith: .signal(SIGSEGV)) { [path = directory.path as String] in
            // The runtime's own report of crashes would take its time.
            signal(SIGSEGV, SIG_DFL)
            let hsm = try FaultyHSM(directory: URL(filePath: path))
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            try hsm.control("[hsm-1]\ncrash C_Encrypt\n")
            #expect(session.random(8).code.isOK)
            _ = session.encryptionCode(foo)
        }
        try? FileManager.default.removeItem(at: directory)
    }

    @Test("return: always, every third call, for a time, from any function, by number")
    func returnCode() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let other = try hsm.login(FaultyHSM.second)
            let foo = try #require(try session.key("foo"))
            let otherFoo = try #require(try other.key("foo"))
            try hsm.control("[hsm-1]\nreturn CKR_GENERAL_ERROR C_Encrypt every 3\n")
            let codes = (0..<9).map { _ in session.encryptionCode(foo) }
            #expect(codes.map(\.isOK) == [true, true, false, true, true, false, true, true, false])
            #expect(codes[2] == .generalError)

            try hsm.control("[hsm-1]\nreturn 0x80000054 C_EncryptInit\n")
            let refused = session.perform(.encrypt, key: foo).result
            #expect(refused == CallResult(function: .encryptInit, code: ReturnCode(rawValue: 0x8000_0054)))

            // The operation that a refused call belonged to is over: the next one begins afresh.
            try hsm.control("[hsm-1]\nreturn CKR_DEVICE_ERROR C_Decrypt\n")
            let sealed = session.perform(.encrypt, key: foo).output
            #expect(session.perform(.decrypt, key: foo, data: sealed).result.code == .deviceError)
            try hsm.control("")
            #expect(session.perform(.decrypt, key: foo, data: sealed).output == [1, 2, 3, 4, 5])

            try hsm.control("[*]\nreturn CKR_DEVICE_MEMORY * for 1s\n")
            let end = ContinuousClock.now + .seconds(1)
            #expect(session.encryptionCode(foo) == .deviceMemory)
            #expect(other.encryptionCode(otherFoo) == .deviceMemory)
            #expect(throws: PKCS11Error.self) { try hsm.module.slots() }
            var code = ReturnCode.deviceMemory
            while code == .deviceMemory, ContinuousClock.now < end + .seconds(20) { code = session.encryptionCode(foo) }
            #expect(code.isOK)
            #expect(ContinuousClock.now >= end)
        }
    }

    @Test("Calls without a session, and without a slot")
    func withoutSession() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let slot = try hsm.token().identity.slot
            try hsm.control("[hsm-1]\nreturn CKR_DEVICE_ERROR C_GetTokenInfo\nreturn CKR_DEVICE_MEMORY C_OpenSession\n")
            #expect(throws: PKCS11Error(function: .getTokenInfo, code: .deviceError)) {
                try hsm.module.token(inSlot: slot)
            }
            #expect(throws: PKCS11Error(function: .openSession, code: .deviceMemory)) {
                try Session.open(hsm.module, slot: slot)
            }
            try hsm.control("[*]\nreturn CKR_HOST_MEMORY C_GetSlotList\n")
            #expect(throws: PKCS11Error(function: .getSlotList, code: .hostMemory)) { try hsm.module.tokens() }
            try hsm.module.finalize()
            try hsm.control("[*]\nreturn CKR_HOST_MEMORY C_Initialize\n")
            #expect(throws: ModuleError.call(PKCS11Error(function: .initialize, code: .hostMemory))) {
                try Module.load(path: FaultyHSM.library)
            }
        }
    }

    @Test("flip-bits: one bit of the output, every so many calls")
    func flipBits() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            let right = session.perform(.encrypt, key: foo).output
            try hsm.control("[hsm-1]\nflip-bits C_Encrypt every 2\n")
            #expect(session.perform(.encrypt, key: foo).output == right)
            let wrong = session.perform(.encrypt, key: foo).output
            #expect(zip(right, wrong).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount } == 1)
        }
    }

    @Test("Lines that cannot be read are left out; the others hold")
    func unreadable() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            let bad = [
                "return CKR_NO_SUCH_THING *", "return CKR_OK *", "delay C_Encrypt", "delay C_Encrypt 5",
                "hang C_Nothing",
                "return CKR_DEVICE_ERROR C_Encrypt every 0", "lose-key", "session-limit many", "vendor", "vendor iv",
                "delay C_Encrypt exp", "delay C_Encrypt exp 1ms..2ms", "serial", "serial C_Encrypt every 2",
                "return CKR_DEVICE_ERROR C_Encrypt share 0%", "return CKR_DEVICE_ERROR C_Encrypt share 100.1%",
                "return CKR_DEVICE_ERROR C_Encrypt share 5", "return CKR_DEVICE_ERROR C_Encrypt share 0.00001%",
                "return CKR_DEVICE_ERROR C_Encrypt share .5%", "return CKR_DEVICE_ERROR C_Encrypt share 5.%",
                "lose-token share 50%", "zero-iv every 2", "return CKR_DEVICE_ERROR * for", "\"open", "nonsense",
            ]
            for line in bad {
                try hsm.control("return CKR_DEVICE_ERROR *\n[hsm-1]\n\(line)\n[other]\nreturn CKR_DEVICE_ERROR *\n")
                #expect(session.encryptionCode(foo).isOK, "\(line)")
            }
            try hsm.control("[hsm-1]\nnonsense\nreturn CKR_DEVICE_ERROR C_Encrypt\n")
            #expect(session.encryptionCode(foo) == .deviceError)
        }
    }
}

/// How far a call on another thread is.
private final class Progress: Sendable {
    let begun = Atomic(false)
    let code = Mutex<ReturnCode?>(nil)
}

/// Runs a call that blocks on a thread of its own.
func onThread(_ body: @escaping @Sendable () -> Void) async {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread {
            body()
            continuation.resume()
        }
    }
}
