// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Foundation
import GRDB
import NodeStore
import Testing

@Suite("Recording and reading")
struct RecordingTests {
    @Test("Every kind of value comes back as it was, also after a restart")
    func roundTrip() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        #expect(store.health == .ok)
        var plain = Sample.hsm("hsm-b")
        plain.sessionLimit = nil
        plain.workerPID = nil
        store.record(hsms: [Sample.hsm(), plain])
        store.record(Sample.transition(1))
        store.record(Sample.transition(2))
        store.record(keys: [Sample.key(), Sample.key(hsm: "hsm-b", verdict: .absent)])
        store.record(canary: Sample.canary())
        store.record(canary: Sample.canary("bar", trusted: true))
        store.record(node: Sample.node)
        store.setDrained("hsm-b", true)
        #expect(await store.saved())

        func check(_ store: NodeStore) {
            #expect(store.hsms() == [Sample.hsm(), plain])
            #expect(store.transitions(limit: 10) == [Sample.transition(1), Sample.transition(2)])
            #expect(store.transitions(limit: 1) == [Sample.transition(2)])
            #expect(store.keys() == [Sample.key(), Sample.key(hsm: "hsm-b", verdict: .absent)])
            #expect(store.canaries() == [Sample.canary("bar", trusted: true), Sample.canary()])
            #expect(store.nodes() == [Sample.node])
            #expect(store.drained() == ["hsm-b"])
        }
        check(store)
        store.close()
        let again = scratch.open()
        check(again)
        again.removeCanary(label: "foo")
        again.setDrained("hsm-b", false)
        #expect(await again.saved())
        #expect(again.canaries().map(\.label) == ["bar"])
        again.close()
        let third = scratch.open()
        #expect(third.canaries().map(\.label) == ["bar"])
        #expect(third.drained() == [])
        third.close()
        #expect(try scratch.setAside() == [])
    }

    /// Files are read and written by processes of several versions.
    @Test("States stand in the file as their words; a word of a later version is kept as it came")
    func stateWords() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        store.record(hsms: [Sample.hsm(state: .degraded), Sample.hsm("hsm-b")])
        store.record(Sample.transition(1))
        store.record(keys: [Sample.key(), Sample.key(hsm: "hsm-b")])
        #expect(await store.saved())
        store.close()
        let connection = try scratch.connection()
        let words = try await connection.read { db in
            try String.fetchAll(
                db,
                sql: """
                    SELECT state FROM hsm UNION SELECT from_state || ' ' || to_state FROM transition
                    UNION SELECT verdict FROM key ORDER BY 1
                    """)
        }
        #expect(words == ["active", "active unavailable", "degraded", "proven"])
        try await connection.write { db in
            try db.execute(
                sql: """
                    UPDATE hsm SET state = 'hibernating' WHERE name = 'hsm-b';
                    UPDATE transition SET to_state = 'hibernating';
                    UPDATE key SET verdict = 'halfway' WHERE hsm = 'hsm-b';
                    """)
        }
        try connection.close()
        let again = scratch.open()
        #expect(again.hsms().map(\.state.word) == ["degraded", "hibernating"])
        #expect(again.hsms().map(\.state.state) == [.degraded, .unavailable])
        #expect(again.transitions(limit: 1).map(\.to.word) == ["hibernating"])
        #expect(again.keys().map(\.verdict.word) == ["proven", "halfway"])
        again.record(hsms: again.hsms())
        #expect(await again.saved())
        #expect(again.hsms().map(\.state.word) == ["degraded", "hibernating"])
        again.close()
        #expect(try scratch.setAside() == [])
    }

    @Test("What may wait is written without being asked for, the latest value of each name")
    func writeBehind() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        for number in 1...1_000 { store.record(hsms: [Sample.hsm(failures: number)]) }
        store.record(Sample.transition(1))
        store.record(keys: [Sample.key()])
        let reader = try StoreReader.open(directory: scratch.directory)
        #expect(try await eventually { try reader.hsms() == [Sample.hsm(failures: 1_000)] })
        #expect(try await eventually { try reader.transitions(limit: 5).count == 1 })
        #expect(try reader.keys() == [Sample.key()])
        store.close()
    }

    @Test("A canary and a drained HSM are written at once, whatever the delay")
    func urgent() async throws {
        let scratch = try Scratch()
        let store = scratch.open { $0.flushDelayMilliseconds = 3_600_000 }
        let beside = try scratch.connection()
        store.record(canary: Sample.canary())
        #expect(
            try await eventually { try beside.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM canary") } == 1 })
        store.setDrained("hsm-a", true)
        #expect(
            try await eventually { try beside.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM drained") } == 1 })
        store.removeCanary(label: "foo")
        #expect(
            try await eventually { try beside.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM canary") } == 0 })
        store.close()
    }

    @Test("Closing writes what still waits; afterwards nothing is written")
    func closing() async throws {
        let scratch = try Scratch()
        let store = scratch.open { $0.flushDelayMilliseconds = 3_600_000 }
        store.record(hsms: [Sample.hsm()])
        store.close()
        store.record(hsms: [Sample.hsm("late")])
        #expect(await store.saved() == false)
        #expect(store.claimLanes(token: "t", wanted: 3, floor: 1, limit: 2, holding: 0).isRecorded == false)
        store.close()
        #expect(try StoreReader.open(directory: scratch.directory).hsms() == [Sample.hsm()])
    }

    @Test("Recording does not wait for the queue that writes", .timeLimit(.minutes(1)))
    func neverWaits() async throws {
        let scratch = try Scratch()
        let gate = DispatchSemaphore(value: 0)
        let store = scratch.open(onHealth: { health in
            if !health.isOK { gate.wait() }
        })
        let other = try scratch.connection()
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN EXCLUSIVE") }
        store.record(canary: Sample.canary())
        // The queue stands at the gate sooner or later, and this thread opens it: it must get there.
        for number in 0..<5_000 {
            store.record(hsms: [Sample.hsm(failures: number)])
            store.record(Sample.transition(number))
            store.record(canary: Sample.canary("\(number % 10)"))
        }
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        for _ in 0..<100 { gate.signal() }
        #expect(await store.saved())
        #expect(store.canaries().count == 11)
        #expect(store.transitions(limit: 10_000).count == 1_000)
        store.close()
    }

    @Test("What is older than thirty days is deleted when the store opens, and when something is reported to it")
    func pruning() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        let day = 86_400_000
        let old = Sample.transition(1, at: Sample.now * 1_000 - 31 * day)
        let young = Sample.transition(2, at: Sample.now * 1_000 - 29 * day)
        store.record(old)
        store.record(young)
        var gone = Sample.hsm("gone")
        gone.updatedUnixSeconds = Sample.now - 31 * 86_400
        store.record(hsms: [Sample.hsm(), gone])
        store.record(canary: Sample.canary())
        #expect(await store.saved())
        #expect(store.hsms().count == 2)
        store.prune()
        #expect(await store.saved())
        #expect(store.hsms() == [Sample.hsm()])
        #expect(try StoreReader.open(directory: scratch.directory).transitions(limit: 9) == [young])
        store.record(old)
        store.close()
        let again = scratch.open()
        #expect(try StoreReader.open(directory: scratch.directory).transitions(limit: 9) == [young])
        #expect(again.canaries() == [Sample.canary()])
        again.close()
    }
}
