// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11
import SecureMemory
import Testing

/// Lines about a token, its sessions and its keys.
@Suite("Fault-injecting library: tokens", .serialized)
struct TokenFaultTests {
    @Test("lose-sessions: those from before the line are dead, those from after it live")
    func loseSessions() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let other = try hsm.login(FaultyHSM.second)
            let foo = try #require(try session.key("foo"))
            let otherFoo = try #require(try other.key("foo"))
            try hsm.control("[hsm-1]\nlose-sessions\n")
            #expect(session.encryptionCode(foo) == .sessionHandleInvalid)
            #expect(throws: PKCS11Error(function: .closeSession, code: .sessionHandleInvalid)) { try session.close() }
            #expect(other.encryptionCode(otherFoo).isOK)
            // With its last session a token loses the login.
            let fresh = try Session.open(hsm.module, slot: session.slot)
            #expect(try fresh.userIsLoggedIn() == false)
            try fresh.login(pin: SecretBytes(FaultyHSM.pin.utf8))
            let found = try #require(try fresh.key("foo"))
            #expect(fresh.encryptionCode(found).isOK)
            try hsm.control("")
            #expect(fresh.encryptionCode(found).isOK)
            #expect(session.encryptionCode(found) == .sessionHandleInvalid)
        }
    }

    @Test("lose-token: no token in the slot, and no old session comes back with it")
    func loseToken() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let other = try hsm.login(FaultyHSM.second)
            let foo = try #require(try session.key("foo"))
            let otherFoo = try #require(try other.key("foo"))
            let slots = try hsm.module.slots().count
            try hsm.control("[hsm-1]\nlose-token\n")
            #expect(session.encryptionCode(foo) == .deviceRemoved)
            #expect(other.encryptionCode(otherFoo).isOK)
            #expect(try !hsm.module.tokens().contains { $0.identity.label == FaultyHSM.first })
            #expect(try hsm.module.slots().count == slots)
            #expect(throws: PKCS11Error(function: .getTokenInfo, code: .tokenNotPresent)) {
                try hsm.module.token(inSlot: session.slot)
            }
            #expect(throws: PKCS11Error(function: .openSession, code: .tokenNotPresent)) {
                try Session.open(hsm.module, slot: session.slot)
            }
            try hsm.control("")
            #expect(session.encryptionCode(foo) == .sessionHandleInvalid)
            let fresh = try Session.open(hsm.module, slot: hsm.token().identity.slot)
            #expect(try fresh.userIsLoggedIn() == false)
            try fresh.login(pin: SecretBytes(FaultyHSM.pin.utf8))
            #expect(fresh.encryptionCode(foo) == .keyHandleInvalid)
            let found = try #require(try fresh.key("foo"))
            #expect(fresh.encryptionCode(found).isOK)
        }
    }

    @Test("lose-token for a time: it comes back by itself")
    func loseTokenForATime() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            try hsm.control("[hsm-1]\nlose-token for 300ms\n")
            #expect(session.encryptionCode(foo) == .deviceRemoved)
            let limit = ContinuousClock.now + .seconds(20)
            while session.encryptionCode(foo) == .deviceRemoved, ContinuousClock.now < limit {}
            #expect(session.encryptionCode(foo) == .sessionHandleInvalid)
            #expect(try hsm.login().key("foo") != nil)
        }
    }

    @Test("session-limit: reported, and kept")
    func sessionLimit() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM(control: "[hsm-1]\nsession-limit 2\n")
            defer { hsm.remove() }
            let token = try hsm.token()
            #expect(token.identity.sessionLimit == 2)
            let first = try Session.open(hsm.module, slot: token.identity.slot)
            let second = try Session.open(hsm.module, slot: token.identity.slot)
            #expect(throws: PKCS11Error(function: .openSession, code: .sessionCount)) {
                try Session.open(hsm.module, slot: token.identity.slot)
            }
            try first.close()
            let third = try Session.open(hsm.module, slot: token.identity.slot)
            #expect(third.random(8).code.isOK)
            #expect(second.random(8).code.isOK)
            #expect(try hsm.token(FaultyHSM.second).identity.sessionLimit == 0)
        }
    }

    @Test("refuse-login")
    func refuseLogin() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM(control: "[hsm-1]\nrefuse-login CKR_PIN_LOCKED\n")
            defer { hsm.remove() }
            #expect(throws: PKCS11Error(function: .login, code: .pinLocked)) { try hsm.login() }
            #expect(try hsm.login(FaultyHSM.second).userIsLoggedIn())
            try hsm.control("")
            #expect(try hsm.login().userIsLoggedIn())
        }
    }

    @Test("lose-key: not found, its handle dead, also when it is back")
    func loseKey() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            let bar = try #require(try session.key("bar"))
            try hsm.control("[hsm-1]\nlose-key foo\n")
            #expect(session.encryptionCode(foo) == .keyHandleInvalid)
            #expect(throws: PKCS11Error.self) { try session.destroy(foo) }
            #expect(try session.key("foo") == nil)
            #expect(session.encryptionCode(bar).isOK)
            #expect(try session.key("bar") == bar)
            try hsm.control("")
            #expect(session.encryptionCode(foo) == .keyHandleInvalid)
            let back = try #require(try session.key("foo"))
            #expect(back != foo)
            #expect(session.encryptionCode(back).isOK)
        }
    }

    @Test("swap-key: the same label, another value; and back")
    func swapKey() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            let bar = try #require(try session.key("bar"))
            let underFoo = session.perform(.encrypt, key: foo).output
            let underBar = session.perform(.encrypt, key: bar).output
            try hsm.control("[hsm-1]\nswap-key foo bar\n")
            #expect(session.encryptionCode(foo) == .keyHandleInvalid)
            let swapped = try #require(try session.aesKeys(atMost: 10).keys.first { $0.label == "foo" })
            #expect(swapped.id == Array("foo".utf8))
            #expect(swapped.size == 32)
            #expect(session.perform(.encrypt, key: swapped.handle).output == underBar)
            #expect(session.perform(.encrypt, key: bar).output == underBar)
            #expect(session.perform(.decrypt, key: swapped.handle, data: underFoo).result.code == .generalError)
            try hsm.control("[hsm-1]\nswap-key foo nothing\n")
            #expect(try session.key("foo") == nil)
            try hsm.control("")
            #expect(session.encryptionCode(swapped.handle) == .keyHandleInvalid)
            let back = try #require(try session.key("foo"))
            #expect(session.perform(.encrypt, key: back).output == underFoo)
        }
    }

    @Test("swap-value: the handle lives on, and leads to another value; and back")
    func swapValue() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            let bar = try #require(try session.key("bar"))
            let underFoo = session.perform(.encrypt, key: foo).output
            let underBar = session.perform(.encrypt, key: bar).output
            #expect(underFoo != underBar)
            try hsm.control("[hsm-1]\nswap-value foo bar\n")
            #expect(session.perform(.encrypt, key: foo).output == underBar)
            #expect(session.perform(.decrypt, key: foo, data: underFoo).result.code == .generalError)
            #expect(try session.key("foo") == foo)
            #expect(session.perform(.encrypt, key: bar).output == underBar)
            try hsm.control("[hsm-1]\nswap-value foo nothing\n")
            #expect(session.encryptionCode(foo) == .keyHandleInvalid)
            try hsm.control("")
            #expect(session.perform(.encrypt, key: foo).output == underFoo)
        }
    }

    @Test("Sessions lost and tokens taken under many threads: nothing breaks, and all is well afterwards")
    func threads() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let rounds = [
                "[hsm-1]\nlose-sessions\n", "[hsm-1]\nlose-token\n", "[hsm-1]\nlose-key foo\n",
                "[hsm-1]\nswap-key foo bar\ndelay * 10us..100us\n", "[hsm-1]\nswap-value foo bar\n",
                "[*]\nreturn CKR_DEVICE_ERROR * every 7\n", "",
            ]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        await onThread {
                            for _ in 0..<200 {
                                guard let session = try? hsm.login() else { continue }
                                if let key = try? session.key("foo") { _ = session.encryptionCode(key) }
                                try? session.close()
                            }
                        }
                    }
                }
                for index in 0..<120 {
                    try hsm.control(rounds[index % rounds.count])
                    _ = try? hsm.module.tokens()
                }
                try await group.waitForAll()
            }
            try hsm.control("")
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            #expect(session.encryptionCode(foo).isOK)
        }
    }
}
