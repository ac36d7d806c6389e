// SPDX-License-Identifier: Apache-2.0
import Chance
import ConnectionLimits
import SeededRandom
import Testing

@Suite struct ConnectionLedgerTests {
    private func prefix(_ number: Int) -> AddressPrefix? { NetworkAddress("10.0.0.\(number)")?.prefix }

    private func admit(
        _ ledger: inout ConnectionLedger, from address: AddressPrefix? = nil, now: UInt64 = 0
    ) -> (id: ConnectionID, evicted: [ConnectionID])? {
        guard case .admitted(let id, let evicted) = ledger.opened(from: address, now: now) else { return nil }
        return (id, evicted.map(\.id))
    }

    @Test func theOldestSilentConnectionGoesFirstAndAuthenticatedOnesStay() throws {
        var ledger = ConnectionLedger(share: ListenerShare(connections: 4, bytes: 1_000, connectionBytes: 10))
        let ids = try (0..<4).map { _ in try #require(admit(&ledger)).id }
        ledger.spoke(ids[0])
        ledger.authenticated(ids[1], now: 0)
        // Silent: 2, 3. Speaking: 0. Authenticated: 1.
        let fifth = try #require(admit(&ledger))
        #expect(fifth.evicted == [ids[2]])
        let sixth = try #require(admit(&ledger))
        #expect(sixth.evicted == [ids[3]])
        ledger.spoke(fifth.id)
        ledger.spoke(sixth.id)
        #expect(try #require(admit(&ledger)).evicted == [ids[0]])
        #expect(ledger.connections == 4)
        #expect(ledger.authenticatedConnections == 1)
        #expect(ledger.evictions == 3)
    }

    @Test func refusesOnlyWhenAllHaveAuthenticated() throws {
        var ledger = ConnectionLedger(share: ListenerShare(connections: 2, bytes: 1_000, connectionBytes: 10))
        let first = try #require(admit(&ledger)).id
        let second = try #require(admit(&ledger)).id
        ledger.authenticated(first, now: 0)
        ledger.authenticated(second, now: 0)
        #expect(admit(&ledger) == nil)
        #expect(ledger.refusals == 1)
        #expect(ledger.bytes == 0)
        ledger.closed(first)
        #expect(try #require(admit(&ledger)).evicted == [])
    }

    @Test func anAddressEvictsItsOwnOldestConnection() throws {
        let share = ListenerShare(connections: 100, bytes: 10_000, connectionBytes: 10, perAddress: 2)
        var ledger = ConnectionLedger(share: share)
        let other = try #require(admit(&ledger, from: prefix(2))).id
        let first = try #require(admit(&ledger, from: prefix(1))).id
        let second = try #require(admit(&ledger, from: prefix(1))).id
        let third = try #require(admit(&ledger, from: prefix(1)))
        #expect(third.evicted == [first])
        // A request was authenticated: no limit for a minute, then it holds again.
        ledger.authenticated(third.id, now: 1_000)
        for _ in 0..<5 { #expect(try #require(admit(&ledger, from: prefix(1), now: 2_000)).evicted == []) }
        let later = ConnectionLedger.trustTime + 1_000
        #expect(try #require(admit(&ledger, from: prefix(1), now: later)).evicted == [second])
        // Connections without an address have none of these limits.
        for _ in 0..<5 { #expect(try #require(admit(&ledger)).evicted == []) }
        // A connection by way of a balancer counts for its client once that is known.
        let moved = try #require(admit(&ledger, from: prefix(9))).id
        #expect(ledger.moved(moved, to: prefix(2), now: later) == [])
        #expect(
            ledger.moved(try #require(admit(&ledger, from: prefix(9))).id, to: prefix(2), now: later).map(\.id) == [
                other
            ])
    }

    @Test func bytesMakeTheOldestGoAndAreRefusedWhenNobodyElseIsLeft() throws {
        var ledger = ConnectionLedger(share: ListenerShare(connections: 10, bytes: 100, connectionBytes: 10))
        let first = try #require(admit(&ledger)).id
        let second = try #require(admit(&ledger)).id
        #expect(ledger.charge(second, bytes: 80, now: 0).hasRoom)
        #expect(ledger.bytes == 100)
        // The one that asks is not the one that goes, though it is the oldest.
        let more = ledger.charge(first, bytes: 50, now: 0)
        #expect(more.hasRoom && more.evicting.map(\.id) == [second])
        #expect(ledger.charge(first, bytes: 41, now: 0).hasRoom == false)
        ledger.release(first, bytes: 50)
        #expect(ledger.bytes == 10)
        ledger.authenticated(first, now: 0)
        #expect(ledger.charge(first, bytes: 1_000_000, now: 0).hasRoom)
        #expect(ledger.bytes == 0)
        // An evicted connection may still speak before it learns that it is closed.
        #expect(ledger.charge(second, bytes: 1, now: 0).hasRoom == false)
        ledger.closed(second)
        #expect(ledger.connections == 1)
    }

    /// Otherwise whoever opens connections and speaks, or begins one request after another, would keep everybody out who
    /// comes: a newcomer is silent at first.
    @Test(arguments: [true, false])
    func aNewcomerHasTimeForItsFirstWord(isForBytes: Bool) throws {
        for wait in [ConnectionLedger.firstWordTime - 1, ConnectionLedger.firstWordTime] {
            var ledger = ConnectionLedger(share: ListenerShare(connections: 3, bytes: 100, connectionBytes: 10))
            let ids = try (0..<2).map { _ in try #require(admit(&ledger)).id }
            for id in ids { ledger.spoke(id) }
            let newcomer = try #require(admit(&ledger, now: 10)).id
            let evicted =
                isForBytes
                ? ledger.charge(ids[1], bytes: 80, now: 10 + wait).evicting.map(\.id)
                : try #require(admit(&ledger, now: 10 + wait)).evicted
            #expect(evicted == [wait < ConnectionLedger.firstWordTime ? ids[0] : newcomer])
        }
    }

    /// A flood of silent connections, so dense that none of them is old, pushes out nobody who speaks, however long that
    /// takes.
    @Test func aFloodPushesOutItsOwn() throws {
        var ledger = ConnectionLedger(share: ListenerShare(connections: 3, bytes: 1_000, connectionBytes: 10))
        let speaking = try #require(admit(&ledger, now: 1)).id
        ledger.spoke(speaking)
        let silent = try (2..<4).map { try #require(admit(&ledger, now: $0)).id }
        #expect(try #require(admit(&ledger, now: 4)).evicted == [silent[0]])
        ledger.authenticated(speaking, now: 5)
        #expect(try #require(admit(&ledger, now: 5)).evicted == [silent[1]])
    }

    /// Random events against what must always hold, and against a plain list of what is open.
    @Test(arguments: 0..<20)
    func keepsItsPromisesUnderRandomEvents(_ seed: Int) {
        struct Open {
            var id: ConnectionID
            var address: Int
            var state = 0  // 0 silent, 1 speaking, 2 authenticated
            var bytes = 10
        }
        var random = RandomChoice(seed: UInt64(seed))
        let share = ListenerShare(connections: 12, bytes: 200, connectionBytes: 10, perAddress: 4)
        var ledger = ConnectionLedger(share: share)
        var open: [Open] = []
        func drop(_ evicted: [ConnectionLedger.Evicted]) {
            for one in evicted {
                let found = open.firstIndex { $0.id == one.id }
                #expect(found != nil)
                guard let found else { continue }
                #expect(open[found].state != 2, "an authenticated connection was evicted")
                if open[found].state == 1, one.address.map({ $0 != prefix(open[found].address) }) ?? true {
                    Issue.record("evicted under another address")
                }
                open.remove(at: found)
            }
        }
        for step in 0..<3_000 {
            let now = UInt64(step) * 1_000_000_000
            let index = random.below(open.count)
            switch random.below(8) {
            case 0, 1, 2:
                let address = random.below(5)
                switch ledger.opened(from: prefix(address), now: now) {
                case .admitted(let id, let evicted):
                    drop(evicted)
                    open.append(Open(id: id, address: address))
                case .refused:
                    #expect(open.count == 12 && open.allSatisfy { $0.state == 2 })
                }
            case 3 where !open.isEmpty:
                ledger.spoke(open[index].id)
                open[index].state = max(open[index].state, 1)
            case 4 where !open.isEmpty && random.below(3) == 0:
                ledger.authenticated(open[index].id, now: now)
                open[index].state = 2
                open[index].bytes = 0
            case 5 where !open.isEmpty:
                let id = open[index].id
                let more = random.below(150)
                let (hasRoom, evicted) = ledger.charge(id, bytes: more, now: now)
                drop(evicted)
                if let found = open.firstIndex(where: { $0.id == id }), hasRoom, open[found].state != 2 {
                    open[found].bytes += more
                }
            case 6 where !open.isEmpty:
                let less = open[index].state == 2 ? 5 : random.below(open[index].bytes - 9)
                ledger.release(open[index].id, bytes: less)
                if open[index].state != 2 { open[index].bytes -= less }
            case 7 where !open.isEmpty:
                ledger.closed(open[index].id)
                ledger.closed(open[index].id)
                open.remove(at: index)
            default: break
            }
            #expect(ledger.connections == open.count && open.count <= 12)
            #expect(ledger.bytes == open.reduce(0) { $0 + $1.bytes } && ledger.bytes <= 200)
            #expect(ledger.silentConnections == open.count { $0.state == 0 })
            #expect(ledger.authenticatedConnections == open.count { $0.state == 2 })
        }
    }

    @Test func closesWhatItEvictsAndCountsIt() async throws {
        let refusals = RefusalCounter { 7 }
        let budget = ConnectionBudget(
            listener: .control, share: ListenerShare(connections: 1, bytes: 100, connectionBytes: 10),
            refusals: refusals, clock: { 0 })
        try await confirmation { closed throws in
            let first = try #require(budget.opened(from: prefix(1)) { closed() })
            let second = try #require(budget.opened(from: prefix(2)) {})
            budget.closed(first)
            budget.authenticated(second)
            #expect(budget.opened(from: prefix(3)) {} == nil)
        }
        #expect(budget.use.connections == 1 && budget.use.evictions == 1 && budget.use.refusals == 1)
        let counts = refusals.counts
        #expect(counts.contains { $0.kind == .evicted && $0.address == prefix(1) && $0.listener == .control })
        #expect(counts.contains { $0.kind == .connectionsFull && $0.address == prefix(3) && $0.last == 7 })
    }
}
