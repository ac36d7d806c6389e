// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: pings for others")
struct RelayTests {
    /// b asks a to ping c.
    private func asked(site: String = "here", _ reaction: Solo.Reaction) throws -> (solo: Solo, at: UInt64) {
        let target = identity("c", site: site)
        var solo = try Solo(machine(identity("a")), peers: [identity("b"), target])
        solo.run(500 * millisecond)
        solo.react = { $0.destination.name == "c" ? reaction : Solo.properly($0) }
        solo.replies = []
        try solo.receive(.pingRequest, from: identity("b"), target: target)
        return (solo, solo.now)
    }

    private func outcome(_ solo: Solo) -> (kind: GossipMessage.Kind, at: UInt64)? {
        solo.replies.first.map { ($0.reply.message.kind, $0.at) }
    }

    @Test("an answer is passed on as soon as it is there, under the ticket and the number of the request")
    func answered() throws {
        var (solo, asked) = try asked(.answer(.ack))
        #expect(solo.replies.isEmpty)
        solo.run(5 * second)
        #expect(solo.replies.count == 1)
        let reply = try #require(solo.replies.first)
        #expect(reply.reply.message.kind == .ack && reply.at == asked + Solo.delay)
        #expect(reply.reply.ticket == 3 && reply.reply.message.sequence == 3 && reply.reply.message.receiver == "b")
    }

    @Test("who learns nothing says so after the relay's timeout, by the nearer of the two sites")
    func silent() throws {
        for site in ["here", "there"] {
            var (solo, asked) = try asked(site: site, .silence)
            solo.run(5 * second)
            #expect(solo.replies.count == 1)
            let reply = try #require(outcome(solo))
            #expect(reply.kind == .nack && reply.at == asked + GossipTiming.lan.relayTimeout, "\(site)")
        }
    }

    @Test("who gets no connection says so at once")
    func failed() throws {
        var (solo, asked) = try asked(.failure)
        solo.run(5 * second)
        let reply = try #require(outcome(solo))
        #expect(reply.kind == .nack && reply.at == asked + Solo.delay)
    }

    @Test("one that is itself the target answers for itself")
    func itself() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b")])
        let actions = try solo.receive(.pingRequest, from: identity("b"), target: identity("a"))
        #expect(actions.replies.map(\.message.kind) == [.ack])
    }

    @Test("the target is pinged at the address that is known, not at the one that the request names")
    func address() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b"), identity("c")])
        var elsewhere = identity("c")
        elsewhere.address = "192.0.2.9:22"
        solo.sent = []
        try solo.receive(.pingRequest, from: identity("b"), target: elsewhere)
        #expect(solo.sent.contains { $0.send.destination == GossipDestination(name: "c", address: "c:7443") })
        #expect(!solo.sent.contains { $0.send.destination.address == elsewhere.address })
    }

    @Test("no more than 64 are under way; the next is refused at once")
    func bound() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b"), identity("c")])
        solo.react = { _ in .silence }
        for _ in 0..<64 {
            #expect(try solo.receive(.pingRequest, from: identity("b"), target: identity("c")).replies.isEmpty)
        }
        let refused = try solo.receive(.pingRequest, from: identity("b"), target: identity("c"))
        #expect(refused.replies.map(\.message.kind) == [.nack])
        solo.run(second)
        #expect(Set(solo.replies.map(\.reply.ticket)).count == solo.replies.count, "each ticket is answered once")
        #expect(solo.replies.count { $0.reply.message.kind == .nack } == 65)
    }

    @Test("also a node that has left brings its promised answers to an end")
    func left() throws {
        var (solo, asked) = try asked(.silence)
        solo.step { machine, now, _ in machine.leave(farewell: nil, now: now) }
        solo.run(5 * second)
        let reply = try #require(outcome(solo))
        #expect(reply.kind == .nack && reply.at == asked + GossipTiming.lan.relayTimeout)
    }
}
