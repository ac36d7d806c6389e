// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: nodes that an operator has forgotten")
struct ForgottenTests {
    private let order = ForgetNodeOrder(author: "ada@a", givenAt: 1_790_000_000)

    private func restarted(remembered: [NodeIdentity] = []) throws -> Solo {
        try Solo(
            GossipMachine(
                identity: identity("a"), facts: facts(), remembered: remembered,
                forgotten: [(identity("c"), order)], seed: 7, now: start), peers: [identity("b")])
    }

    // Without: after the restart nobody knew of the order, and who had been cut off went on waiting for c.
    @Test("a restarted node still knows the order, reports it, and waits for nobody")
    func survives() throws {
        var solo = try restarted(remembered: [identity("c"), identity("d")])
        let member = try #require(solo.own.member(named: "c"))
        #expect(member.forgotten == order && member.liveness == .left && !member.isAwaited)
        #expect(solo.own.member(named: "d")?.isAwaited == true)
        let page = try #require(try solo.receive(.exchange, from: identity("b")).replies.first?.message.updates)
        #expect(page.contains { $0.identity.name == "c" && $0.forgotten == order })
        var silent = solo
        silent.react = { _ in .silence }
        silent.run(10 * second)
        #expect(!silent.sent.contains { $0.send.destination.name == "c" }, "it is not looked for")
        #expect(silent.own.member(named: "c")?.forgotten == order)
    }

    @Test("it is void when the node speaks")
    func void() throws {
        var solo = try restarted()
        try solo.receive(from: identity("c"))
        let member = try #require(solo.own.member(named: "c"))
        #expect(member.forgotten == nil && member.liveness == .alive && member.isAwaited)
    }

    @Test("a newcomer takes the order over and passes it on; a node that has run for a while does not")
    func newcomers() throws {
        let update = MemberUpdate(identity: identity("c"), liveness: .left, forgotten: order)
        var young = try Solo(machine(identity("n")), peers: [identity("b")])
        try young.receive(from: identity("b"), updates: [update])
        #expect(young.own.member(named: "c")?.forgotten == order && young.own.liveCount == 2)
        let page = try #require(try young.receive(.exchange, from: identity("b")).replies.first?.message.updates)
        #expect(page.contains { $0.identity.name == "c" && $0.forgotten == order })
        var old = try Solo(machine(identity("n")), peers: [identity("b")])
        old.run(61 * second)
        try old.receive(from: identity("b"), updates: [update])
        #expect(old.own.member(named: "c") == nil)
    }

    @Test("it is kept for 30 days, though a node that has left is not")
    func kept() throws {
        var solo = try restarted()
        solo.react = { _ in .silence }
        func pass(_ time: UInt64) {
            solo.now += time
            solo.step { machine, now, _ in machine.tick(now: now) }
        }
        pass(29 * 24 * 3_600 * second)
        #expect(solo.own.member(named: "c")?.forgotten == order)
        pass(24 * 3_600 * second)
        #expect(solo.own.member(named: "c") == nil)
    }

    @Test("stored orders that cannot be, and one on this node itself, are left out")
    func hostile() {
        var nowhere = identity("x")
        nowhere.address = "no port"
        let own = GossipMachine(
            identity: identity("a"), facts: facts(),
            forgotten: [
                (identity("a"), order), (nowhere, order),
                (identity("y"), ForgetNodeOrder(author: "", givenAt: 1)),
            ], seed: 7, now: start)
        #expect(own.members.isEmpty)
    }
}
