// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: how many connections, and how much time, a peer is given")
struct ForwardingDemandTests {
    /// With eight connections, whatever is asked, 100 requests a second over 80 ms had 8 in place of the 22 they take.
    @Test("connections follow the highest rate of late, and the round trip")
    func connections() {
        var demand = ForwardingDemand()
        #expect(demand.connections(roundTrip: 80_000) == ForwardingDemand.least)
        for look in 0...20 { demand.note(total: UInt64(look) * 100, now: UInt64(look) * second) }
        // 100/s, each under way for 100 ms, twice that, and the least.
        #expect(demand.connections(roundTrip: 80_000) == 22)
        #expect(demand.connections(roundTrip: 500) < demand.connections(roundTrip: 80_000))
        #expect(demand.connections(roundTrip: nil) == 6)
        // Nothing is asked any more: forgotten within some minutes, not at once.
        demand.note(total: 2_000, now: 21 * second)
        #expect(demand.connections(roundTrip: 80_000) > 20)
        for look in 22...400 { demand.note(total: 2_000, now: UInt64(look) * second) }
        #expect(demand.connections(roundTrip: 80_000) == ForwardingDemand.least + 1)
    }

    @Test("no rate, and no step of a counter or a clock, leads beyond the bounds")
    func bounds() {
        var demand = ForwardingDemand()
        demand.note(total: .max, now: second)
        demand.note(total: 0, now: 2 * second)
        #expect(demand.rate == 0)
        demand.note(total: .max, now: 3 * second)
        #expect(demand.connections(roundTrip: .max) == ForwardingDemand.most)
        demand.note(total: 0, now: 0)
        demand.note(total: 5, now: 3 * second + 1)
        #expect(demand.connections(roundTrip: 0) == ForwardingDemand.most)
    }

    // With half for each of two peers 80 ms away, both were left 19 ms: an HSM of 30 ms answered neither.
    @Test("a near peer leaves half to the next; a far one is given all; one that is too far is not asked")
    func time() throws {
        func time(_ left: UInt64, _ roundTrip: UInt64, _ next: UInt64?) -> ForwardingTime? {
            ForwardingTime(
                left: left * millisecond, roundTrip: roundTrip * millisecond, next: next.map { $0 * millisecond })
        }
        let near = try #require(time(202, 1, 2))
        #expect(near.timeout == 100 * millisecond && near.budget == 99 * millisecond)
        let far = try #require(time(202, 80, 80))
        #expect(far.timeout == 200 * millisecond && far.budget == 120 * millisecond)
        #expect(try #require(time(202, 1, nil)).timeout == 200 * millisecond)
        #expect(try #require(time(202, 1, 80)).timeout == 200 * millisecond, "half would do for it, not for the next")
        #expect(time(86, 80, nil) == nil && time(87, 80, nil) != nil)
        #expect(ForwardingTime(left: .max, roundTrip: .max, next: nil) == nil)
        #expect(ForwardingTime(left: 0, roundTrip: 0, next: 0) == nil)
    }
}
