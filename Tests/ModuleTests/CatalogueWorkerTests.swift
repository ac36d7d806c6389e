// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import HSMWorker
import LaneProtocol
import PKCS11
import SecureMemory
import Testing

/// What a worker reports of a real token's keys. Each test in a child process with a token of its own.
@Suite("A worker's catalogue", .serialized)
struct CatalogueWorkerTests {
    private static func offered(_ labels: Set<KeyLabel>, _ patterns: [String] = []) -> OfferedKeys {
        OfferedKeys(labels: labels, patterns: patterns.compactMap { LabelPattern($0) })
    }

    private static func store(_ key: NewKey, _ hsm: SoftHSM) throws {
        let session = try Session.open(hsm.module, slot: hsm.identity.slot, readWrite: true)
        _ = try session.createAESKey(
            label: key.label, id: key.id, value: key.value, usage: key.usage, validity: key.validity)
        try session.close()
    }

    @Test("Only offered keys are reported; another offer takes effect at once; nothing is reported before the first")
    func offers() async {
        await #expect(processExitsWith: .success) {
            let others = (0..<12 as Range<UInt8>).map { SoftHSM.key("other-\($0)", id: [$0]) }
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo"), SoftHSM.key("app-1"), SoftHSM.key("app-2")] + others)
            let worker = try WorkerHarness(offered: nil)
            guard case .ready = try worker.message() else { exit(71) }
            worker.send(.offer(Self.offered(["foo", "gone"])))
            let named = try worker.catalogue()
            #expect(named.entries.map(\.label) == ["foo"])
            #expect(named.extent == .whole && named.complaints.isEmpty)
            let foo = try #require(named.entries.first?.reference)
            worker.send(.offer(Self.offered(["foo"], ["app-*"])))
            let matched = try worker.catalogue()
            #expect(matched.entries.map(\.label) == ["app-1", "app-2", "foo"])
            #expect(matched.entries.last?.reference == foo)
            #expect(matched.others == 12)
            worker.send(.offer(Self.offered([], ["app-?"])))
            #expect(try worker.catalogue().entries.map(\.label) == ["app-1", "app-2"])
            #expect(try worker.request(.encrypt, key: foo, data: [1]).header.status == .keyGone)
            worker.finish(hsm)
        }
    }

    @Test("Labels are bytes, those of no UTF-8 are told in hexadecimal, and several keys of one label are all told")
    func labels() async {
        await #expect(processExitsWith: .success) {
            var strange = [SoftHSM.key("x", id: [0x71]), SoftHSM.key("x", id: [0x72])]
            strange[0].label = [0x62, 0xff]
            strange[1].label = [0x62, 0xfe]
            let labels = ["K", "\u{212A}", "caf\u{E9}", "cafe\u{301}"]
            let hsm = try SoftHSM(
                keys: labels.map { SoftHSM.key($0) } + strange
                    + [SoftHSM.key("two", id: [1]), SoftHSM.key("two", id: [2], seed: 99)])
            let worker = try WorkerHarness()
            let listing = try worker.catalogue()
            #expect(Set(listing.entries.map(\.label)) == Set(labels.map { KeyLabel($0) } + ["two"]))
            for text in ["62ff", "62fe"] {
                #expect(listing.complaints.contains { $0.reason.contains(text) && $0.reason.contains("UTF-8") })
            }
            let twins = listing.entries.filter { $0.label == "two" }
            #expect(Set(twins.compactMap(\.identity?.id)) == [[1], [2]])
            // Each opens its own canary, and only that.
            let canaries = try twins.map { try worker.makeCanary(key: $0.reference) }
            for (index, twin) in twins.enumerated() {
                let own = try worker.canary(.openCanary(ticket: 1, key: twin.reference, canaries[index].canary))
                #expect(own == .canaryOpened(ticket: 1, block: canaries[index].block))
                let other = try worker.canary(.openCanary(ticket: 2, key: twin.reference, canaries[1 - index].canary))
                guard case .canaryRefused(2, .wrongKey, _, _) = other else { exit(71) }
            }
            // Searched by name, the Kelvin sign is no K either.
            worker.send(.offer(Self.offered(["K"])))
            #expect(try worker.catalogue().entries.map(\.label) == ["K"])
            worker.finish(hsm)
        }
    }

    @Test("A key with an attribute that cannot be read is out by itself, and reported; the others come and serve")
    func oddObject() async {
        await #expect(processExitsWith: .success) {
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo")])
            var odd = SoftHSM.key("odd", id: [0xab, 0xcd])
            // SoftHSM up to 2.6.1 takes the date, and answers CKR_GENERAL_ERROR when it is asked for it.
            odd.validity = KeyValidity(end: 2030_12_31)
            let worker = try WorkerHarness(catalogueInterval: 50)
            #expect(try worker.catalogue().entries.map(\.label) == ["foo"])
            try Self.store(odd, hsm)
            let listing = try worker.catalogue()
            if listing.entries.count == 2 {
                #expect(listing.entries.last?.validity == odd.validity)
                worker.finish(hsm)
            }
            // Without: the list stays as it was, and nothing is said.
            #expect(listing.entries.map(\.label) == ["foo"])
            let complaint = try #require(listing.complaints.first)
            #expect(complaint.label == "odd")
            for part in ["handle", "abcd", "CKA_END_DATE", "CKR_GENERAL_ERROR"] {
                #expect(complaint.reason.contains(part), "\(complaint.reason)")
            }
            try Self.store(SoftHSM.key("late"), hsm)
            #expect(try worker.catalogue().entries.map(\.label) == ["foo", "late"])
            worker.finish(hsm)
        }
    }

    @Test("A listing shows an odd key with what is wrong, not a failed login")
    func oddObjectInListing() async {
        await #expect(processExitsWith: .success) {
            var odd = SoftHSM.key("odd", id: [0xab])
            odd.validity = KeyValidity(end: 2030_12_31)
            let hsm = try SoftHSM(keys: [SoftHSM.key("foo"), odd])
            let pin = hsm.userPIN
            try hsm.module.finalize()
            // Without: "login failed: C_GetAttributeValue returned CKR_GENERAL_ERROR".
            let listing = try HSMListing.read(
                module: SoftHSM.library, login: (token: .label(SoftHSM.label), pin: pin))
            let slot = try #require(listing.slots.first { $0.isLoggedIn })
            #expect(Set(slot.keys.map(\.label)) == ["foo", "odd"])
            let row = try #require(slot.keys.first { $0.label == "odd" })
            #expect(row.id == "ab")
            #expect(row.problem.isEmpty || row.problem == "CKA_END_DATE cannot be read: CKR_GENERAL_ERROR")
            #expect(listing.table.contains("odd"))
            hsm.remove()
        }
    }

    @Test("A value that is exchanged under a living handle is another key at the next look")
    func exchangedValue() async {
        await #expect(processExitsWith: .success) {
            let faulty = try FaultyHSM(keys: [SoftHSM.key("foo"), SoftHSM.key("bar", id: [2], seed: 99)])
            let worker = try WorkerHarness(module: FaultyHSM.library, offered: Self.offered(["foo"]))
            let before = try #require(try worker.catalogue().entries.first)
            #expect(before.identity?.checkValue?.count == 3)
            try faulty.set("swap-value foo bar")
            worker.send(.readCatalogue)
            let after = try #require(try worker.catalogue().entries.first)
            // Without: the same number, and the key goes on as proven.
            #expect(after.reference != before.reference)
            #expect(after.identity?.checkValue != before.identity?.checkValue)
            let stale = try worker.request(.encrypt, key: before.reference, data: [1]).header
            #expect(ReturnCode(rawValue: UInt(stale.code)) == .keyHandleInvalid)
            worker.finish(faulty.hsm)
        }
    }

    @Test("A slow token with many keys comes up at once by those that are named, and stays up while it is read")
    func slowToken() async {
        await #expect(processExitsWith: .success) {
            let many = (0..<30 as Range<UInt8>).map { SoftHSM.key("app-\($0)", id: [$0]) }
            // 30 keys at 200 ms a call are six seconds.
            let faulty = try FaultyHSM(
                keys: many + [SoftHSM.key("foo", id: [200])], faults: "delay C_GetAttributeValue 200ms")
            let worker = try WorkerHarness(
                module: FaultyHSM.library, offered: Self.offered(["foo"], ["app-*"]), probeInterval: 500)
            _ = try worker.readiness()
            let start = claviger_monotonic_nanoseconds()
            let first = try worker.listing()
            #expect(first.extent == .growing)
            #expect(first.entries.map(\.label) == ["foo"])
            let foo = try #require(first.entries.first?.reference)
            #expect(claviger_monotonic_nanoseconds() - start < 4_000_000_000)
            #expect(try worker.request(.encrypt, key: foo, data: [1]).header.status == .done)
            _ = try worker.makeCanary(key: foo)
            var (probes, listings, last) = (0, 1, first)
            reading: while let message = try worker.message() {
                guard claviger_monotonic_nanoseconds() - start < 60_000_000_000 else { exit(72) }
                switch message {
                case .probe(let report):
                    #expect(report.passed)
                    probes += 1
                case .catalogue(let listing):
                    listings += 1
                    #expect(listing.entries.count >= last.entries.count)
                    last = listing
                    if listing.extent == .whole { break reading }
                default: exit(71)
                }
            }
            #expect(last.entries.count == 31)
            #expect(last.entries.contains { $0.label == "foo" && $0.reference == foo })
            // Without slices: no probe and no canary in six seconds, and the node takes the worker for dead.
            #expect(probes >= 4)
            #expect(listings >= 3)
            worker.finish(faulty.hsm)
        }
    }

    @Test("A token that fails for a moment while it is read loses no key")
    func failingReads() async {
        await #expect(processExitsWith: .success) {
            let keys = [SoftHSM.key("foo"), SoftHSM.key("bar", id: [2]), SoftHSM.key("late", id: [3])]
            let faulty = try FaultyHSM(keys: keys)
            let worker = try WorkerHarness(
                module: FaultyHSM.library, offered: Self.offered(["foo", "bar"]), catalogueInterval: 50)
            let before = try worker.catalogue()
            #expect(before.entries.count == 2)
            for fault in [
                "return CKR_GENERAL_ERROR C_GetAttributeValue", "return CKR_FUNCTION_FAILED C_FindObjects",
                "return CKR_DEVICE_ERROR C_FindObjectsInit", "return CKR_GENERAL_ERROR C_GetAttributeValue every 2",
            ] {
                try faulty.set(fault)
                for ticket in 0..<6 as Range<UInt64> {
                    worker.send(.readCatalogue)
                    _ = try worker.makeCanary(key: before.entries[Int(ticket % 2)].reference)
                }
            }
            try faulty.set("")
            worker.send(.offer(Self.offered(["foo", "bar", "late"])))
            var listing = try worker.listing()
            // Whatever was reported meanwhile, no key was reported as gone, and none got another number.
            while !listing.entries.contains(where: { $0.label == "late" }) || !listing.complaints.isEmpty {
                #expect(Set(listing.entries.map(\.label)).isSuperset(of: ["foo", "bar"]))
                listing = try worker.listing()
            }
            for entry in before.entries { #expect(listing.entries.contains { $0.reference == entry.reference }) }
            worker.finish(faulty.hsm)
        }
    }
}
