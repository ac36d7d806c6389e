// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import HSMWorker
import LaneProtocol
import PKCS11
import Testing

/// Sessions and tokens that are lost, with the fault-injecting library.
@Suite("A worker whose token is lost", .serialized)
struct LostTokenTests {
    /// Encrypts on every lane until each has succeeded, within a hundred tries. `key` is the key's number; with a new
    /// login it may get another.
    private static func recovers(_ worker: WorkerHarness, key: inout UInt32, lanes: Int) throws -> Bool {
        for lane in 0..<lanes {
            var tries = 0
            while try worker.request(.encrypt, key: key, lane: lane, data: [1]).header.status != .done {
                tries += 1
                guard tries < 100 else { return false }
                worker.send(.readCatalogue)
                worker.send(.makeCanary(ticket: 1, key: 0))
                // The answer to the canary stands behind a catalogue, if there was a new one.
                reading: while let message = try worker.message() {
                    switch message {
                    case .catalogue(let listing): key = listing.entries.first?.reference ?? key
                    case .canaryRefused: break reading
                    default: break
                    }
                }
            }
        }
        return true
    }

    @Test("Lost sessions come back with the login, on every lane")
    func lostSessions() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo")])
            let worker = try WorkerHarness(module: FaultyHSM.library, lanes: 3)
            var key = try #require(try worker.catalogue().entries.first?.reference)
            #expect(try worker.probe().passed)
            for _ in 0..<5 {
                // Sessions die when the line appears.
                try faulty.set("lose-sessions")
                let recovered = try Self.recovers(worker, key: &key, lanes: 3)
                #expect(recovered)
                try faulty.set("")
                #expect(try worker.request(.encrypt, key: key, data: [1]).header.status == .done)
            }
            worker.send(.probe)
            #expect(try worker.probe().passed)
            worker.finish(faulty.hsm)
        }
    }

    @Test("A token that is away for a moment is served again by the same worker")
    func tokenReturns() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo")])
            let worker = try WorkerHarness(module: FaultyHSM.library, lanes: 2)
            var key = try #require(try worker.catalogue().entries.first?.reference)
            #expect(try worker.probe().passed)
            try faulty.set("lose-token")
            worker.send(.probe)
            #expect(try worker.probe().passed == false)
            let refused = try worker.request(.encrypt, key: key, data: [1]).header
            #expect(refused.status == .refused)
            // A canary that cannot be opened says nothing about its key.
            guard case .canaryRefused(3, .failed, _, _) = try worker.canary(.makeCanary(ticket: 3, key: key)) else {
                exit(71)
            }
            try faulty.set("")
            let back = claviger_monotonic_nanoseconds()
            // The keeper looks again by itself.
            #expect(try worker.probe().passed)
            let recovered = try Self.recovers(worker, key: &key, lanes: 2)
            #expect(recovered)
            #expect(claviger_monotonic_nanoseconds() - back < 4_000_000_000)
            worker.finish(faulty.hsm)
        }
    }

    @Test("A token that stays away ends the worker soon, so that a new one can begin")
    func tokenStaysAway() async {
        await #expect(processExitsWith: .exitCode(1)) {
            // An error that is thrown ends a process with status 1, too.
            guard let faulty = try? FaultyHSM(keys: [SoftHSM.key("foo")]),
                let worker = try? WorkerHarness(module: FaultyHSM.library, probeInterval: 5_000),
                (try? worker.probe())?.passed == true, (try? faulty.set("lose-token")) != nil
            else { exit(71) }
            worker.send(.probe)
            let lost = claviger_monotonic_nanoseconds()
            var failed = 0
            while let message = try? worker.message() {
                switch message {
                case .probe(let report) where !report.passed: failed += 1
                case .failed(let failure):
                    faulty.hsm.remove()
                    let took = claviger_monotonic_nanoseconds() - lost
                    guard failed == ProbeSchedule.mostFailures, failure.kind == .call, took < 3_000_000_000 else {
                        exit(72)
                    }
                    WorkerHarness.waitForTheEnd()
                default: break
                }
            }
            exit(73)
        }
    }

    @Test("A swapped key does not open the old key's canary")
    func swappedKey() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo"), SoftHSM.key("bar", id: [2], seed: 99)])
            let worker = try WorkerHarness(module: FaultyHSM.library)
            let before = try worker.catalogue().entries
            let foo = try #require(before.first { $0.label == "foo" }?.reference)
            let (canary, _) = try worker.makeCanary(key: foo)
            try faulty.set("swap-key foo bar")
            guard case .canaryRefused(_, .keyGone, _, _) = try worker.canary(.openCanary(ticket: 1, key: foo, canary))
            else { exit(71) }
            let swapped = try #require(try worker.catalogue().entries.first { $0.label == "foo" }?.reference)
            #expect(swapped != foo)
            guard
                case .canaryRefused(_, .wrongKey, _, _) =
                    try worker.canary(.openCanary(ticket: 2, key: swapped, canary))
            else { exit(72) }
            worker.finish(faulty.hsm)
        }
    }

    @Test("An HSM that says busy at every second decryption holds no other key for that")
    func busy() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo")])
            let worker = try WorkerHarness(module: FaultyHSM.library)
            let key = try #require(try worker.catalogue().entries.first?.reference)
            #expect(try worker.probe().passed)
            let (canary, block) = try worker.makeCanary(key: key)
            for every in 2...5 {
                try faulty.set("return CKR_FUNCTION_FAILED C_Decrypt every \(every)")
                for ticket in 0..<10 as Range<UInt64> {
                    switch try worker.canary(.openCanary(ticket: ticket, key: key, canary)) {
                    case .canaryOpened(ticket, let opened): #expect(opened == block)
                    case .canaryRefused(ticket, .failed, _, _): break
                    default: exit(71)
                    }
                }
            }
            worker.finish(faulty.hsm)
        }
    }
}
