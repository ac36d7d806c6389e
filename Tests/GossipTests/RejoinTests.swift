// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: seeds, restarts and twins")
struct RejoinTests {
    @Test("seeds are contacted until one is a member's address, and again when it is new")
    func seeds() throws {
        var own = machine(identity("a"))
        let first = own.discovered(addresses: ["b:7443", "nonsense", "a:7443"], now: start)
        #expect(first.sends.map(\.destination) == [GossipDestination(name: nil, address: "b:7443")])
        let send = try #require(first.sends.first)
        let second = own.failed(ticket: send.ticket, now: start + 1_000 * millisecond)
        #expect(second.sends.map(\.destination.address) == ["b:7443"], "alone, it tries every second")
        let again = try #require(second.sends.first)
        _ = own.answered(
            ticket: again.ticket,
            message: message(.exchange, from: identity("b"), to: "a", sequence: again.message.sequence), from: "b",
            roundTrip: 1, now: start + 1_100 * millisecond)
        let third = own.discovered(addresses: ["b:7443"], now: start + 1_200 * millisecond)
        #expect(!third.sends.contains { $0.destination.name == nil })
    }

    @Test(
        "peers of an earlier run are contacted like seeds, are not held for live until they speak, and are waited for")
    func remembered() throws {
        var own = machine(identity("a"), remembered: [identity("b", incarnation: 7), identity("a")])
        let member = try #require(own.members.first)
        #expect(own.members.count == 1 && member.liveness == .dead && member.isAwaited && !member.hasSpoken)
        #expect(own.liveCount == 1)
        #expect(own.tick(now: start).sends.map(\.destination.address) == ["b:7443"])
        // Its store has been put back meanwhile: its own word counts, whatever is remembered.
        let again = message(from: identity("b", incarnation: 3), to: "a", sequence: 1)
        _ = try own.received(again, from: "b", ticket: 1, now: start + second).get()
        #expect(own.member(named: "b")?.isLive == true && own.liveCount == 2)
        #expect(own.member(named: "b")?.identity.incarnation == 3)
    }

    // Without what is remembered: only e was waited for.
    @Test("who was remembered is waited for as long as it is silent, and forgotten only by its farewell or by an order")
    func awaited() throws {
        let peers = ["b", "c", "d"].map { identity($0) }
        var settings = GossipSettings()
        settings.deadKept = 10 * second
        var solo = try Solo(machine(identity("a"), settings: settings, remembered: peers), peers: [identity("e")])
        solo.react = { _ in .silence }
        solo.run(60 * second)
        func awaited() -> [String] { solo.own.members.filter(\.isAwaited).map(\.identity.name) }
        #expect(awaited() == ["b", "c", "d", "e"])
        try solo.receive(from: identity("e", incarnation: 2), updates: [farewell(of: identity("b"))])
        #expect(awaited() == ["c", "d", "e"])
        let order = ForgetNodeOrder(author: "alice@a", givenAt: 1)
        solo.step { machine, now, _ in
            (try? machine.forget("c", by: order, now: now).get()) ?? GossipActions()
        }
        #expect(awaited() == ["d", "e"])
        #expect(solo.own.member(named: "c")?.forgotten == order)
        // Whoever was forgotten, and speaks, is there again.
        try solo.receive(from: identity("c"))
        #expect(awaited() == ["c", "d", "e"] && solo.own.member(named: "c")?.forgotten == nil)
    }

    @Test("a restarted node with a greater incarnation is known at its new address")
    func restart() throws {
        var own = machine(identity("a"))
        _ = try own.received(message(from: identity("b"), to: "a", sequence: 90), from: "b", ticket: 1, now: start)
            .get()
        let moved = NodeIdentity(name: "b", address: "elsewhere:1", site: "there", incarnation: 2)
        _ = try own.received(message(from: moved, to: "a", sequence: 1), from: "b", ticket: 2, now: start).get()
        #expect(own.member(named: "b")?.identity == moved)
    }

    @Test("a node that has lost its store is informed of its earlier incarnation, and goes beyond it")
    func lostStore() {
        var wire = Wire([identity("a"), identity("b", incarnation: 50)])
        wire.run(3 * second)
        wire.machines["b"] = machine(identity("b", incarnation: 1), now: wire.now)
        wire.step("b") { $0.discovered(addresses: ["a:7443"], now: $1) }
        wire.run(3 * second)
        #expect((wire.machines["b"]?.identity.incarnation ?? 0) > 50)
        #expect(wire.liveness(of: "b", at: "a") == .alive)
        #expect(wire.events["b"]?.contains { if case .twin = $0 { true } else { false } } == false)
    }

    @Test("a partition heals: both sides held each other for dead, and see each other again within 3 s")
    func healing() {
        var wire = Wire(["a", "b", "c", "d"].map { identity($0) })
        wire.run(5 * second)
        let side: Set<String> = ["a", "b"]
        wire.isOpen = { side.contains($0) == side.contains($1) }
        wire.run(10 * second)
        #expect(wire.liveness(of: "c", at: "a") == .dead && wire.liveness(of: "a", at: "d") == .dead)
        wire.isOpen = { _, _ in true }
        wire.run(3 * second)
        for observer in ["a", "b", "c", "d"] { #expect(wire.machines[observer]?.liveCount == 4, "\(observer)") }
    }

    @Test("two nodes of one name are reported so, and do not outdo each other without end")
    func twins() {
        var own = machine(identity("a"))
        let twin = NodeIdentity(name: "a", address: "other:7443", site: "here", incarnation: 9)
        var reported = 0
        for round: UInt64 in 0..<200 {
            let now = start + round * 100 * millisecond
            let actions = own.received(
                message(from: twin, to: "a", sequence: round + 1), from: "a", ticket: round, now: now)
            reported += (try? actions.get())?.events.count { if case .twin = $0 { true } else { false } } ?? 0
        }
        #expect((2...6).contains(reported), "\(reported) times in 20 s")
        #expect(own.identity.incarnation < 30)
    }

    @Test("its own address among the seeds is recognised, and is no twin")
    func itself() {
        var wire = Wire([identity("a")], seeds: ["alias:7443"])
        wire.machines["alias"] = nil
        wire.run(3 * second)
        #expect(wire.events["a"]?.isEmpty == true)
    }
}
