// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: how often news are sent, and which facts hold")
struct DisseminationTests {
    /// Those messages that carry something of a member, exchanges apart.
    private func reported(_ name: String, by solo: Solo) -> [GossipMessage] {
        (solo.sent.map(\.send.message) + solo.replies.map(\.reply.message)).filter { message in
            message.kind != .exchange && message.updates.contains { $0.identity.name == name }
        }
    }

    private func silentlyFull(_ peers: Int) throws -> Solo {
        var settings = GossipSettings()
        settings.exchangeInterval = 600 * second
        var solo = try Solo(machine(identity("a"), settings: settings), peers: (1...peers).map { identity("n\($0)") })
        solo.run(60 * second)
        solo.sent = []
        solo.replies = []
        return solo
    }

    @Test(
        "each news is told λ · ⌈log₁₀(n + 1)⌉ times, and to others than whom it is about", arguments: [(3, 4), (20, 8)])
    func repeats(peers: Int, times: Int) throws {
        var solo = try silentlyFull(peers)
        try solo.receive(from: identity("new"))
        solo.run(20 * second)
        #expect(reported("new", by: solo).count == times)
        #expect(reported("new", by: solo).allSatisfy { $0.receiver != "new" })
    }

    @Test("many news at once are reported 8 in a message, each as often as one alone")
    func many() throws {
        var solo = try silentlyFull(3)
        let updates = (0..<8).map { farewell(of: identity("m\($0)", site: "there")) }
        let known = updates.map { MemberUpdate(identity: $0.identity, liveness: .alive) }
        for (count, news) in [known, updates].enumerated() {
            try solo.receive(from: identity("n1"), updates: news)
            solo.run(20 * second)
            #expect(solo.sent.allSatisfy { $0.send.message.updates.count <= GossipMessage.mostUpdates })
            guard count == 1 else {
                solo.sent = []
                solo.replies = []
                continue
            }
            for update in updates {
                #expect(reported(update.identity.name, by: solo).count { $0.updates.contains(update) } == 4)
            }
        }
    }

    @Test("changed facts of a third node travel with the news; counters alone do not")
    func facts() throws {
        var solo = try silentlyFull(3)
        var busy = GossipTests.facts(revision: 2)
        busy.encrypts = 1_000
        try solo.receive(from: identity("n1"), facts: busy)
        solo.run(10 * second)
        #expect(reported("n1", by: solo).isEmpty)
        let changed = GossipTests.facts(revision: 3, states: [.unavailable])
        try solo.receive(from: identity("n1"), facts: changed)
        // Its later answers would be of an earlier revision, and change nothing.
        solo.run(10 * second)
        #expect(reported("n1", by: solo).count == 4)
        #expect(reported("n1", by: solo).allSatisfy { $0.updates.contains { $0.facts == changed } })
    }

    @Test("of two facts those of the greater incarnation hold, then those of the greater revision")
    func order() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b")])
        func report(_ incarnation: UInt64, _ revision: UInt64, to solo: inout Solo) throws -> String? {
            var reported = GossipTests.facts(revision: revision)
            reported.version = "\(incarnation).\(revision)"
            let update = MemberUpdate(
                identity: identity("c", incarnation: incarnation), liveness: .alive, facts: reported)
            try solo.receive(from: identity("b"), updates: [update])
            return solo.own.member(named: "c")?.facts?.version
        }
        #expect(try report(1, 5, to: &solo) == "1.5")
        #expect(try report(1, 4, to: &solo) == "1.5")
        #expect(try report(1, 6, to: &solo) == "1.6")
        #expect(try report(2, 1, to: &solo) == "1.6", "of a later life only the node itself can tell")
        var own = GossipTests.facts(revision: 1)
        own.version = "direct"
        try solo.receive(from: identity("c", incarnation: 2), facts: own)
        #expect(solo.own.member(named: "c")?.facts?.version == "direct")
        #expect(try report(1, 9, to: &solo) == "direct")
        #expect(try report(2, 2, to: &solo) == "2.2")
        // What others reported never outdoes what it says itself.
        own.revision = 2
        try solo.receive(from: identity("c", incarnation: 2), facts: own)
        #expect(solo.own.member(named: "c")?.facts?.version == "direct")
    }

    @Test("an exchange holds everybody but the two who talk, with their facts; at most 64, and all in turn")
    func pages() throws {
        var solo = try Solo(machine(identity("a")), peers: (0..<100).map { identity("n\($0)") })
        var seen: Set<String> = []
        for _ in 0..<2 {
            let actions = try solo.receive(.exchange, from: identity("n0"))
            let page = try #require(actions.replies.first?.message.updates)
            #expect(page.count == GossipMessage.mostExchanged)
            #expect(page.allSatisfy { $0.facts != nil && $0.identity.name != "a" && $0.identity.name != "n0" })
            seen.formUnion(page.map(\.identity.name))
        }
        #expect(seen.count == 99)
    }

    @Test("drift that is only spoken of is reported, too; the dead do not differ")
    func drift() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b")])
        func report(_ liveness: Liveness, _ name: String, _ revision: UInt64, to solo: inout Solo) throws -> Int {
            let update = MemberUpdate(
                identity: identity(name), liveness: liveness,
                facts: GossipTests.facts(revision: revision, configuration: "other"))
            try solo.receive(from: identity("b"), updates: [update])
            return solo.events.count { $0.event == .configurationDiffers(peer: name, true) }
        }
        #expect(try report(.alive, "c", 1, to: &solo) == 1)
        #expect(try report(.alive, "c", 2, to: &solo) == 1)
        #expect(try report(.dead, "d", 1, to: &solo) == 0)
    }
}
