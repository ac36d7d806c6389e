// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

/// Canaries over a whole worker and a real library.
@Suite("Canaries with SoftHSM", .serialized)
struct CanaryWorkerTests {
    @Test("The same key opens a canary, another key and an absent one do not")
    func proof() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [
                SoftHSM.key("foo"), SoftHSM.key("twin"), SoftHSM.key("other", seed: 99),
                SoftHSM.key("closed", usage: [.decrypt]),
            ])
            let worker = try WorkerHarness()
            let keys = Dictionary(
                uniqueKeysWithValues: try worker.catalogue().entries.map { ($0.label, $0.reference) })
            let foo = try #require(keys["foo"])
            let (canary, block) = try worker.makeCanary(key: foo)
            #expect(canary.initializationVector.count == ivLength)
            #expect(canary.ciphertext.count == SealedCanary.blockLength + gcmTagLength)
            for key in [foo, try #require(keys["twin"])] {
                let opened = try worker.canary(.openCanary(ticket: 8, key: key, canary))
                #expect(opened == .canaryOpened(ticket: 8, block: block))
            }
            let wrong = try worker.canary(.openCanary(ticket: 9, key: try #require(keys["other"]), canary))
            guard case .canaryRefused(9, .wrongKey, .decrypt, let code) = wrong else { exit(71) }
            #expect([0x5, 0x40].contains(code))
            let absent = try worker.canary(.openCanary(ticket: 10, key: 1_000, canary))
            #expect(absent == .canaryRefused(ticket: 10, .keyGone, function: .none, code: 0))
            let closed = try worker.canary(.makeCanary(ticket: 11, key: try #require(keys["closed"])))
            #expect(
                closed
                    == .canaryRefused(
                        ticket: 11, .failed, function: .encryptInit,
                        code: UInt64(ReturnCode.keyFunctionNotPermitted.rawValue)))
            // A canary is no ciphertext that a customer could have decrypted.
            let passedOff = try worker.request(
                .decrypt, key: foo, iv: canary.initializationVector, aad: [], data: canary.ciphertext)
            #expect(passedOff.header.status == .refused)
            worker.finish(hsm)
        }
    }

    @Test("A key that was deleted is gone, and the catalogue is read again")
    func deleted() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo"), SoftHSM.key("bar", id: [2])])
            let worker = try WorkerHarness()
            let foo = try #require(try worker.catalogue().entries.first { $0.label == "foo" }?.reference)
            let (canary, _) = try worker.makeCanary(key: foo)
            let writer = try Session.open(hsm.module, slot: hsm.identity.slot, readWrite: true)
            try writer.destroy(try #require(try writer.aesKeys(atMost: 9).keys.first { $0.label == "foo" }).handle)
            let gone = try worker.canary(.openCanary(ticket: 1, key: foo, canary))
            guard case .canaryRefused(1, .keyGone, _, let code) = gone else { exit(71) }
            #expect(ReturnCode(rawValue: UInt(code)).saysNoSuchObject)
            #expect(try worker.catalogue().entries.map(\.label) == ["bar"])
            let again = try worker.canary(.makeCanary(ticket: 2, key: foo))
            #expect(again == .canaryRefused(ticket: 2, .keyGone, function: .none, code: 0))
            worker.finish(hsm)
        }
    }

    @Test("Thousands of canaries are answered in order, and probes and catalogues come between them")
    func many() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo")])
            let worker = try WorkerHarness(probeInterval: 50)
            let key = try #require(try worker.catalogue().entries.first?.reference)
            let (canary, block) = try worker.makeCanary(key: key)
            let count: UInt64 = 5_000
            Thread.detachNewThread {
                for ticket in 0..<count { worker.send(.openCanary(ticket: ticket, key: key, canary)) }
            }
            var probes = 0
            var next: UInt64 = 0
            while next < count {
                switch try #require(try worker.message()) {
                case .canaryOpened(let ticket, let opened):
                    #expect(ticket == next)
                    #expect(opened == block)
                    next += 1
                    if next == count / 2 {
                        try TokenProvisioner(hsm.module).createKeys(
                            [SoftHSM.key("late")], slot: hsm.identity.slot, userPIN: hsm.userPIN)
                        worker.send(.readCatalogue)
                    }
                case .probe(let report):
                    #expect(report.passed)
                    probes += 1
                case .confined, .catalogue, .ready: break
                case .canaryMade, .canaryRefused, .failed: exit(71)
                }
            }
            #expect(probes > 0)
            worker.finish(hsm)
        }
    }

    @Test("A probe is made when the node asks")
    func probeOnDemand() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM()
            let worker = try WorkerHarness()
            #expect(try worker.probe().passed)
            for _ in 0..<3 {
                worker.send(.probe)
                #expect(try worker.probe().passed)
            }
            worker.finish(hsm)
        }
    }
}
