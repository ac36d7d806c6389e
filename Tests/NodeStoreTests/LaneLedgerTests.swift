// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB
import Glibc
import NodeStore
import Testing

@Suite("The lane ledger", .timeLimit(.minutes(1)))
struct LaneLedgerTests {
    /// Processes that live as long as the test: this one, and the first of all.
    private let me = ProcessIdentity.current
    private let other = ProcessIdentity(pid: 1, startTicks: 0)

    @Test("A process is reported from another of the same number, and from one that is gone")
    func identities() {
        #expect(me.pid == getpid())
        #expect(me.startTicks > 0)
        #expect(me.isAlive)
        #expect(other.isAlive)
        #expect(!ProcessIdentity(pid: me.pid, startTicks: me.startTicks + 1).isAlive)
        #expect(!ProcessIdentity(pid: .max, startTicks: 0).isAlive)
        #expect(!ProcessIdentity(pid: 0, startTicks: 0).isAlive)
        #expect(!ProcessIdentity(pid: -1, startTicks: 0).isAlive)
    }

    @Test("A process that has ended and waits for its parent is dead")
    func zombies() async throws {
        // Not by Foundation, which takes note at once.
        var pid: pid_t = 0
        let name = strdup("true")
        defer { free(name) }
        try #require(posix_spawn(&pid, "/bin/true", nil, nil, [name, nil], [nil]) == 0)
        let child = ProcessIdentity(pid: pid, startTicks: 0)
        #expect(await eventually { !child.isAlive })
        #expect(kill(pid, 0) == 0, "it still has its number")
        waitpid(pid, nil, 0)
    }

    @Test("The older shrinks first, the newer grows as it does; the dead leave at once")
    func handover() throws {
        let scratch = try Scratch()
        let store = scratch.open()
        func ask(_ process: ProcessIdentity, wanted: Int = 10, holding: Int) -> LaneClaim {
            store.claimLanes(token: "t", wanted: wanted, floor: 1, limit: 10, holding: holding, process: process)
        }
        #expect(ask(other, holding: 0) == LaneClaim(granted: 10, others: 0, limit: 10))
        #expect(ask(me, holding: 0) == LaneClaim(granted: 0, others: 1, limit: 10))
        #expect(ask(other, holding: 10).granted == 5)
        #expect(ask(me, holding: 0).granted == 0)
        #expect(ask(other, holding: 7).granted == 5)
        #expect(ask(me, holding: 0).granted == 3)
        #expect(ask(other, holding: 5).granted == 5)
        #expect(ask(me, holding: 3).granted == 5)
        // The older drains.
        #expect(ask(other, wanted: 0, holding: 4).granted == 0)
        #expect(ask(me, holding: 5).granted == 6)
        store.releaseLanes(token: "t", process: other)
        #expect(ask(me, holding: 6) == LaneClaim(granted: 10, others: 0, limit: 10))
        // Another token is another matter.
        #expect(store.claimLanes(token: "u", wanted: 99, floor: 1, limit: nil, holding: 0).granted == 99)
        store.close()
    }

    @Test("A limit that one process knows holds for the others; rows of the dead are deleted")
    func limitsAndTheDead() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        let dead = ProcessIdentity(pid: getpid(), startTicks: me.startTicks + 1)
        #expect(
            store.claimLanes(token: "t", wanted: 6, floor: 1, limit: 8, holding: 0, process: dead).granted == 6)
        #expect(
            store.claimLanes(token: "t", wanted: 20, floor: 1, limit: nil, holding: 0)
                == LaneClaim(granted: 8, others: 0, limit: 8))
        let rows = try await scratch.connection().read { try Int.fetchOne($0, sql: "SELECT count(*) FROM lane_ledger") }
        #expect(rows == 1)
        store.releaseLanes(token: "t")
        #expect(
            try await scratch.connection().read { try Int.fetchOne($0, sql: "SELECT count(*) FROM lane_ledger") } == 0)
        store.close()
    }

    @Test("Rows with impossible numbers do no harm")
    func hostileRows() async throws {
        let scratch = try Scratch()
        let store = scratch.open()
        try await scratch.connection().write { db in
            for (pid, start) in [(Int.max, 1), (Int.min, -1), (1, Int.min), (0, 0), (1, 0)] {
                try db.execute(
                    sql: "INSERT INTO lane_ledger VALUES ('t', ?, ?, ?, ?, ?, ?)",
                    arguments: [pid, start, Int.max, Int.min, Int.max, Int.max])
            }
        }
        // The first process lives, and says that it holds everything.
        let claim = store.claimLanes(token: "t", wanted: 4, floor: 1, limit: 8, holding: 0)
        #expect(claim == LaneClaim(granted: 0, others: 1, limit: 8))
        store.close()
    }

    @Test("Two processes never hold more than the limit, and hand over when one ends")
    func twoProcesses() async throws {
        let scratch = try Scratch()
        let limit = 10
        let store = scratch.open { $0.busyTimeoutMilliseconds = 10_000 }
        try #require(store.claimLanes(token: "t", wanted: 10, floor: 1, limit: limit, holding: 0).granted == 10)
        let older = OwnThread {
            // Gives up one session at a time. What both may hold, read at one moment, never exceeds the limit.
            let beside = try scratch.connection()
            var holding = limit
            var seenTogether = false
            let handedOver = try blockingUntil {
                let mine = store.claimLanes(token: "t", wanted: 10, floor: 1, limit: limit, holding: holding)
                if holding > mine.granted { holding -= 1 } else { holding = mine.granted }
                let sum = try beside.read {
                    try Int.fetchOne($0, sql: "SELECT sum(max(granted, holding)) FROM lane_ledger") ?? 0
                }
                try #require(sum <= limit)
                if mine.others == 1 && mine.granted == 5 { seenTogether = true }
                return seenTogether && mine.others == 0 && mine.granted == 10
            }
            try #require(handedOver)
        }
        await #expect(processExitsWith: .exitCode(7)) { [directory = scratch.directory as String] in
            // Knows no limit of its own. Grows until it has its share, and ends without a word.
            let store = NodeStore.open(directory: directory)
            var held = 0
            let grown = await eventually {
                let claim = store.claimLanes(token: "t", wanted: 10, floor: 1, limit: nil, holding: held)
                #expect(claim.isRecorded && claim.limit == 10)
                held = claim.granted
                return held == 5
            }
            exit(grown ? 7 : 1)
        }
        try older.join()
        store.close()
    }
}
