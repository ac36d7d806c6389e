// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import Glibc
import HSMWorker
import LaneProtocol
import PKCS11
import SecureMemory
import Testing

/// What the fault-injecting library plays, and the profile that fits it.
struct Vendor: Sendable, CustomTestStringConvertible {
    var faults: String
    var profile: String

    var testDescription: String { profile }

    static let all = [
        Vendor(faults: "", profile: "caller"),
        Vendor(faults: "vendor gcm-params 40", profile: "caller-40"),
        Vendor(faults: "vendor iv buffer", profile: "buffer"),
        Vendor(faults: "vendor iv buffer\nvendor gcm-params 40", profile: "buffer-40"),
        Vendor(faults: "vendor iv appended", profile: "appended"),
        Vendor(faults: "vendor iv appended\nvendor gcm-params 40", profile: "appended-40"),
        Vendor(faults: "vendor message-api", profile: "message"),
    ]
}

/// AES-GCM as the vendors want it, each test in a child process with a token of its own.
@Suite("Vendors' profiles", .serialized)
struct ProfileTests {
    @Test("The profile is found, and a worker serves with it", arguments: Vendor.all)
    func found(vendor: Vendor) async {
        let (faults, name) = (vendor.faults, vendor.profile)
        await #expect(processExitsWith: .success) { [faults = faults as String, name = name as String] in
            let profile = try #require(GCMProfile(named: name))
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo")], faults: faults)
            let worker = try WorkerHarness(module: FaultyHSM.library, lanes: 2)
            let readiness = try worker.readiness()
            #expect(readiness.capabilities.profile == profile)
            let wrongTag = ReturnCode(rawValue: UInt(readiness.capabilities.wrongTagCode))
            #expect([.generalError, .encryptedDataInvalid, .aeadDecryptFailed].contains(wrongTag), "\(wrongTag)")
            let key = try #require(try worker.catalogue().entries.first?.reference)
            #expect(try worker.probe().passed)
            let value = SymmetricKey(data: SoftHSM.keyBytes(7))
            var ivs = Set<[UInt8]>()
            for round in 1...40 {
                let data = [UInt8](repeating: UInt8(round), count: round * 100)
                let sealed = try worker.request(.encrypt, key: key, lane: round % 2, data: data)
                #expect(sealed.header.status == .done)
                #expect(sealed.iv.count == profile.ivLength)
                #expect(ivs.insert(sealed.iv).inserted)
                let box = try AES.GCM.SealedBox(
                    nonce: AES.GCM.Nonce(data: sealed.iv), ciphertext: sealed.data.dropLast(16),
                    tag: sealed.data.suffix(16))
                #expect(Array(try AES.GCM.open(box, using: value, authenticating: [1, 2] as [UInt8])) == data)
                let back = try worker.request(.decrypt, key: key, iv: sealed.iv, data: sealed.data)
                #expect(back.data == data)
            }
            // What another HSM has made comes with an IV of either length.
            for length in [12, 16] {
                let iv = [UInt8](repeating: 9, count: length)
                let box = try AES.GCM.seal(
                    [1, 2, 3] as [UInt8], using: value, nonce: AES.GCM.Nonce(data: iv),
                    authenticating: [1, 2] as [UInt8])
                let opened = try worker.request(.decrypt, key: key, iv: iv, data: Array(box.ciphertext + box.tag))
                #expect(opened.data == [1, 2, 3])
            }
            worker.finish(faulty.hsm)
        }
    }

    @Test("A profile that the configuration names is taken, though another were found")
    func configured() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo")], faults: "vendor message-api")
            let token = try OpenToken.open(
                module: FaultyHSM.library, token: .label(SoftHSM.label), pin: faulty.hsm.userPIN,
                profile: GCMProfile(named: "message"))
            #expect(token.capabilities.profile == GCMProfile(named: "message"))
            #expect(token.capabilities.wrongTagCode != 0)
            faulty.hsm.remove()
        }
    }

    // It came up, its probes failed, and people were told that its first probe is under way.
    @Test("One that the token refuses is told, with the one that works; where none does, the token may be unwell")
    func wrong() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(faults: "vendor message-api")
            func open() throws -> OpenToken {
                try OpenToken.open(
                    module: FaultyHSM.library, token: .label(SoftHSM.label), pin: faulty.hsm.userPIN,
                    profile: GCMProfile(named: "luna-fips"))
            }
            let failure = #expect(throws: WorkerFailure.self) { try open() }
            #expect(failure?.kind == .profile && failure?.kind.isPermanent == true)
            #expect(failure?.message.contains("(IV by the HSM, behind the tag, parameters of 40 bytes)") == true)
            #expect(failure?.message.contains("functions of PKCS#11 3.0 (profile \"message\")") == true)
            try faulty.set("return CKR_DEVICE_ERROR C_EncryptInit\nreturn CKR_DEVICE_ERROR C_MessageEncryptInit")
            #expect(try open().capabilities.profile == GCMProfile(named: "luna-fips"))
            faulty.hsm.remove()
        }
    }

    @Test("A token without AES-GCM is refused with a sentence, before it sees the PIN")
    func noGCM() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(faults: "vendor no-gcm")
            let failure = #expect(throws: WorkerFailure.self) {
                try OpenToken.open(
                    module: FaultyHSM.library, token: .label(SoftHSM.label), pin: SecretBytes("wrong-pin".utf8))
            }
            #expect(failure?.kind == .mechanism)
            #expect(failure?.message.contains("has no AES-GCM") == true)
            faulty.hsm.remove()
        }
    }

    @Test(
        "What a wrong tag gets is found out, whatever it is",
        arguments: ["CKR_FUNCTION_FAILED", "CKR_ENCRYPTED_DATA_INVALID", "CKR_GENERAL_ERROR", "CKR_DEVICE_ERROR"])
    func wrongTag(name: String) async {
        await #expect(processExitsWith: .success) { [name = name as String] in
            let faulty = try FaultyHSM(faults: "vendor bad-tag \(name)")
            let token = try OpenToken.open(
                module: FaultyHSM.library, token: .label(SoftHSM.label), pin: faulty.hsm.userPIN)
            #expect(ReturnCode(rawValue: UInt(token.capabilities.wrongTagCode)).name == name)
            faulty.hsm.remove()
        }
    }

    @Test("A busy HSM's refusals are taken neither for a profile nor for the code of a wrong tag", arguments: 2..<10)
    func busy(every: Int) async {
        await #expect(processExitsWith: .success) { [every = every as Int] in
            let faulty = try FaultyHSM(
                faults: "vendor busy CKR_FUNCTION_FAILED every \(every)\nvendor bad-tag CKR_ENCRYPTED_DATA_INVALID")
            let token = try OpenToken.open(
                module: FaultyHSM.library, token: .label(SoftHSM.label), pin: faulty.hsm.userPIN)
            #expect(token.capabilities.profile == GCMProfile(named: "softhsm"))
            let code = ReturnCode(rawValue: UInt(token.capabilities.wrongTagCode))
            #expect(code == .encryptedDataInvalid || code == .ok, "\(code)")
            faulty.hsm.remove()
        }
    }

    @Test("A token that fails everything is unwell, not unfit")
    func sick() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(faults: "return CKR_DEVICE_ERROR C_Encrypt")
            let failure = #expect(throws: WorkerFailure.self) {
                try OpenToken.open(
                    module: FaultyHSM.library, token: .label(SoftHSM.label), pin: faulty.hsm.userPIN)
            }
            #expect(failure?.kind == .call)
            #expect(failure?.code == UInt64(ReturnCode.deviceError.rawValue))
            try faulty.set("return CKR_MECHANISM_INVALID C_EncryptInit")
            let unfit = #expect(throws: WorkerFailure.self) {
                try OpenToken.open(
                    module: FaultyHSM.library, token: .label(SoftHSM.label), pin: faulty.hsm.userPIN)
            }
            #expect(unfit?.kind == .mechanism)
            faulty.hsm.remove()
        }
    }

    @Test("A token that spoils what it encrypts is not taken into service")
    func spoilt() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(faults: "flip-bits C_Encrypt")
            let failure = #expect(throws: WorkerFailure.self) {
                try OpenToken.open(
                    module: FaultyHSM.library, token: .label(SoftHSM.label), pin: faulty.hsm.userPIN)
            }
            #expect(failure?.kind == .call)
            faulty.hsm.remove()
        }
    }

    @Test("A library that cannot lock gets one lane, and its calls stand in line")
    func cannotLock() async {
        await #expect(processExitsWith: .success) {
            // The library must not have been initialised by anybody before.
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo")], faults: "vendor cant-lock")
            let worker = try WorkerHarness(
                module: FaultyHSM.library, lanes: 3, catalogueInterval: 50, probeInterval: 50)
            let readiness = try worker.readiness()
            #expect(!readiness.capabilities.allowsThreads)
            #expect(readiness.openLanes == 1)
            let key = try #require(try worker.catalogue().entries.first?.reference)
            for round in 1...50 {
                let sealed = try worker.request(.encrypt, key: key, data: [UInt8(round)])
                #expect(sealed.header.status == .done)
            }
            #expect(try worker.probe().passed)
            worker.finish(faulty.hsm)
        }
    }

    @Test(
        "IVs of the HSM that repeat or are zero end the worker, and nothing is given out",
        arguments: ["vendor iv buffer\nrepeat-iv", "vendor iv appended\nrepeat-iv", "vendor iv buffer\nzero-iv"])
    func brokenGenerator(faults: String) async throws {
        // The worker ends the process at once, so what it leaves behind is removed from outside.
        let directory = FileManager.default.temporaryDirectory.appending(path: "claviger-generator-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let folder = directory.path
        await #expect(processExitsWith: .exitCode(1)) { [faults = faults as String, folder = folder as String] in
            setenv("TMPDIR", folder, 1)
            let vendor = faults.split(separator: "\n").first.map(String.init) ?? ""
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo")], faults: vendor)
            let worker = try WorkerHarness(module: FaultyHSM.library)
            let key = try #require(try worker.catalogue().entries.first?.reference)
            guard try worker.probe().passed else { exit(76) }
            try faulty.set(faults)
            var given = Set<[UInt8]>()
            for _ in 0..<5 {
                let sealed = try? worker.request(.encrypt, key: key, data: [1])
                guard let sealed, sealed.header.status == .done else { break }
                guard sealed.iv.contains(where: { $0 != 0 }), given.insert(sealed.iv).inserted else { exit(77) }
            }
            guard given.count < 5, case .failed(let failure) = try worker.message(), failure.message.contains("IV")
            else { exit(79) }
            WorkerHarness.waitForTheEnd()
        }
    }

    @Test(
        "A generator that gives zeroes or repeats itself is noticed by the probe too, and called what it is",
        arguments: ["zero-iv", "repeat-iv"])
    func brokenGeneratorSeenByProbe(fault: String) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "claviger-generator-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let folder = directory.path
        await #expect(processExitsWith: .exitCode(1)) { [fault = fault as String, folder = folder as String] in
            setenv("TMPDIR", folder, 1)
            let faulty = try FaultyHSM(faults: "")
            let worker = try WorkerHarness(module: FaultyHSM.library, probeInterval: 50)
            guard try worker.probe().passed else { exit(76) }
            // With IVs by the caller lanes have drawn theirs before, so the probe is the first to see it.
            try faulty.set(fault)
            while true {
                switch try worker.message() {
                case .probe(let report): guard report.passed else { exit(77) }
                case .failed(let failure):
                    guard failure.message.contains("gave an IV of zeroes") else { exit(79) }
                    WorkerHarness.waitForTheEnd()
                default: continue
                }
            }
        }
    }

    @Test("The profile of an HSM that makes IVs is refused by one that takes the caller's: zeroes are no IV")
    func zeroedBufferTaken() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("k")])
            defer { hsm.remove() }
            let session = try hsm.login()
            let handle = try #require(try session.aesKeys(atMost: 10).keys.first?.handle)
            let profile = try #require(GCMProfile(named: "buffer"))
            let iv = [UInt8](repeating: 7, count: 12)
            let refused = session.perform(.encrypt, key: handle, iv: iv, data: [1, 2, 3], profile: profile)
            #expect(refused.result == .brokenGenerator)
            #expect(refused.output.isEmpty)
            let appended = try #require(GCMProfile(named: "appended"))
            let none = session.perform(.encrypt, key: handle, iv: iv, data: [1, 2, 3], profile: appended)
            #expect(none.result.code == .mechanismParamInvalid)
        }
    }
}
