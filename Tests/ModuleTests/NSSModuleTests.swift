// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import HSMWorker
import LaneProtocol
import PKCS11
import SecureMemory
import Testing

/// A second PKCS#11 library, each test in a child process with a database of its own.
@Suite("PKCS#11 with NSS softoken", .serialized)
struct NSSModuleTests {
    @Test("The library wants initialisation arguments, and says so when it has none")
    func arguments() async {
        await #expect(processExitsWith: .success) {
            let failure = #expect(throws: WorkerFailure.self) {
                try OpenToken.open(module: NSS.library, token: .label(NSS.label), pin: nil)
            }
            #expect(failure?.kind == .module)
            #expect(failure?.code == UInt64(ReturnCode.argumentsBad.rawValue))
            #expect(failure?.message.contains("initialize_arguments") == true)
            let nss = try NSS()
            defer { nss.remove() }
            #expect(nss.module.allowsThreads)
            #expect(nss.module.hasMessageFunctions)
            #expect(try nss.module.information().manufacturer == "Mozilla Foundation")
            // Two tokens share one serial number: it names none of them.
            #expect(throws: TokenChoiceError.self) {
                try TokenSelector.serial(nss.identity.serial).choose(among: try nss.module.tokens())
            }
            #expect(nss.module.takesMessages(.aesGCM, slot: nss.identity.slot))
        }
    }

    @Test("A token is opened; what it can do is found out")
    func capabilities() async {
        await #expect(processExitsWith: .success) {
            let nss = try NSS()
            defer { nss.remove() }
            let token = try OpenToken.open(
                module: NSS.library, token: .label(NSS.label), pin: nss.userPIN,
                initializeArguments: nss.initializeArguments)
            #expect(token.capabilities.profile.ivSource == .caller)
            #expect(token.capabilities.wrongTagCode == UInt64(ReturnCode.encryptedDataInvalid.rawValue))
            #expect(token.capabilities.allowsThreads)
            let wrong = #expect(throws: WorkerFailure.self) {
                try token.loginSession.logout()
                _ = try OpenToken.open(
                    module: NSS.library, token: .label(NSS.label), pin: SecretBytes("nonsense".utf8),
                    initializeArguments: nss.initializeArguments)
            }
            #expect(wrong?.kind == .pinRefused)
        }
    }

    @Test(
        "All three layouts agree with another implementation, with both IV lengths",
        arguments: GCMProfile.Layout.allCases.map { GCMProfile(ivSource: .caller, layout: $0) })
    func agreesWithSwiftCrypto(profile: GCMProfile) async {
        let layout = profile.layout.rawValue
        await #expect(processExitsWith: .success) { [layout = layout as UInt8] in
            let profile = GCMProfile(ivSource: .caller, layout: try #require(GCMProfile.Layout(rawValue: layout)))
            let nss = try NSS(keys: [SoftHSM.key("k")])
            defer { nss.remove() }
            let session = try nss.login()
            let handle = try #require(try session.aesKeys(atMost: 10).keys.first?.handle)
            let key = SymmetricKey(data: SoftHSM.keyBytes(7))
            for (index, size) in [1, 16, 100, 4_300, 65_536].enumerated() {
                for nonceSize in [12, 16] {
                    let iv = [UInt8](repeating: UInt8(index + 1), count: nonceSize)
                    let aad = [UInt8](repeating: 5, count: index * 1_000)
                    let data = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
                    let box = try AES.GCM.seal(
                        data, using: key, nonce: AES.GCM.Nonce(data: iv), authenticating: aad)
                    let encrypted = session.perform(
                        .encrypt, key: handle, iv: iv, aad: aad, data: data, profile: profile)
                    #expect(encrypted.result.isOK, "\(encrypted.result)")
                    #expect(encrypted.output == Array(box.ciphertext + box.tag))
                    let decrypted = session.perform(
                        .decrypt, key: handle, iv: iv, aad: aad, data: encrypted.output, profile: profile)
                    #expect(decrypted.result.isOK, "\(decrypted.result)")
                    #expect(decrypted.output == data)
                    var spoilt = encrypted.output
                    spoilt[spoilt.count - 1] ^= 1
                    let refused = session.perform(
                        .decrypt, key: handle, iv: iv, aad: aad, data: spoilt, profile: profile)
                    #expect(refused.result.code == .encryptedDataInvalid)
                    #expect(refused.result.function == (profile.layout == .message ? .decryptMessage : .decrypt))
                }
            }
        }
    }

    @Test("A whole worker serves with it")
    func worker() async {
        await #expect(processExitsWith: .success) {
            let nss = try NSS(keys: [SoftHSM.key("foo")])
            let worker = try WorkerHarness(
                module: NSS.library, initializeArguments: nss.initializeArguments, token: .label(NSS.label),
                pin: NSS.pin, lanes: 2)
            guard case .ready(let readiness) = try worker.message() else { exit(77) }
            #expect(readiness.identity == nss.identity)
            #expect(readiness.openLanes == 2)
            let entry = try #require(try worker.catalogue().entries.first)
            #expect(entry.label == "foo")
            #expect(try worker.probe().passed)
            for round in 1...20 {
                let data = [UInt8](repeating: UInt8(round), count: round)
                let sealed = try worker.request(.encrypt, key: entry.reference, lane: round % 2, data: data)
                #expect(sealed.header.status == .done)
                let box = try AES.GCM.SealedBox(
                    nonce: AES.GCM.Nonce(data: sealed.iv), ciphertext: sealed.data.dropLast(16),
                    tag: sealed.data.suffix(16))
                let opened = try AES.GCM.open(
                    box, using: SymmetricKey(data: SoftHSM.keyBytes(7)), authenticating: [1, 2] as [UInt8])
                #expect(Array(opened) == data)
                let back = try worker.request(
                    .decrypt, key: entry.reference, iv: sealed.iv, data: sealed.data)
                #expect(back.data == data)
            }
            worker.finish(removing: nss.directory)
        }
    }
}
