// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: what comes in")
struct ReceivingTests {
    private func refusal(
        _ own: inout GossipMachine, _ message: GossipMessage, from certificate: String? = nil, ticket: UInt64 = 1
    ) -> GossipRefusal? {
        switch own.received(message, from: certificate ?? message.sender.name, ticket: ticket, now: start) {
        case .success(let actions): actions.replies.contains(where: \.message.isReplay) ? .replayed : nil
        case .failure(let refusal): refusal
        }
    }

    @Test("a sequence is taken once, also a newcomer's first, and out of order within the window")
    func replays() {
        var own = machine(identity("a"))
        func take(_ sequence: UInt64) -> GossipRefusal? {
            refusal(&own, message(from: identity("b"), to: "a", sequence: sequence))
        }
        #expect(take(10) == nil)
        #expect(take(10) == .replayed)
        #expect(take(12) == nil && take(11) == nil)
        #expect(take(11) == .replayed && take(12) == .replayed)
        #expect(take(200) == nil)
        #expect(take(199) == nil && take(137) == nil)
        #expect(take(136) == .replayed, "older than the window")
        #expect(own.counters.refused[.replayed] == 4)
    }

    @Test("a new life has a window of its own, and an earlier one says nothing more")
    func lives() {
        var own = machine(identity("a"))
        func take(_ incarnation: UInt64, _ sequence: UInt64, revision: UInt64) -> GossipRefusal? {
            refusal(
                &own,
                message(
                    from: identity("b", incarnation: incarnation), to: "a", sequence: sequence,
                    facts: facts(revision: revision)))
        }
        #expect(take(5, 9, revision: 3) == nil)
        #expect(take(6, 9, revision: 1) == nil, "the same number in a new life is no replay")
        #expect(own.member(named: "b")?.facts?.revision == 1)
        #expect(take(5, 10, revision: 8) == nil, "answered, so that it hears what is known of it")
        #expect(own.member(named: "b")?.identity.incarnation == 6)
        #expect(own.member(named: "b")?.facts?.revision == 1)
    }

    @Test("what is for somebody else, of another version, or not by its certificate's node is refused and counted")
    func refusals() {
        var own = machine(identity("a"))
        #expect(refusal(&own, message(from: identity("b"), to: "z", sequence: 1)) == .foreign)
        #expect(refusal(&own, message(from: identity("b"), to: "a", sequence: 1), from: "c") == .malformed)
        var later = message(from: identity("b"), to: "a", sequence: 1)
        later.version = 2
        #expect(refusal(&own, later) == .version)
        #expect(refusal(&own, message(.ack, from: identity("b"), to: "a", sequence: 1)) == .malformed)
        #expect(refusal(&own, message(.pingRequest, from: identity("b"), to: "a", sequence: 1)) == .malformed)
        #expect(
            refusal(&own, message(.ping, from: identity("b"), to: "a", sequence: 1, target: identity("c")))
                == .malformed)
        #expect(own.counters.refused == [.foreign: 1, .malformed: 4, .version: 1])
        #expect(own.members.isEmpty)
    }

    @Test("names, addresses and numbers beyond their bounds are malformed")
    func bounds() {
        var own = machine(identity("a"))
        func bad(_ change: (inout NodeIdentity) -> Void) -> GossipRefusal? {
            var sender = identity("b")
            change(&sender)
            return refusal(&own, message(from: sender, to: "a", sequence: 1))
        }
        for address in ["", "b", "b:", "b:0", "b:65536", "b:99999", ":1", "[]:1", "b:+1", "b c:1", "b\n:1"] {
            #expect(bad { $0.address = address } == .malformed, "\(address.debugDescription)")
        }
        for address in ["b:1", "192.0.2.1:7443", "[2001:db8::1]:7443", "b.example.com:65535"] {
            var fresh = machine(identity("a"))
            var sender = identity("b")
            sender.address = address
            #expect(refusal(&fresh, message(from: sender, to: "a", sequence: 1)) == nil, "\(address)")
        }
        #expect(bad { $0.name = "" } == .malformed)
        #expect(bad { $0.name = String(repeating: "b", count: 65) } == .malformed)
        #expect(bad { $0.name = "b/c" } == .malformed)
        #expect(bad { $0.site = "a\u{1B}[2J" } == .malformed)
        #expect(bad { $0.incarnation = 1 << 53 + 1 } == .malformed)
        #expect(refusal(&own, message(from: identity("b"), to: "a", sequence: .max)) == .malformed)
        #expect(own.members.isEmpty)
    }

    @Test("an answer that does not fit its request is counted, and a ticket answers once")
    func answers() throws {
        var own = machine(identity("a"))
        let send = try #require(own.discovered(addresses: ["b:7443"], now: start).sends.first)
        func answer(_ kind: GossipMessage.Kind, _ sequence: UInt64) -> GossipMessage {
            message(kind, from: identity("b"), to: "a", sequence: sequence)
        }
        var other = own
        _ = other.answered(
            ticket: send.ticket, message: answer(.exchange, send.message.sequence + 1), from: "b", roundTrip: 1,
            now: start)
        #expect(other.counters.refused == [.malformed: 1] && other.members.isEmpty)
        let good = answer(.exchange, send.message.sequence)
        _ = own.answered(ticket: send.ticket, message: good, from: "b", roundTrip: 1, now: start)
        #expect(own.member(named: "b")?.liveness == .alive)
        _ = own.answered(ticket: send.ticket, message: good, from: "b", roundTrip: 1, now: start)
        _ = own.answered(ticket: 999, message: good, from: "b", roundTrip: 1, now: start)
        #expect(own.counters.refused.isEmpty)
    }

    @Test("nobody makes a node ping an address that is not a member's")
    func relays() throws {
        var own = machine(identity("a"))
        let stranger = NodeIdentity(name: "victim", address: "192.0.2.9:22", site: "here", incarnation: 1)
        let actions = try own.received(
            message(.pingRequest, from: identity("b"), to: "a", sequence: 1, target: stranger), from: "b", ticket: 1,
            now: start
        ).get()
        #expect(actions.replies.map(\.message.kind) == [.nack])
        #expect(!actions.sends.contains { $0.destination.address == stranger.address })
    }
}
