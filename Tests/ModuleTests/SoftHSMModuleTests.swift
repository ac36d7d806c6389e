// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import HSMWorker
import LaneProtocol
import PKCS11
import SecureMemory
import Testing

/// A real PKCS#11 library, each test in a child process with a token of its own.
@Suite("PKCS#11 with SoftHSM", .serialized)
struct SoftHSMModuleTests {
    @Test("A fresh token is found, described and has AES-GCM")
    func description() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM()
            defer { hsm.remove() }
            let tokens = try hsm.module.tokens()
            let token = try TokenSelector.label(SoftHSM.label).choose(among: tokens)
            #expect(token.identity.model == "SoftHSM v2")
            #expect(token.identity.manufacturer == "SoftHSM project")
            #expect(token.identity.serial.count == 16)
            #expect(token.flags.isSuperset(of: [.initialized, .pinInitialized, .loginRequired, .hasGenerator]))
            #expect(try TokenSelector.serial(token.identity.serial).choose(among: tokens) == token)
            let mechanisms = try hsm.module.mechanisms(ofSlot: token.identity.slot)
            #expect(mechanisms.contains(.aesGCM))
            #expect(mechanisms.contains(.aesKeyGeneration))
            #expect(try hsm.module.information().cryptokiVersion == "2.40")
        }
    }

    @Test("Encryption agrees with another implementation, for many sizes and both IV lengths")
    func agreesWithSwiftCrypto() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("k")])
            defer { hsm.remove() }
            let session = try hsm.login()
            let handle = try #require(try session.aesKeys(atMost: 10).keys.first?.handle)
            let key = SymmetricKey(data: SoftHSM.keyBytes(7))
            for (index, size) in [1, 15, 16, 17, 100, 4_300, 65_536].enumerated() {
                for nonceSize in [12, 16] {
                    let iv = [UInt8](repeating: UInt8(index + 1), count: nonceSize)
                    let aad = [UInt8](repeating: 5, count: index * 1_000)
                    let data = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
                    let box = try AES.GCM.seal(
                        data, using: key, nonce: AES.GCM.Nonce(data: iv), authenticating: aad)
                    let encrypted = session.perform(.encrypt, key: handle, iv: iv, aad: aad, data: data)
                    #expect(encrypted.result.isOK)
                    #expect(encrypted.output == Array(box.ciphertext + box.tag))
                    let decrypted = session.perform(.decrypt, key: handle, iv: iv, aad: aad, data: encrypted.output)
                    #expect(decrypted.result.isOK)
                    #expect(decrypted.output == data)
                }
            }
        }
    }

    @Test("A wrong tag, a wrong AAD, and what cannot hold a tag")
    func tampering() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("k")])
            defer { hsm.remove() }
            let session = try hsm.login()
            let handle = try #require(try session.aesKeys(atMost: 10).keys.first?.handle)
            let iv = [UInt8](repeating: 1, count: 12)
            var sealed = session.perform(.encrypt, key: handle, iv: iv, data: [1, 2, 3]).output
            sealed[sealed.count - 1] ^= 1
            let tampered = session.perform(.decrypt, key: handle, iv: iv, data: sealed).result
            // CKR_GENERAL_ERROR up to SoftHSM 2.6.1, CKR_ENCRYPTED_DATA_INVALID later.
            #expect(tampered.function == .decrypt)
            #expect([.generalError, .encryptedDataInvalid].contains(tampered.code))
            let short = session.perform(.decrypt, key: handle, iv: iv, data: [1, 2, 3]).result
            #expect(short == CallResult(function: .decrypt, code: .encryptedDataLenRange))
            #expect(session.perform(.encrypt, key: handle, iv: [], data: [1]).result.code == .mechanismParamInvalid)
            sealed[sealed.count - 1] ^= 1
            #expect(session.perform(.decrypt, key: handle, iv: iv, data: sealed).output == [1, 2, 3])
        }
    }

    @Test("Keys are found with their attributes; session keys are not among them")
    func keySearch() async {
        await #expect(processExitsWith: .success) {
            let many = (0..<150).map { SoftHSM.key("many-\($0)", id: [UInt8($0)], size: 16) }
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo", id: [0xab, 1], usage: [.encrypt, .wrap])] + many)
            defer { hsm.remove() }
            let session = try hsm.login()
            _ = try session.generateSessionKey()
            let found = try session.aesKeys(atMost: 1_000)
            #expect(found.keys.count == 151)
            #expect(!found.isCut)
            let foo = try #require(found.keys.first { $0.label == "foo" })
            #expect(foo.id == [0xab, 1])
            #expect(foo.size == 32)
            #expect(foo.usage == [.encrypt, .wrap])
            #expect(found.keys.filter { $0.size == 16 }.count == 150)
            let cut = try session.aesKeys(atMost: 100)
            #expect(cut.isCut)
            #expect(cut.keys.count == 100)
            let stranger = try Session.open(hsm.module, slot: hsm.identity.slot)
            try session.logout()
            #expect(try stranger.aesKeys(atMost: 10).keys.isEmpty)
        }
    }

    @Test("A wrong PIN is reported as such, and tried once")
    func wrongPIN() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM()
            defer { hsm.remove() }
            let failure = #expect(throws: WorkerFailure.self) {
                try OpenToken.open(
                    module: SoftHSM.library, token: .label(SoftHSM.label), pin: SecretBytes("wrong-pin".utf8))
            }
            #expect(failure?.kind == .pinRefused)
            #expect(failure?.code == UInt64(ReturnCode.pinIncorrect.rawValue))
            #expect(failure?.message.contains("not tried again") == true)
            #expect(failure?.message.contains("wrong-pin") == false)
            let session = try Session.open(hsm.module, slot: hsm.identity.slot)
            #expect(try session.userIsLoggedIn() == false)
            try session.login(pin: hsm.userPIN)
            try session.login(pin: hsm.userPIN)
            #expect(try session.userIsLoggedIn())
        }
    }

    @Test("A library that is none, and a token that is not there, are reported with what was found")
    func notFound() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM()
            defer { hsm.remove() }
            let missing = #expect(throws: WorkerFailure.self) {
                try OpenToken.open(module: "/nowhere/lib.so", token: .label("x"), pin: nil)
            }
            #expect(missing?.kind == .module)
            #expect(missing?.message.contains("/nowhere/lib.so") == true)
            let foreign = #expect(throws: WorkerFailure.self) {
                try OpenToken.open(module: "libm.so.6", token: .label("x"), pin: nil)
            }
            #expect(foreign?.message.contains("no PKCS#11 library") == true)
            let token = #expect(throws: WorkerFailure.self) {
                try OpenToken.open(module: SoftHSM.library, token: .label("x"), pin: nil)
            }
            #expect(token?.kind == .token)
            #expect(token?.message.contains(hsm.identity.serial) == true)
        }
    }

    @Test("The listing shows slots, tokens and, after login, keys")
    func listing() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo", id: [0xab]), SoftHSM.key("lonely", usage: [.decrypt])])
            defer { hsm.remove() }
            let without = try HSMListing.read(module: SoftHSM.library)
            #expect(without.slots.count == 2)
            #expect(without.slots.allSatisfy { $0.keys.isEmpty && !$0.isLoggedIn })
            let listing = try HSMListing.read(
                module: SoftHSM.library, login: (token: .label(SoftHSM.label), pin: hsm.userPIN))
            let slot = try #require(listing.slots.first { $0.token?.identity.serial == hsm.identity.serial })
            #expect(slot.hasGCM == true)
            #expect(slot.isLoggedIn)
            #expect(slot.keys.compactMap(\.label).sorted() == ["foo", "lonely"])
            let table = listing.table
            for part in [hsm.identity.serial, "AES-GCM yes", "foo", "256", "ab", "encrypt,decrypt", "not initialised"] {
                #expect(table.contains(part), "\(part) is missing in:\n\(table)")
            }
            let refused = #expect(throws: WorkerFailure.self) {
                try HSMListing.read(
                    module: SoftHSM.library, login: (token: .label(SoftHSM.label), pin: SecretBytes("wrong".utf8)))
            }
            #expect(refused?.kind == .pinRefused)
        }
    }
}
