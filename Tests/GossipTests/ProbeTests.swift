// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

/// Those times that docs and settings promise, to the nanosecond. How it goes in a cluster stands in `LivenessTests`.
@Suite("Gossip: probes and their times")
struct ProbeTests {
    /// b is silent, c answers; about b it says what is given.
    private func silentB(site: String = "here", aboutB: Solo.Reaction) throws -> Solo {
        var solo = try Solo(machine(identity("a")), peers: [identity("b", site: site), identity("c")])
        solo.react = { send in
            if send.destination.name == "b" { return .silence }
            return send.message.kind == .pingRequest ? aboutB : Solo.properly(send)
        }
        return solo
    }

    @Test("ping, help, suspicion and death come when they should", arguments: ["here", "there"])
    func times(site: String) throws {
        let timing = site == "here" ? GossipTiming.lan : GossipTiming.wan
        var solo = try silentB(site: site, aboutB: .answer(.nack))
        solo.run(20 * second) { $0.liveness(of: "b") == .dead }
        let help = try #require(solo.times(.pingRequest, to: "c").first)
        let suspect = try #require(solo.time(of: "b", .suspect))
        let dead = try #require(solo.time(of: "b", .dead))
        #expect(solo.times(.ping, to: "b").contains(help - timing.pingTimeout))
        #expect(suspect == help - timing.pingTimeout + timing.probeTimeout)
        #expect(dead == suspect + timing.suspicion * timing.unconfirmedFactor)
        #expect(solo.sent.allSatisfy { $0.send.message.target.map(\.name) ?? "b" == "b" })
    }

    @Test("one confirmation of one possible shortens a suspicion to its least; the first accuser's own word does not")
    func confirmation() throws {
        for (accuser, factor): (String, UInt64) in [("c", 1), ("a", GossipTiming.lan.unconfirmedFactor)] {
            var solo = try silentB(aboutB: .answer(.nack))
            solo.run(5 * second) { $0.liveness(of: "b") == .suspect }
            let suspect = solo.now
            let update = MemberUpdate(identity: identity("b"), liveness: .suspect, accuser: accuser)
            try solo.receive(from: identity("c"), updates: [update])
            solo.run(5 * second) { $0.liveness(of: "b") == .dead }
            #expect(solo.now - suspect == GossipTiming.lan.suspicion * factor, "\(accuser)")
        }
    }

    @Test("a missing nack speaks against the asker, one that came does not")
    func nacks() throws {
        var reported = try silentB(aboutB: .answer(.nack))
        reported.run(5 * second) { $0.liveness(of: "b") == .suspect }
        #expect(reported.liveness(of: "b") == .suspect && reported.own.counters.healthScore == 0)
        var unreported = try silentB(aboutB: .silence)
        unreported.run(5 * second) { $0.liveness(of: "b") == .suspect }
        #expect(unreported.liveness(of: "b") == .suspect && unreported.own.counters.healthScore == 1)
    }

    @Test("a ping through another passes the probe")
    func help() throws {
        var solo = try silentB(aboutB: .answer(.ack))
        solo.run(20 * second)
        #expect(solo.liveness(of: "b") == .alive)
        #expect(solo.own.counters.indirectProbes > 10)
        #expect(solo.own.counters.failedProbes == 0 && solo.own.counters.suspicions == 0)
    }

    @Test("what the target says by itself passes the probe, too")
    func overheard() throws {
        var solo = try silentB(aboutB: .answer(.nack))
        for _ in 0..<100 {
            solo.run(200 * millisecond)
            try solo.receive(from: identity("b"))
        }
        #expect(solo.liveness(of: "b") == .alive && solo.own.counters.failedProbes == 0)
    }

    @Test("without a connection help is asked at once, and the target is pinged again")
    func failure() throws {
        var solo = try silentB(aboutB: .answer(.nack))
        let react = solo.react
        solo.react = { $0.destination.name == "b" ? .failure : react($0) }
        solo.run(5 * second) { $0.liveness(of: "b") == .suspect }
        let help = try #require(solo.times(.pingRequest, to: "c").first)
        let pings = solo.times(.ping, to: "b")
        #expect(pings.contains(help - Solo.delay) && pings.contains(help))
        #expect(solo.time(of: "b", .suspect) == help + Solo.delay, "nothing is left to wait for")
    }

    @Test("one neighbour is probed every 300 ms, one of another site every second")
    func intervals() throws {
        var near = try Solo(machine(identity("a")), peers: [identity("b")])
        near.run(30 * second)
        #expect((98...101).contains(near.probes.count), "\(near.probes.count)")
        var far = try Solo(machine(identity("a")), peers: [identity("b", site: "there")])
        far.run(30 * second)
        #expect((28...31).contains(far.probes.count), "\(far.probes.count)")
    }

    @Test("in a larger site each is probed once in a round, and no more often than the shortest interval")
    func turns() throws {
        let peers = (1...10).map { identity("n\($0)") }
        var solo = try Solo(machine(identity("a")), peers: peers)
        solo.run(second)
        let before = solo.probes.count
        solo.run(30 * second)
        #expect((198...202).contains(solo.probes.count - before), "\(solo.probes.count - before)")
        #expect(peers.allSatisfy { solo.times(.ping, to: $0.name).count >= 15 })
    }
}
