// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

/// What one stolen certificate can say of others.
@Suite("Gossip: what others say of a node")
struct HearsayTests {
    private func trio() throws -> Solo {
        var solo = try Solo(machine(identity("a")), peers: [identity("b"), identity("c")])
        solo.sent = []
        return solo
    }

    // With b's word taken: c was left, at incarnation 2^53, and its own word no longer counted.
    @Test("that it has left, or is in a later life, is not believed: it is asked, and waited for")
    func ends() throws {
        var solo = try trio()
        for incarnation: UInt64 in [1, 2, 1 << 53] {
            try solo.receive(
                from: identity("b"),
                updates: [MemberUpdate(identity: identity("c", incarnation: incarnation), liveness: .left)])
            #expect(solo.own.member(named: "c")?.isAwaited == true && solo.liveness(of: "c") == .alive)
        }
        for liveness: Liveness in [.alive, .suspect, .dead] {
            try solo.receive(
                from: identity("b"),
                updates: [
                    MemberUpdate(
                        identity: identity("c", incarnation: 1 << 53), liveness: liveness,
                        accuser: liveness == .alive ? nil : "b")
                ])
            let member = try #require(solo.own.member(named: "c"))
            #expect(member.liveness == .alive && member.identity.incarnation == 1)
            #expect(member.unconfirmedIncarnation == 1 << 53)
        }
        solo.run(second)
        #expect(solo.sent.contains { $0.send.destination.name == "c" })
        #expect(solo.own.member(named: "c")?.unconfirmedIncarnation == nil, "it has spoken, and knows nothing of it")
        try solo.receive(from: identity("c", incarnation: 2))
        #expect(solo.own.member(named: "c")?.identity.incarnation == 2, "its own word still counts")
    }

    @Test("its own farewell is believed from whoever passes it on, for that life only")
    func farewells() throws {
        var solo = try trio()
        try solo.receive(from: identity("c", incarnation: 5))
        try solo.receive(from: identity("b"), updates: [farewell(of: identity("c", incarnation: 4))])
        #expect(solo.liveness(of: "c") == .alive, "an earlier life")
        var other = farewell(of: identity("c", incarnation: 5))
        other.farewell?.name = "d"
        try solo.receive(from: identity("b"), updates: [other])
        #expect(solo.liveness(of: "c") == .alive, "another node's")
        try solo.receive(from: identity("b"), updates: [farewell(of: identity("c", incarnation: 5))])
        #expect(solo.liveness(of: "c") == .left && solo.own.member(named: "c")?.isAwaited == false)
        // Passed on with what proves it.
        let page = try #require(try solo.receive(.exchange, from: identity("b")).replies.first?.message.updates)
        #expect(page.contains { $0.identity.name == "c" && $0.farewell?.incarnation == 5 })
        try solo.receive(from: identity("c", incarnation: 6))
        #expect(solo.liveness(of: "c") == .alive)
    }

    @Test("an order to forget a node that answers is void, wherever it comes from")
    func forgetting() throws {
        var solo = try trio()
        let order = ForgetNodeOrder(author: "mallory@b", givenAt: 1)
        let update = MemberUpdate(identity: identity("c"), liveness: .left, forgotten: order)
        try solo.receive(from: identity("b"), updates: [update])
        #expect(solo.liveness(of: "c") == .alive)
        func refusal(_ name: String) -> ForgetRefusal? {
            if case .failure(let refusal) = solo.own.forget(name, by: order, now: solo.now) { refusal } else { nil }
        }
        #expect(refusal("c") == .isLive && refusal("a") == .isHere && refusal("x") == .unknown(known: []))
        solo.react = { send in
            if send.message.kind == .pingRequest { return .answer(.nack) }
            return send.destination.name == "c" ? .silence : Solo.properly(send)
        }
        solo.run(10 * second)
        #expect(solo.liveness(of: "c") == .dead && refusal("x") == .unknown(known: ["c"]))
        try solo.receive(from: identity("b"), updates: [update])
        #expect(solo.own.member(named: "c")?.forgotten == order && refusal("c") == .hasLeft)
    }

    // A thief with a node's certificate could use a node's numbers up: claims of 2^40 more, again and again.
    @Test("claims about this node raise its incarnation far once, and then by one each")
    func exhaustion() throws {
        var solo = try trio()
        var claimed: UInt64 = 1
        for _ in 0..<50 {
            claimed += 1 << 40
            for liveness: Liveness in [.dead, .alive] {
                var me = identity("a", incarnation: claimed)
                me.address = "elsewhere:1"
                try solo.receive(from: identity("b"), updates: [MemberUpdate(identity: me, liveness: liveness)])
            }
            solo.run(6 * second)
        }
        #expect(solo.own.identity.incarnation <= 1 << 41)
    }

    // Without the notice: b's request is refused as replayed, and so is all that it says until 500.
    @Test("a number that was used before is answered with a notice, and its sender takes a higher incarnation")
    func replays() throws {
        var (a, b) = (machine(identity("a")), machine(identity("b")))
        _ = try a.received(message(from: identity("b"), to: "a", sequence: 500), from: "b", ticket: 1, now: start).get()
        let send = try #require(b.discovered(addresses: ["a:7443"], now: start).sends.first)
        #expect(send.message.sequence < 400)
        let reply = try #require(
            try a.received(send.message, from: "b", ticket: 2, now: start).get().replies.first?.message)
        #expect(reply.isReplay && a.counters.refused[.replayed] == 1)
        let actions = b.answered(ticket: send.ticket, message: reply, from: "a", roundTrip: 1, now: start)
        #expect(actions.events.contains(.refuted(incarnation: 2, accuser: "a")))
        #expect(b.identity.incarnation == 2)
        let next = b.tick(now: start + second).sends + actions.sends
        let ping = try #require(next.first { $0.message.sender.incarnation == 2 })
        let taken = try a.received(ping.message, from: "b", ticket: 3, now: start + second).get()
        #expect(taken.replies.allSatisfy { !$0.message.isReplay })
        #expect(a.member(named: "b")?.identity.incarnation == 2)
    }

    /// Without it a third node knew of no twins, and called orders confirmed that one of the two had not received.
    @Test("two nodes of one name are seen by a third, by their addresses and by their own word")
    func twins() throws {
        var solo = try trio()
        let here = identity("c")
        var there = identity("c", incarnation: 1)
        there.address = "other:7443"
        try solo.receive(from: there)
        #expect(solo.own.twins == ["c": "other:7443"], "two addresses in one life")
        solo.run(70 * second) { _ in false }
        #expect(solo.own.twins.isEmpty)
        // Each outdoes the other.
        for (life, node) in [(2, there), (3, here), (4, there)] {
            var speaker = node
            speaker.incarnation = UInt64(life)
            try solo.receive(from: speaker)
            solo.run(5 * second)
        }
        #expect(solo.own.twins.keys.sorted() == ["c"])
        var reported = facts(revision: 9)
        reported.twinAddress = "second:1"
        try solo.receive(from: identity("b"), facts: reported)
        #expect(solo.own.twins["b"] == "second:1")
        // And its own.
        var me = identity("a")
        me.address = "elsewhere:1"
        try solo.receive(from: me)
        #expect(solo.own.twins["a"] == "elsewhere:1" && solo.own.facts.twinAddress == "elsewhere:1")
    }
}
