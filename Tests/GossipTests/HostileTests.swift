// SPDX-License-Identifier: Apache-2.0
import Chance
import Gossip
import StatusVocabulary
import Testing

/// Whatever a peer with a certificate sends: no trap, and no growth without bound.
@Suite("Gossip: hostile peers")
struct HostileTests {
    private static let numbers: [UInt64] = [0, 1, 2, 1 << 40, 1 << 53, 1 << 53 + 1, .max - 1, .max]
    private static let texts = [
        "", "a", "b", "c", "node-1", String(repeating: "x", count: 64), String(repeating: "x", count: 10_000),
        "\u{0}", "é", "a b", "a\n", "[::1]:1", "b:7443", "192.0.2.1:1", "..", "-",
    ]

    /// Now and then: one bad value and the whole message is refused.
    private func isNasty(_ numbers: inout RandomChoice) -> Bool { Int.random(in: 0..<60, using: &numbers) == 0 }

    private func number(_ numbers: inout RandomChoice) -> UInt64 {
        isNasty(&numbers) ? Self.numbers.randomElement(using: &numbers) ?? 0 : numbers.next() >> 20
    }

    private func text(_ numbers: inout RandomChoice) -> String {
        isNasty(&numbers)
            ? Self.texts.randomElement(using: &numbers) ?? "" : "text-\(Int.random(in: 0..<9, using: &numbers))"
    }

    private func identity(_ numbers: inout RandomChoice) -> NodeIdentity {
        guard !isNasty(&numbers) else {
            return NodeIdentity(
                name: text(&numbers), address: text(&numbers), site: text(&numbers), incarnation: number(&numbers))
        }
        let name =
            ["a", "b", "c", "d", "e\(Int.random(in: 0..<9_000, using: &numbers))"].randomElement(using: &numbers) ?? "b"
        return NodeIdentity(
            name: name, address: "\(name):7443", site: ["here", "there"].randomElement(using: &numbers) ?? "",
            incarnation: [1, 2, 1 << 39, 1 << 53].randomElement(using: &numbers) ?? 1)
    }

    private func facts(_ numbers: inout RandomChoice) -> NodeFacts {
        NodeFacts(
            revision: number(&numbers), isDraining: Bool.random(using: &numbers), version: text(&numbers),
            configuration: text(&numbers), canaries: text(&numbers), blocks: text(&numbers), inFlight: .max,
            encrypts: number(&numbers), decrypts: number(&numbers),
            hsms: (0..<Int.random(in: 0..<(isNasty(&numbers) ? 70 : 6), using: &numbers)).map { _ in
                HSMFact(
                    name: "h", serial: text(&numbers), manufacturer: "", model: "", firmware: "",
                    state: HSMState.allCases.randomElement(using: &numbers) ?? .active, isDrained: false)
            },
            unservedKeys: Array(
                repeating: text(&numbers), count: Int.random(in: 0..<(isNasty(&numbers) ? 40 : 4), using: &numbers)))
    }

    private func message(_ numbers: inout RandomChoice) -> GossipMessage {
        let kinds: [GossipMessage.Kind] = [.ping, .ack, .pingRequest, .nack, .exchange, .leave]
        let kind = kinds.randomElement(using: &numbers) ?? .ping
        return GossipMessage(
            kind: kind, sender: identity(&numbers), receiver: ["a", nil, "z"].randomElement(using: &numbers) ?? nil,
            sequence: number(&numbers), target: kind == .pingRequest ? identity(&numbers) : nil,
            facts: Bool.random(using: &numbers) ? facts(&numbers) : NodeFacts(revision: 1),
            updates: (0..<Int.random(in: 0..<(isNasty(&numbers) ? 70 : 8), using: &numbers)).map { _ in
                MemberUpdate(
                    identity: identity(&numbers), liveness: Liveness.allCases.randomElement(using: &numbers) ?? .alive,
                    accuser: Bool.random(using: &numbers) ? text(&numbers) : nil)
            })
    }

