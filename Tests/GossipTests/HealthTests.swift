// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: a node that doubts itself")
struct HealthTests {
    /// a has slept once, so that its score is 1; b is the only other node.
    private func slept(_ react: @escaping (GossipSend) -> Solo.Reaction) throws -> Solo {
        var solo = try Solo(machine(identity("a")), peers: [identity("b")])
        solo.react = react
        solo.run(100 * millisecond)
        solo.now += GossipSettings().pause + 1
        solo.probes = []
        return solo
    }

    @Test("a passed probe lowers the score by one")
    func better() throws {
        var solo = try slept { Solo.properly($0) }
        solo.step { machine, now, _ in machine.tick(now: now) }
        #expect(solo.own.counters.healthScore == 1)
        solo.run(5 * second)
        #expect(solo.own.counters.healthScore == 0)
    }

    @Test("of two nodes one that gets no answer raises its score, up to the highest")
    func worse() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b")])
        solo.react = { _ in .silence }
        solo.run(3 * second) { $0.liveness(of: "b") == .suspect }
        #expect(solo.own.counters.healthScore == 1)
        for _ in 0..<100 {
            solo.now += second
            solo.step { machine, now, _ in machine.tick(now: now) }
        }
        #expect(solo.own.counters.healthScore == GossipSettings().mostHealthScore)
    }

    @Test("with a score of one a probe is given twice the time")
    func patience() throws {
        var solo = try slept { _ in .silence }
        solo.run(10 * second) { $0.liveness(of: "b") == .suspect }
        let began = try #require(solo.probes.first)
        #expect(solo.time(of: "b", .suspect) == began + 2 * GossipTiming.lan.probeTimeout)
    }

    @Test("a highest score of zero turns the multiplier off")
    func off() throws {
        var settings = GossipSettings()
        settings.mostHealthScore = 0
        var solo = try Solo(machine(identity("a"), settings: settings), peers: [identity("b")])
        solo.react = { _ in .silence }
        solo.now += 10 * second
        solo.step { machine, now, _ in machine.tick(now: now) }
        solo.run(10 * second) { $0.liveness(of: "b") == .dead }
        #expect(solo.own.counters.healthScore == 0 && solo.own.counters.pauses == 1)
        let suspect = try #require(solo.time(of: "b", .suspect))
        #expect(solo.probes.contains(suspect - GossipTiming.lan.probeTimeout))
    }

    @Test("just as long as the pause is no sleep; a nanosecond more is one")
    func pause() throws {
        for (extra, pauses): (UInt64, UInt64) in [(0, 0), (1, 1)] {
            var own = machine(identity("a"))
            _ = own.tick(now: start + GossipSettings().pause + extra)
            #expect(own.counters.pauses == pauses)
        }
    }

    @Test("a suspicion begins anew after a sleep")
    func suspicion() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b"), identity("c")])
        solo.react = { send in
            if send.destination.name == "b" { return .silence }
            return send.message.kind == .pingRequest ? .answer(.nack) : Solo.properly(send)
        }
        solo.run(5 * second) { $0.liveness(of: "b") == .suspect }
        solo.now += 3_600 * second
        let woke = solo.now
        solo.step { machine, now, _ in machine.tick(now: now) }
        #expect(solo.liveness(of: "b") == .suspect)
        solo.run(5 * second) { $0.liveness(of: "b") == .dead }
        #expect(solo.time(of: "b", .dead) == woke + GossipTiming.lan.suspicion * GossipTiming.lan.unconfirmedFactor)
    }

    @Test("a clock that goes back does no harm")
    func backwards() {
        var own = machine(identity("a"))
        _ = own.tick(now: start + second)
        _ = own.tick(now: 0)
        #expect(own.nextDue >= start + second)
    }
}
