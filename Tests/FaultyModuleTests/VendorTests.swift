// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11
import SecureMemory
import Testing

/// Lines that make a token behave like some vendor's, and broken generators.
@Suite("Fault-injecting library: vendors", .serialized)
struct VendorTests {
    @Test("zero-iv and repeat-iv: the generator, and the HSM that makes the IV")
    func brokenGenerator() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            let appended = GCMProfile(ivSource: .appended, layout: .withIVBits)
            let room = [UInt8](repeating: 0, count: 16)
            try hsm.control("[hsm-1]\nzero-iv\nvendor iv appended\n")
            #expect(session.random(24).bytes == [UInt8](repeating: 0, count: 24))
            #expect(session.perform(.encrypt, key: foo, iv: room, profile: appended).result.code == .randomNoRNG)
            try hsm.control("[hsm-1]\nrepeat-iv\nvendor iv appended\n")
            let stuck = session.random(24).bytes
            #expect(session.random(24).bytes == stuck)
            #expect(Set(stuck).count > 2)
            let one = session.perform(.encrypt, key: foo, iv: room, profile: appended)
            let two = session.perform(.encrypt, key: foo, iv: room, profile: appended)
            #expect(one.result.isOK)
            #expect(one.iv == two.iv)
            try hsm.control("")
            #expect(session.random(24).bytes != session.random(24).bytes)
        }
    }

    @Test("vendor iv: by the caller, into the zeroed buffer, behind the tag")
    func ivMaker() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            try hsm.control("[hsm-1]\nvendor iv caller\n")
            #expect(session.encryptionCode(foo).isOK)

            try hsm.control("[hsm-1]\nvendor iv buffer\n")
            let refused = session.perform(.encrypt, key: foo).result
            #expect(refused == CallResult(function: .encryptInit, code: .mechanismParamInvalid))
            let buffer = GCMProfile(ivSource: .buffer, layout: .withIVBits)
            let room = [UInt8](repeating: 0, count: 16)
            var sealed = session.perform(.encrypt, key: foo, iv: room, profile: buffer)
            #expect(sealed.result.isOK)
            #expect(sealed.iv.prefix(12).contains { $0 != 0 })
            var opened = session.perform(.decrypt, key: foo, iv: Array(sealed.iv.prefix(12)), data: sealed.output)
            #expect(opened.output == [1, 2, 3, 4, 5])

            try hsm.control("[hsm-1]\nvendor iv appended\n")
            #expect(session.encryptionCode(foo) == .deviceError, "16 bytes more than such a caller expects")
            let appended = GCMProfile(ivSource: .appended, layout: .withIVBits)
            sealed = session.perform(.encrypt, key: foo, iv: room, profile: appended)
            #expect(sealed.result.isOK)
            #expect(sealed.output.count == 21)
            opened = session.perform(.decrypt, key: foo, iv: sealed.iv, data: sealed.output, profile: appended)
            #expect(opened.output == [1, 2, 3, 4, 5])
            let next = session.perform(.encrypt, key: foo, iv: room, profile: appended)
            #expect(next.iv != sealed.iv)
        }
    }

    @Test("vendor gcm-params: the other size is refused")
    func parameterSize() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            let small = GCMProfile(ivSource: .caller, layout: .withoutIVBits)
            try hsm.control("[hsm-1]\nvendor gcm-params 40\n")
            #expect(session.encryptionCode(foo) == .mechanismParamInvalid)
            let sealed = session.perform(.encrypt, key: foo, profile: small)
            #expect(sealed.result.isOK)
            #expect(session.perform(.decrypt, key: foo, data: sealed.output).result.code == .mechanismParamInvalid)
            #expect(session.perform(.decrypt, key: foo, data: sealed.output, profile: small).output == [1, 2, 3, 4, 5])
            try hsm.control("[hsm-1]\nvendor gcm-params 48\n")
            #expect(session.encryptionCode(foo).isOK)
            #expect(session.encryptionCode(foo, profile: small) == .mechanismParamInvalid)
        }
    }

    @Test("vendor bad-tag and vendor busy: one code, two meanings")
    func codes() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            let sealed = session.perform(.encrypt, key: foo).output
            var tampered = sealed
            tampered[0] ^= 1
            for code in ["CKR_FUNCTION_FAILED": ReturnCode.functionFailed, "CKR_DATA_INVALID": .dataInvalid] {
                try hsm.control("[hsm-1]\nvendor bad-tag \(code.key)\n")
                #expect(session.perform(.decrypt, key: foo, data: tampered).result.code == code.value)
                #expect(session.perform(.decrypt, key: foo, data: sealed).result.isOK)
            }
            try hsm.control("[hsm-1]\nvendor busy CKR_FUNCTION_FAILED every 4\n")
            let results = (0..<4).flatMap { _ in
                [session.encryptionCode(foo), session.perform(.decrypt, key: foo, data: sealed).result.code]
            }
            #expect(results.map { $0 == .functionFailed } == [false, false, false, true, false, false, false, true])
            #expect(session.random(8).code.isOK)
        }
    }

    @Test("vendor no-gcm: neither listed nor there")
    func withoutGCM() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM()
            defer { hsm.remove() }
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            let all = try hsm.module.mechanisms(ofSlot: session.slot)
            try hsm.control("[hsm-1]\nvendor no-gcm\n")
            #expect(session.encryptionCode(foo) == .mechanismInvalid)
            #expect(try hsm.module.mechanisms(ofSlot: session.slot) == all.filter { $0 != .aesGCM })
            let other = try hsm.token(FaultyHSM.second).identity.slot
            #expect(try hsm.module.mechanisms(ofSlot: other) == all)
        }
    }

    @Test("vendor cant-lock: C_Initialize refuses to lock, and is content without")
    func cantLock() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM(control: "[hsm-1]\nvendor cant-lock\n")
            defer { hsm.remove() }
            #expect(!hsm.module.allowsThreads)
            let session = try hsm.login()
            let foo = try #require(try session.key("foo"))
            #expect(session.encryptionCode(foo).isOK)
        }
    }

    @Test("vendor message-api: AES-GCM by the message functions of 3.0 alone")
    func messages() async {
        await #expect(processExitsWith: .success) {
            let hsm = try FaultyHSM(control: "[hsm-1]\nvendor message-api\n")
            defer { hsm.remove() }
            #expect(hsm.module.hasMessageFunctions)
            #expect(try hsm.module.information().cryptokiVersion == "3.0")
            let session = try hsm.login()
            #expect(hsm.module.takesMessages(.aesGCM, slot: session.slot))
            let foo = try #require(try session.key("foo"))
            #expect(session.encryptionCode(foo) == .mechanismInvalid)
            let message = GCMProfile(ivSource: .caller, layout: .message)
            let sealed = session.perform(.encrypt, key: foo, profile: message)
            #expect(sealed.result.isOK)
            #expect(sealed.output.count == 21)
            let opened = session.perform(.decrypt, key: foo, data: sealed.output, profile: message)
            #expect(opened.output == [1, 2, 3, 4, 5])
            var tampered = sealed.output
            tampered[20] ^= 1
            let refused = session.perform(.decrypt, key: foo, data: tampered, profile: message).result.code
            #expect(refused == .aeadDecryptFailed)
            try hsm.control("[hsm-1]\nvendor message-api\nreturn CKR_DEVICE_ERROR C_EncryptMessage\n")
            #expect(session.encryptionCode(foo, profile: message) == .deviceError)
            // What the messages must agree with.
            try hsm.control("")
            #expect(session.perform(.encrypt, key: foo).output == sealed.output)
        }
    }
}
