// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: members that others report")
struct StrangerTests {
    private func choice(_ solo: Solo) -> ForwardingChoice {
        ForwardingChoice(members: solo.own.members, node: "a", site: "here", configuration: "same")
    }

    @Test("whom another reports is contacted at once, and counts when it has spoken itself")
    func introduction() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b")])
        solo.own = machine(identity("a"))
        solo.react = { _ in .silence }
        let update = MemberUpdate(identity: identity("c"), liveness: .alive, facts: facts())
        try solo.receive(from: identity("b"), updates: [update])
        #expect(solo.sent.contains { $0.at == solo.now && $0.send.destination.name == "c" })
        let stranger = try #require(solo.own.member(named: "c"))
        #expect(stranger.isLive && !stranger.hasSpoken && stranger.facts?.canServe == true)
        #expect(choice(solo).members(for: "k").map(\.identity.name) == ["b"])

        let edition = solo.own.edition
        try solo.receive(from: identity("c"), facts: facts(revision: 2, states: [.active, .active]))
        #expect(solo.own.member(named: "c")?.hasSpoken == true)
        #expect(choice(solo).members(for: "k").count == 2)
        #expect(solo.own.edition != edition, "whoever chooses a peer must look again")
    }

    @Test("a thousand invented names are contacted once each, a few at a time")
    func inventions() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b")])
        solo.react = { _ in .silence }
        for page in 0..<125 {
            let updates = (0..<8).map {
                MemberUpdate(identity: identity("x\(page * 8 + $0)"), liveness: .alive, facts: nil)
            }
            try solo.receive(from: identity("b"), updates: updates)
        }
        solo.sent = []
        solo.run(100 * millisecond)
        #expect(solo.sent.count { $0.send.destination.name?.hasPrefix("x") == true } <= 40)
        #expect(choice(solo).members(for: "k").map(\.identity.name) == ["b"])
    }

    @Test("counters make no new edition; a member's HSM that is out, and this node's own, do")
    func editions() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b")])
        solo.react = { _ in .silence }
        func edition(after reported: NodeFacts) throws -> UInt64 {
            try solo.receive(from: identity("b"), facts: reported)
            return solo.own.edition
        }
        let before = solo.own.edition
        var busy = facts(revision: 2)
        busy.decrypts = 7
        #expect(try edition(after: busy) == before)
        #expect(try edition(after: facts(revision: 3, states: [.unavailable])) != before)
        let own = solo.own.edition
        solo.step { machine, now, _ in machine.setFacts(facts(states: [.unavailable]), now: now) }
        #expect(solo.own.edition != own)
    }
}
