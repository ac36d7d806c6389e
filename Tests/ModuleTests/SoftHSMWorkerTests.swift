// SPDX-License-Identifier: Apache-2.0
import Crypto
import Glibc
import HSMWorker
import LaneProtocol
import PKCS11
import SecureMemory
import Testing

/// A whole worker over a real PKCS#11 library, each test in a child process with a token of its own.
@Suite("Worker with SoftHSM", .serialized)
struct SoftHSMWorkerTests {
    @Test("Ready, catalogue, probe; then the lanes serve")
    func serving() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo"), SoftHSM.key("short", size: 16)])
            let worker = try WorkerHarness(lanes: 3)
            guard case .ready(let readiness) = try worker.message() else { exit(77) }
            #expect(readiness.identity == hsm.identity)
            #expect(readiness.openLanes == 3)
            #expect(readiness.capabilities.profile == GCMProfile(named: "softhsm"))
            let wrongTag = ReturnCode(rawValue: UInt(readiness.capabilities.wrongTagCode))
            #expect([.generalError, .encryptedDataInvalid].contains(wrongTag))
            #expect(readiness.capabilities.allowsThreads)
            let catalogue = try worker.catalogue()
            #expect(catalogue.entries.map(\.label) == ["foo"])
            #expect(catalogue.entries.first?.usage == [.encrypt, .decrypt])
            #expect(catalogue.complaints.map(\.label) == ["short"])
            let probe = try worker.probe()
            #expect(probe.passed)
            #expect(probe.function == .decrypt)
            #expect(probe.microseconds > 0)
            let key = try #require(catalogue.entries.first?.reference)
            var ivs = Set<[UInt8]>()
            for round in 0..<600 {
                let plaintext = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: 1 + round)
                let sealed = try worker.request(.encrypt, key: key, lane: round % 3, data: plaintext)
                #expect(sealed.header.status == .done)
                #expect(ivs.insert(sealed.iv).inserted)
                let box = try AES.GCM.SealedBox(
                    nonce: AES.GCM.Nonce(data: sealed.iv), ciphertext: sealed.data.dropLast(16),
                    tag: sealed.data.suffix(16))
                let opened = try AES.GCM.open(
                    box, using: SymmetricKey(data: SoftHSM.keyBytes(7)), authenticating: [1, 2] as [UInt8])
                #expect(Array(opened) == plaintext)
                let back = try worker.request(
                    .decrypt, key: key, lane: (round + 1) % 3, iv: sealed.iv, data: sealed.data)
                #expect(back.data == plaintext)
            }
            worker.finish(hsm)
        }
    }

    @Test("A tampered ciphertext is refused; the lane serves on")
    func tampering() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo")])
            let worker = try WorkerHarness()
            let key = try #require(try worker.catalogue().entries.first?.reference)
            #expect(try worker.probe().passed)
            let sealed = try worker.request(.encrypt, key: key, data: [1, 2, 3])
            var tampered = sealed.data
            tampered[0] ^= 1
            let refused = try worker.request(.decrypt, key: key, iv: sealed.iv, data: tampered)
            #expect(refused.header.status == .refused)
            #expect(refused.data.isEmpty)
            // The first is SoftHSM's up to 2.6.1.
            let codes = [ReturnCode.generalError, .encryptedDataInvalid].map { UInt64($0.rawValue) }
            #expect(codes.contains(refused.header.code))
            #expect(try worker.request(.decrypt, key: key, iv: sealed.iv, data: sealed.data).data == [1, 2, 3])
            let late = try worker.request(.encrypt, key: key, data: [1], deadline: 1)
            #expect(late.header.status == .expired)
            #expect(try worker.request(.encrypt, key: key + 100, data: [1]).header.status == .keyGone)
            worker.finish(hsm)
        }
    }

    @Test("Usage is the token's to enforce: a key that may not encrypt is refused by name")
    func usage() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("only-decrypt", usage: [.decrypt])])
            let worker = try WorkerHarness()
            let entry = try #require(try worker.catalogue().entries.first)
            #expect(entry.usage == [.decrypt])
            let refused = try worker.request(.encrypt, key: entry.reference, data: [1])
            #expect(refused.header.code == UInt64(ReturnCode.keyFunctionNotPermitted.rawValue))
            #expect(refused.header.function == PKCS11Function.encryptInit.rawValue)
            worker.finish(hsm)
        }
    }

    @Test("A new key appears; a deleted one goes at its first use, and its number is not given again")
    func comingAndGoing() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo")])
            let worker = try WorkerHarness()
            let foo = try #require(try worker.catalogue().entries.first?.reference)
            #expect(try worker.request(.encrypt, key: foo, data: [1]).header.status == .done)

            let writer = try Session.open(hsm.module, slot: hsm.identity.slot, readWrite: true)
            let bar = SoftHSM.key("bar", id: [2])
            _ = try writer.createAESKey(label: bar.label, id: bar.id, value: bar.value, usage: bar.usage)
            worker.send(.readCatalogue)
            let grown = try worker.catalogue().entries
            #expect(grown.map(\.label) == ["bar", "foo"])
            #expect(grown.last?.reference == foo)
            let barReference = try #require(grown.first?.reference)

            let keys = try writer.aesKeys(atMost: 10).keys
            try writer.destroy(try #require(keys.first { $0.label == "foo" }).handle)
            // The lane notices by itself, and has the catalogue read again.
            let stale = try worker.request(.encrypt, key: foo, data: [1]).header
            #expect(stale.status == .refused)
            #expect(ReturnCode(rawValue: UInt(stale.code)).saysNoSuchObject)
            #expect(try worker.catalogue().entries.map(\.label) == ["bar"])
            #expect(try worker.request(.encrypt, key: foo, data: [1]).header.status == .keyGone)
            #expect(try worker.request(.encrypt, key: barReference, data: [1]).header.status == .done)

            let again = SoftHSM.key("foo")
            _ = try writer.createAESKey(label: again.label, id: again.id, value: again.value, usage: again.usage)
            worker.send(.readCatalogue)
            let returned = try worker.catalogue().entries.first { $0.label == "foo" }
            #expect(returned.map { $0.reference > max(foo, barReference) } == true)
            worker.finish(hsm)
        }
    }

    @Test("New keys appear by themselves within the catalogue's interval")
    func catalogueInterval() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM()
            let worker = try WorkerHarness(catalogueInterval: 50, probeInterval: 50)
            #expect(try worker.catalogue().entries.isEmpty)
            try TokenProvisioner(hsm.module).createKeys(
                [SoftHSM.key("late")], slot: hsm.identity.slot, userPIN: hsm.userPIN)
            #expect(try worker.catalogue().entries.map(\.label) == ["late"])
            for _ in 0..<3 { #expect(try worker.probe().passed) }
            worker.finish(hsm)
        }
    }

    @Test("A login that is lost comes back, and the keys with it")
    func lostLogin() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo")])
            let worker = try WorkerHarness()
            var reference = try #require(try worker.catalogue().entries.first?.reference)
            #expect(try worker.probe().passed)
            for _ in 0..<30 {
                // Logs the whole process out, as a device that loses its state would.
                try Session.open(hsm.module, slot: hsm.identity.slot).logout()
                // SoftHSM forgets the handles with the login, so the old number may not serve again; but the key is
                // never said to be absent, neither by the lane nor by a catalogue.
                var tries = 0
                while tries < 10 {
                    tries += 1
                    let answer = try worker.request(.encrypt, key: reference, data: [1]).header
                    if answer.status == .done { break }
                    #expect(answer.status == .refused)
                    reference = try #require(try worker.catalogue().entries.first { $0.label == "foo" }?.reference)
                }
                #expect(tries < 10)
            }
            worker.finish(hsm)
        }
    }

    @Test("A wrong PIN ends the worker with a sentence")
    func wrongPIN() async {
        await #expect(processExitsWith: .exitCode(1)) {
            // An error that is thrown ends a process with status 1, too.
            guard let hsm = try? SoftHSM(), let worker = try? WorkerHarness(pin: "wrong-pin-0") else { exit(71) }
            let message = try? worker.message()
            hsm.remove()
            guard case .failed(let failure) = message, failure.kind == .pinRefused,
                failure.message.contains(hsm.identity.serial), !failure.message.contains("wrong-pin-0")
            else { exit(77) }
            WorkerHarness.waitForTheEnd()
        }
    }

    @Test("The end of the control socket is the end of the worker")
    func controlCloses() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let hsm = try SoftHSM()
            let worker = try WorkerHarness()
            guard case .ready = try worker.message() else { exit(77) }
            hsm.remove()
            close(worker.control)
            WorkerHarness.waitForTheEnd()
        }
    }

    @Test("A control message of another build ends the worker")
    func foreignMessage() async {
        await #expect(processExitsWith: .exitCode(2)) {
            let hsm = try SoftHSM()
            let worker = try WorkerHarness()
            guard case .ready = try worker.message() else { exit(77) }
            hsm.remove()
            let nonsense: [UInt8] = [4, 0, 0, 0, 99, 99, 99, 99]
            _ = write(worker.control, nonsense, nonsense.count)
            WorkerHarness.waitForTheEnd()
        }
    }

    @Test("A lane that sends nonsense is closed; the others serve")
    func nonsenseOnALane() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo")])
            let worker = try WorkerHarness(lanes: 2)
            let key = try #require(try worker.catalogue().entries.first?.reference)
            let nonsense = [UInt8](repeating: 0xee, count: 100)
            #expect(write(worker.lanes[0], nonsense, nonsense.count) == nonsense.count)
            var byte: UInt8 = 0
            // End of file, or a reset because not all of it was read.
            #expect(read(worker.lanes[0], &byte, 1) <= 0)
            #expect(try worker.request(.encrypt, key: key, lane: 1, data: [1]).header.status == .done)
            worker.finish(hsm)
        }
    }
}
