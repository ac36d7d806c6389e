// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: when seeds are contacted")
struct SeedTests {
    private func contacts(_ solo: Solo) -> [(at: UInt64, send: GossipSend)] {
        solo.sent.filter { $0.send.destination.name == nil }
    }

    private func discover(_ addresses: [String], in solo: inout Solo) {
        solo.step { machine, now, _ in machine.discovered(addresses: addresses, now: now) }
    }

    @Test("alone, once a second; the message names no receiver, and has a far node's time to be answered")
    func alone() throws {
        var solo = try Solo(machine(identity("a")))
        discover(["b:7443"], in: &solo)
        solo.run(10 * second)
        let times = contacts(solo).map(\.at)
        #expect(times.count == 11 && zip(times, times.dropFirst()).allSatisfy { $1 - $0 == second })
        let send = try #require(contacts(solo).first?.send)
        #expect(send.message.receiver == nil && send.message.kind == .exchange)
        #expect(send.timeout == GossipTiming.wan.patience)
    }

    @Test("not alone, every 30 s, as long as nobody lives at the address")
    func accompanied() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("c")])
        discover(["b:7443", "c:7443"], in: &solo)
        solo.run(100 * second)
        #expect(Set(contacts(solo).map(\.send.destination.address)) == ["b:7443"])
        #expect((3...5).contains(contacts(solo).count), "\(contacts(solo).count)")
        try solo.receive(from: identity("b"))
        solo.sent = []
        solo.run(100 * second)
        #expect(contacts(solo).isEmpty)
    }

    @Test("an address that has just become known is contacted at once")
    func new() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("c")])
        discover(["b:7443"], in: &solo)
        solo.run(second)
        solo.sent = []
        discover(["b:7443", "d:7443"], in: &solo)
        #expect(contacts(solo).contains { $0.at == solo.now && $0.send.destination.address == "d:7443" })
        solo.sent = []
        discover(["d:7443", "b:7443"], in: &solo)
        #expect(contacts(solo).isEmpty, "in another order they are not new")
    }

    @Test("three at once, and all in turn")
    func turns() throws {
        let addresses = (0..<7).map { "n\($0):7443" }
        var solo = try Solo(machine(identity("a")))
        discover(addresses, in: &solo)
        solo.run(2 * second)
        #expect(contacts(solo).count == 9)
        #expect(Set(contacts(solo).map(\.send.destination.address)) == Set(addresses))
    }

    @Test("another name of a member's address is recognised, until that member is dead")
    func alias() throws {
        var solo = try Solo(machine(identity("a")))
        solo.owners["alias:1"] = identity("b")
        discover(["alias:1"], in: &solo)
        solo.run(100 * millisecond)
        #expect(solo.liveness(of: "b") == .alive)
        try solo.receive(from: identity("b"))
        solo.sent = []
        solo.run(100 * second)
        #expect(contacts(solo).isEmpty)
        solo.react = { _ in .silence }
        solo.run(100 * second)
        #expect(solo.liveness(of: "b") == .dead)
        #expect(contacts(solo).contains { $0.send.destination.address == "alias:1" })
    }

    @Test("another name of this node's own address is called once, and never again")
    func own() throws {
        var solo = try Solo(machine(identity("a")))
        solo.owners["alias:1"] = identity("a")
        solo.react = { $0.destination.address == "alias:1" ? .answer(.ack) : Solo.properly($0) }
        discover(["alias:1", "a:7443"], in: &solo)
        solo.run(100 * second)
        #expect(contacts(solo).map(\.send.destination.address) == ["alias:1"])
        #expect(solo.events.isEmpty && solo.own.members.isEmpty && solo.own.counters.refused.isEmpty)
    }

    @Test("of earlier peers this node itself and those beyond the bounds are left out; seeds come first")
    func remembered() throws {
        var broken = identity("d")
        broken.address = "no port"
        let peers = [identity("a"), broken, identity("b")]
        var solo = try Solo(machine(identity("a"), remembered: peers))
        discover(["c:7443", "b:7443"], in: &solo)
        #expect(contacts(solo).map(\.send.destination.address) == ["c:7443", "b:7443"])
    }

    @Test("what no address is, and all beyond 256, is left out")
    func bounds() throws {
        var solo = try Solo(machine(identity("a")))
        discover(["", "b", ":1", "b:0", "b\n:1"] + (0..<400).map { "n\($0):7443" }, in: &solo)
        solo.run(200 * second)
        let called = Set(contacts(solo).map(\.send.destination.address))
        #expect(called.count == 251 && called.allSatisfy { $0.hasSuffix(":7443") })
    }
}