    @Test("random messages, answers and times never trap, and what is sent keeps its bounds", arguments: 0..<4)
    func random(seed: Int) {
        var numbers = RandomChoice(seed: UInt64(seed))
        var own = machine(Gossip.NodeIdentity(name: "a", address: "a:7443", site: "here", incarnation: 1))
        var (now, ticket, taken) = (start, UInt64(0), 0)
        var open: [UInt64] = []
        for _ in 0..<2_000 {
            now = now &+ UInt64.random(in: 0..<400 * millisecond, using: &numbers)
            let message = message(&numbers)
            var actions: GossipActions
            if let answered = open.popLast(), Bool.random(using: &numbers) {
                actions = own.answered(
                    ticket: answered, message: message, from: message.sender.name, roundTrip: numbers.next(), now: now)
            } else {
                ticket += 1
                switch own.received(message, from: message.sender.name, ticket: ticket, now: now) {
                case .success(let success):
                    actions = success
                    taken += 1
                case .failure: actions = GossipActions()
                }
            }
            let ticked = own.tick(now: now)
            actions.sends += ticked.sends
            actions.replies += ticked.replies
            open += actions.sends.map(\.ticket)
            for message in actions.sends.map(\.message) + actions.replies.map(\.message) {
                let most = message.kind == .exchange ? GossipMessage.mostExchanged : GossipMessage.mostUpdates
                #expect(message.updates.count <= most)
                #expect(message.sequence <= GossipBounds.highestNumber)
            }
        }
        #expect(taken > 100, "most were refused early, so little was tried: \(taken)")
        #expect(own.members.count <= GossipBounds.mostMembers)
        #expect(own.identity.incarnation <= GossipBounds.highestNumber)
    }

    @Test("nobody fills the memory with names")
    func names() throws {
        var own = machine(Gossip.NodeIdentity(name: "a", address: "a:7443", site: "here", incarnation: 1))
        let sender = Gossip.NodeIdentity(name: "b", address: "b:7443", site: "here", incarnation: 1)
        for page in 0..<100 {
            let updates = (0..<64).map { number in
                MemberUpdate(
                    identity: Gossip.NodeIdentity(
                        name: "n\(page)-\(number)", address: "n\(page)-\(number):1", site: "here", incarnation: 1),
                    liveness: .alive)
            }
            _ = try own.received(
                GossipMessage(
                    kind: .exchange, sender: sender, receiver: "a", sequence: UInt64(page + 1),
                    facts: NodeFacts(revision: 1), updates: updates), from: "b", ticket: UInt64(page), now: start
            ).get()
        }
        #expect(own.members.count == GossipBounds.mostMembers)
    }

    @Test("a claim of an absurd incarnation moves nobody's, and one's own at most by one")
    func jumps() throws {
        var own = machine(Gossip.NodeIdentity(name: "a", address: "a:7443", site: "here", incarnation: 1))
        let (b, c) = (
            Gossip.NodeIdentity(name: "b", address: "b:7443", site: "here", incarnation: 1),
            Gossip.NodeIdentity(name: "c", address: "c:7443", site: "here", incarnation: 1)
        )
        func report(_ identity: Gossip.NodeIdentity, _ liveness: Liveness, _ sequence: UInt64) throws {
            _ = try own.received(
                GossipMessage(
                    kind: .ping, sender: b, receiver: "a", sequence: sequence, facts: NodeFacts(revision: 1),
                    updates: [MemberUpdate(identity: identity, liveness: liveness)]), from: "b", ticket: sequence,
                now: start
            ).get()
        }
        try report(c, .alive, 1)
        var absurd = c
        absurd.incarnation = 1 << 53
        try report(absurd, .dead, 2)
        #expect(own.member(named: "c")?.liveness == .alive)
        var me = own.identity
        me.incarnation = 1 << 53
        try report(me, .dead, 3)
        #expect(own.identity.incarnation == 1)
        me.incarnation = 1
        try report(me, .dead, 4)
        #expect(own.identity.incarnation == 2)
    }
}
