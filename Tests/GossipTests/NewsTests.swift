// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: what nodes say of themselves, and how it travels")
struct NewsTests {
    private func events(_ actions: GossipActions) -> [GossipEvent] {
        actions.events.filter { if case .changed = $0 { false } else { true } }
    }

    private func receive(
        _ own: inout GossipMachine, _ reported: NodeFacts, _ sequence: UInt64, at now: UInt64 = start
    ) throws -> [GossipEvent] {
        events(
            try own.received(
                message(from: identity("b"), to: "a", sequence: sequence, facts: reported), from: "b", ticket: sequence,
                now: now
            ).get())
    }

    @Test("later facts hold, earlier ones do not come back")
    func revisions() throws {
        var own = machine(identity("a"))
        _ = try receive(&own, facts(revision: 5, states: [.active]), 1)
        _ = try receive(&own, facts(revision: 4, states: [.unavailable]), 2)
        #expect(own.member(named: "b")?.facts?.hsms.first?.state.state == .active)
        _ = try receive(&own, facts(revision: 6, states: [.unavailable]), 3)
        #expect(own.member(named: "b")?.facts?.hsms.first?.state.state == .unavailable)
    }

    @Test("drift of the configuration is reported once for each change")
    func drift() throws {
        var own = machine(identity("a"))
        #expect(try receive(&own, facts(revision: 1), 1).isEmpty)
        #expect(
            try receive(&own, facts(revision: 2, configuration: "other"), 2)
                == [.configurationDiffers(peer: "b", true)])
        #expect(try receive(&own, facts(revision: 3, configuration: "third"), 3).isEmpty)
        #expect(try receive(&own, facts(revision: 4), 4) == [.configurationDiffers(peer: "b", false)])
        // Our own may change, too.
        let actions = own.setFacts(facts(configuration: "new"), now: start)
        #expect(events(actions) == [.configurationDiffers(peer: "b", true)])
    }

    @Test("lists of blocks and canaries that differ are reported at once, then with a pause")
    func digests() throws {
        var own = machine(identity("a"))
        let peer = GossipDestination(name: "b", address: "b:7443")
        let other = facts(revision: 1, canaries: "c", blocks: "b")
        #expect(try receive(&own, other, 1) == [.blocksDiffer(peer: peer), .canariesDiffer(peer: peer)])
        #expect(try receive(&own, other, 2, at: start + 300 * millisecond).isEmpty)
        #expect(
            try receive(&own, other, 3, at: start + 1_100 * millisecond)
                == [.blocksDiffer(peer: peer), .canariesDiffer(peer: peer)])
        #expect(try receive(&own, facts(revision: 2), 4, at: start + 3 * second).isEmpty)
    }

    @Test("what changes at one node is soon known at all, through others where need be")
    func spreading() {
        var wire = Wire(["a", "b", "c", "d"].map { identity($0) })
        wire.run(5 * second)
        // a and d do not reach each other directly.
        wire.isOpen = { !(($0 == "a" && $1 == "d") || ($0 == "d" && $1 == "a")) }
        wire.step("a") { $0.setFacts(facts(states: [.unavailable]), now: $1) }
        let isKnown = { (wire: Wire) in
            wire.machines["d"]?.member(named: "a")?.facts?.hsms.first?.state.state == .unavailable
        }
        let began = wire.now
        wire.run(2 * second, until: isKnown)
        #expect(isKnown(wire) && wire.now - began < second)
    }

    @Test("news grow old: an idle cluster's messages carry none")
    func aging() {
        var wire = Wire(["a", "b", "c"].map { identity($0) })
        wire.run(40 * second)
        wire.sent = []
        wire.run(5 * second)
        let pings = wire.sent.map(\.send.message).filter { $0.kind != .exchange }
        #expect(!pings.isEmpty && pings.allSatisfy { $0.updates.isEmpty })
    }

    @Test("counters alone are no news")
    func counters() {
        var own = machine(identity("a"))
        var busy = facts()
        busy.encrypts = 5
        busy.inFlight = 3
        let before = own.facts.revision
        #expect(own.setFacts(busy, now: start).sends.isEmpty)
        #expect(own.facts.revision == before + 1 && own.facts.encrypts == 5)
    }
}
