// SPDX-License-Identifier: Apache-2.0
import Foundation
import LaneProtocol
import PKCS11
import SecureMemory
import Synchronization
import Testing

/// How an HSM serves: what is rare, what is random, what is one at a time, and how many calls there were.
@Suite("Fault-injecting library: service", .serialized)
struct ServiceTests {
    @Test("share: so many of the calls, by chance; with every, so many of those")
    func share() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            func failures(_ line: String, calls: Int) throws -> [Bool] {
                try hsm.control("[hsm-1]\n\(line)\n")
                return (0..<calls).map { _ in !session.encryptionCode(foo).isOK }
            }
            // 100 of 400 are expected, with a standard deviation below 9.
            let quarter = try failures("return CKR_GENERAL_ERROR C_Encrypt share 25%", calls: 400)
            #expect((50...150).contains(quarter.filter { $0 }.count))
            // 2 of 400, when the decimals count.
            let few = try failures("return CKR_GENERAL_ERROR C_Encrypt share 0.5%", calls: 400)
            #expect(few.filter { $0 }.count < 20)
            let all = try failures("return CKR_GENERAL_ERROR C_Encrypt share 100%", calls: 10)
            #expect(all == [Bool](repeating: true, count: 10))
            let second = try failures("return CKR_GENERAL_ERROR C_Encrypt every 2 share 100.0%", calls: 6)
            #expect(second == [false, true, false, true, false, true])
        }
    }

    @Test("delay exp: many short calls, few long ones, and the mean")
    func exponential() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            try hsm.control("[hsm-1]\ndelay C_GenerateRandom exp 4ms\n")
            let times = (0..<300).map { _ in seconds { #expect(session.random(8).code.isOK) } }
            // A busy machine makes calls longer, never shorter: of 300 calls, 118 are below 2 ms and 41 above 8.
            #expect(times.filter { $0 < 0.002 }.count > 20)
            #expect(times.filter { $0 >= 0.008 }.count > 15)
            // 1.2 s, with a standard deviation of 0.07.
            #expect(times.reduce(0, +) > 0.9)
        }
    }

    @Test("serial: one call at a time on the token, whatever its function and session; not on another token")
    func serial() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let sessions = try (0..<2).map { _ in try Session.open(hsm.module, slot: hsm.token().identity.slot) }
            try sessions[0].login(pin: SecretBytes(FaultyHSM.pin.utf8))
            let other = try hsm.login(FaultyHSM.second)
            let foo = try #require(try sessions[0].key("foo"))
            try hsm.control(
                "[*]\nserial C_Encrypt\nserial C_GenerateRandom\ndelay C_Encrypt 200ms\ndelay C_GenerateRandom 200ms\n")
            let ends = Ends()
            let taken = await ContinuousClock().measure {
                await withTaskGroup(of: Void.self) { group in
                    group.addTask {
                        await onThread {
                            #expect(sessions[0].encryptionCode(foo).isOK)
                            #expect(sessions[0].encryptionCode(foo).isOK)
                            ends.names.withLock { $0.append("first") }
                        }
                    }
                    group.addTask {
                        await onThread {
                            #expect(sessions[1].random(8).code.isOK)
                            #expect(sessions[1].random(8).code.isOK)
                            ends.names.withLock { $0.append("second") }
                        }
                    }
                    group.addTask {
                        await onThread {
                            #expect(other.random(8).code.isOK)
                            ends.names.withLock { $0.append("other") }
                        }
                    }
                }
            }
            #expect(taken >= .milliseconds(800))
            #expect(ends.names.withLock { $0 }.first == "other")
            // The line goes, and with it the waiting.
            try hsm.control("")
            #expect(sessions[0].encryptionCode(foo).isOK)
        }
    }

    @Test("Calls are counted by token and function, refused ones too; a dead session's are not")
    func counts() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let other = try hsm.login(FaultyHSM.second)
            let foo = try #require(try session.key("foo"))
            // The token was provisioned by calls of this process.
            let logins = try hsm.calls("C_Login")
            #expect(logins > 0)
            #expect(try hsm.calls("C_Encrypt") == 0)
            for _ in 0..<5 { #expect(session.encryptionCode(foo).isOK) }
            try hsm.control("[hsm-1]\nreturn CKR_DEVICE_ERROR C_Encrypt\n")
            for _ in 0..<2 { #expect(session.encryptionCode(foo) == .deviceError) }
            #expect(other.random(8).code.isOK)
            #expect(try hsm.calls("C_Encrypt") == 7)
            #expect(try hsm.calls("C_GenerateRandom") == 0)
            #expect(try hsm.calls("C_GenerateRandom", token: FaultyHSM.second) == 1)
            #expect(try hsm.calls("C_Encrypt", token: FaultyHSM.second) == 0)
            #expect(try hsm.calls("C_Initialize", token: "") == 2)
            // What they took is counted when they end, with their delays.
            let before = try hsm.count("C_GenerateRandom").nanoseconds
            try hsm.control("[hsm-1]\ndelay C_GenerateRandom 100ms\n")
            for _ in 0..<2 { #expect(session.random(8).code.isOK) }
            let random = try hsm.count("C_GenerateRandom")
            #expect(random.calls == 2)
            #expect(random.nanoseconds - before >= 200_000_000)
            try hsm.control("")
            try session.close()
            #expect(session.encryptionCode(foo) == .sessionHandleInvalid)
            #expect(try hsm.calls("C_Encrypt") == 7)
            #expect(try hsm.calls("C_Login") == logins)
        }
    }
}

/// Who has ended, in order.
private final class Ends: Sendable {
    let names = Mutex<[String]>([])
}
