// SPDX-License-Identifier: Apache-2.0
import Chance
import Gossip
import Testing

@Suite("Gossip: what is contradicted, and what is not")
struct RefutationTests {
    private func refutations(_ solo: Solo) -> [GossipEvent] {
        solo.events.map(\.event).filter { if case .refuted = $0 { true } else { false } }
    }

    private func claim(
        _ liveness: Liveness, _ incarnation: UInt64, of name: String = "a", accuser: String? = nil
    ) -> MemberUpdate {
        MemberUpdate(
            identity: identity(name, incarnation: incarnation), liveness: liveness, accuser: accuser)
    }

    @Test(
        "each false claim is contradicted once, by the next incarnation", arguments: [Liveness.suspect, .dead, .left])
    func once(liveness: Liveness) throws {
        var solo = try Solo(machine(identity("a", incarnation: 5)), peers: [identity("b")])
        let accuser = liveness == .left ? nil : "x"
        for _ in 0..<3 { try solo.receive(from: identity("b"), updates: [claim(liveness, 5, accuser: accuser)]) }
        #expect(refutations(solo) == [.refuted(incarnation: 6, accuser: accuser ?? "b")])
        #expect(solo.own.identity.incarnation == 6 && solo.own.counters.refutations == 1)
    }

    @Test("claims of earlier incarnations, and that it lives, need no answer")
    func needless() throws {
        var solo = try Solo(machine(identity("a", incarnation: 5)), peers: [identity("b")])
        try solo.receive(from: identity("b"), updates: [claim(.dead, 4), claim(.suspect, 1), claim(.alive, 5)])
        #expect(solo.own.identity.incarnation == 5 && refutations(solo).isEmpty)
    }

    @Test("the answer to the accusation already contradicts it, and others learn of it at once")
    func atOnce() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b"), identity("c")])
        solo.run(second)
        solo.sent = []
        let actions = try solo.receive(from: identity("b"), updates: [claim(.suspect, 1)])
        #expect(actions.replies.map(\.message.sender.incarnation) == [2])
        solo.run(GossipSettings().courierGap)
        #expect(Set(solo.sent.compactMap(\.send.destination.name)) == ["b", "c"])
        #expect(solo.sent.allSatisfy { $0.send.message.sender.incarnation == 2 })
    }

    @Test("whatever is claimed, no incarnation contradicts twice, and none goes down")
    func order() throws {
        var numbers = RandomChoice(seed: 11)
        var solo = try Solo(machine(identity("a")), peers: [identity("b")])
        for _ in 0..<500 {
            let liveness = Liveness.allCases.randomElement(using: &numbers) ?? .dead
            try solo.receive(
                from: identity("b"), updates: [claim(liveness, UInt64.random(in: 0..<300, using: &numbers))])
        }
        let raised = refutations(solo).compactMap { event -> UInt64? in
            if case .refuted(let incarnation, _) = event { return incarnation }
            return nil
        }
        #expect(raised.count > 2 && zip(raised, raised.dropFirst()).allSatisfy { $0 < $1 })
        #expect(raised.last == solo.own.identity.incarnation)
    }

    @Test("at the highest incarnation nothing is raised, and nothing traps")
    func highest() throws {
        let most = GossipBounds.highestNumber
        var solo = try Solo(machine(identity("a", incarnation: .max)), peers: [identity("b")])
        #expect(solo.own.identity.incarnation == most)
        try solo.receive(from: identity("b"), updates: [claim(.dead, most)])
        #expect(solo.own.identity.incarnation == most && refutations(solo).isEmpty)
    }

    @Test("a suspect that speaks in the same incarnation stays one; a greater incarnation ends it")
    func suspect() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b"), identity("c")])
        try solo.receive(from: identity("c"), updates: [claim(.suspect, 1, of: "b", accuser: "c")])
        try solo.receive(from: identity("b"))
        #expect(solo.liveness(of: "b") == .suspect)
        try solo.receive(from: identity("c"), updates: [claim(.alive, 1, of: "b")])
        #expect(solo.liveness(of: "b") == .suspect, "only b itself can contradict")
        try solo.receive(from: identity("b", incarnation: 2))
        #expect(solo.liveness(of: "b") == .alive)
        try solo.receive(from: identity("c"), updates: [claim(.suspect, 1, of: "b", accuser: "c")])
        #expect(solo.liveness(of: "b") == .alive, "what was said of an earlier incarnation holds no more")
    }

    @Test("who speaks in an earlier life is informed first of what is known of it", arguments: [true, false])
    func earlier(isExchange: Bool) throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b", incarnation: 9), identity("c")])
        let actions = try solo.receive(isExchange ? .exchange : .ping, from: identity("b", incarnation: 3))
        let reply = try #require(actions.replies.first?.message)
        #expect(reply.kind == (isExchange ? .exchange : .ack))
        #expect(reply.updates.first == claim(.alive, 9, of: "b"))
        #expect(solo.own.member(named: "b")?.identity.incarnation == 9)
    }

    @Test("one that has left comes back with a greater incarnation only")
    func comesBack() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b"), identity("c")])
        try solo.receive(.leave, from: identity("b"))
        #expect(solo.liveness(of: "b") == .left && solo.own.liveCount == 2)
        let actions = try solo.receive(from: identity("b"))
        #expect(actions.replies.first?.message.updates.first == claim(.left, 1, of: "b"), "so it can contradict")
        try solo.receive(from: identity("c"), updates: [claim(.dead, 1, of: "b", accuser: "c")])
        #expect(solo.liveness(of: "b") == .left)
        try solo.receive(from: identity("b", incarnation: 2))
        #expect(solo.liveness(of: "b") == .alive && solo.own.liveCount == 3)
    }

    @Test("whoever leaves says so once to at most 16, asks nobody any more, and contradicts nobody")
    func leaving() throws {
        var solo = try Solo(machine(identity("a")), peers: (0..<30).map { identity("n\($0)") })
        solo.sent = []
        solo.step { machine, now, _ in machine.leave(farewell: nil, now: now) }
        solo.step { machine, now, _ in machine.leave(farewell: nil, now: now) }
        let farewells = solo.sent.filter { $0.send.message.kind == .leave }
        #expect(farewells.count == 16 && Set(farewells.compactMap(\.send.destination.name)).count == 16)
        #expect(solo.own.hasLeft)
        solo.run(second)
        solo.sent = []
        let actions = try solo.receive(from: identity("n1"), updates: [claim(.dead, 1)])
        #expect(actions.replies.map(\.message.kind) == [.ack])
        solo.run(10 * second)
        #expect(solo.sent.isEmpty && refutations(solo).isEmpty && solo.own.identity.incarnation == 1)
    }
}
