// SPDX-License-Identifier: Apache-2.0
import Glibc
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

/// Lanes whose sessions the node opens and closes.
@Suite("Parked lanes with SoftHSM", .serialized)
struct ParkedLaneWorkerTests {
    @Test("The first lanes are open, the others open when the node asks")
    func opening() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo")])
            let worker = try WorkerHarness(lanes: 4, openLanes: 2)
            #expect(try worker.readiness().openLanes == 2)
            let key = try #require(try worker.catalogue().entries.first?.reference)
            for lane in 0..<2 {
                #expect(try worker.request(.encrypt, key: key, lane: lane, data: [1]).header.status == .done)
            }
            #expect(try worker.change(.openSession, lane: 3).status == .done)
            #expect(try worker.request(.encrypt, key: key, lane: 3, data: [1]).header.status == .done)
            for lane in [3, 0, 2] { #expect(try worker.change(.closeSession, lane: lane).status == .done) }
            // The login stands without any lane, and a parked lane helps itself.
            #expect(try worker.change(.closeSession, lane: 1).status == .done)
            #expect(try worker.request(.encrypt, key: key, lane: 2, data: [1]).header.status == .done)
            #expect(try worker.change(.openSession, lane: 2).status == .done)
            worker.finish(hsm)
        }
    }

    @Test("A token with few sessions opens fewer lanes; a session that is given back serves another lane")
    func sessionLimit() async {
        await #expect(processExitsWith: .success) {
            // One session holds the login, one is the keeper's.
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo")], faults: "session-limit 4")
            let worker = try WorkerHarness(module: FaultyHSM.library, lanes: 5)
            #expect(try worker.readiness().openLanes == 2)
            let catalogue = try worker.catalogue()
            let key = try #require(catalogue.entries.first?.reference)
            #expect(catalogue.complaints.contains { $0.reason.contains("only 2 of 5 sessions") })
            let refused = try worker.change(.openSession, lane: 4)
            #expect(refused.status == .refused)
            #expect(refused.function == PKCS11Function.openSession.rawValue)
            #expect(refused.code == UInt64(ReturnCode.sessionCount.rawValue))
            let helpless = try worker.request(.encrypt, key: key, lane: 4, data: [1]).header
            #expect(helpless.code == UInt64(ReturnCode.sessionCount.rawValue))
            #expect(try worker.change(.closeSession, lane: 0).status == .done)
            #expect(try worker.change(.openSession, lane: 4).status == .done)
            #expect(try worker.request(.encrypt, key: key, lane: 4, data: [1]).header.status == .done)
            // The end of a lane gives its session back, too.
            close(worker.lanes[4])
            var reopened = try worker.change(.openSession, lane: 0)
            for _ in 0..<1_000 where reopened.status == .refused {
                poll(nil, 0, 10)
                reopened = try worker.change(.openSession, lane: 0)
            }
            #expect(reopened.status == .done)
            worker.finish(faulty.hsm)
        }
    }

    @Test("A token without a session for the first lane ends the worker")
    func noSession() async {
        await #expect(processExitsWith: .exitCode(1)) {
            // An error that is thrown ends a process with status 1, too.
            guard let faulty = try? FaultyHSM(faults: "session-limit 2"),
                let worker = try? WorkerHarness(module: FaultyHSM.library, lanes: 2)
            else { exit(71) }
            let message = try? worker.message()
            faulty.hsm.remove()
            guard case .failed(let failure) = message, failure.kind == .call, failure.function == .openSession,
                failure.code == UInt64(ReturnCode.sessionCount.rawValue)
            else { exit(77) }
            WorkerHarness.waitForTheEnd()
        }
    }

    @Test("A library that cannot lock opens one lane, and no other opens")
    func cannotLock() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo")], faults: "vendor cant-lock")
            let worker = try WorkerHarness(module: FaultyHSM.library, lanes: 3)
            let readiness = try worker.readiness()
            #expect(readiness.openLanes == 1)
            #expect(!readiness.capabilities.allowsThreads)
            let key = try #require(try worker.catalogue().entries.first?.reference)
            #expect(try worker.probe().passed)
            #expect(try worker.request(.encrypt, key: key, data: [1]).header.status == .done)
            let refused = try worker.change(.openSession, lane: 1)
            #expect(refused.status == .refused)
            #expect(refused.code == UInt64(ReturnCode.cantLock.rawValue))
            #expect(try worker.change(.closeSession, lane: 0).status == .done)
            #expect(try worker.change(.openSession, lane: 0).status == .done)
            worker.finish(faulty.hsm)
        }
    }

    @Test("Ciphertexts whose IV the HSM appends go over the lane, and come back", arguments: ["buffer", "appended"])
    func foreignIVs(source: String) async {
        await #expect(processExitsWith: .success) { [source] in
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo")], faults: "vendor iv \(source)")
            let worker = try WorkerHarness(module: FaultyHSM.library)
            let profile = try worker.readiness().capabilities.profile
            #expect(profile.ivSource == (source == "buffer" ? .buffer : .appended))
            let key = try #require(try worker.catalogue().entries.first?.reference)
            #expect(try worker.probe().passed)
            let data = [UInt8](repeating: 9, count: 4_096)
            let sealed = try worker.request(.encrypt, key: key, data: data)
            #expect(sealed.header.status == .done)
            #expect(sealed.iv.count == profile.ivLength)
            #expect(sealed.data.count == data.count + gcmTagLength)
            #expect(try worker.request(.decrypt, key: key, iv: sealed.iv, data: sealed.data).data == data)
            let (canary, block) = try worker.makeCanary(key: key)
            #expect(canary.initializationVector.count == profile.ivLength)
            #expect(
                try worker.canary(.openCanary(ticket: 1, key: key, canary)) == .canaryOpened(ticket: 1, block: block))
            worker.finish(faulty.hsm)
        }
    }
}
