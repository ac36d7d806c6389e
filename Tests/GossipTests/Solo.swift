// SPDX-License-Identifier: Apache-2.0
import Gossip

/// One machine whose peers are played by the test. It is called exactly when it asks to be, so that times can be
/// compared to the nanosecond.
struct Solo {
    /// What becomes of a request.
    enum Reaction {
        case silence
        /// There is no connection.
        case failure
        case answer(GossipMessage.Kind)
    }

    private enum Outcome {
        case failure
        case answer(GossipMessage)
    }

    var own: GossipMachine
    var now = start
    var sent: [(at: UInt64, send: GossipSend)] = []
    var events: [(at: UInt64, event: GossipEvent)] = []
    var replies: [(at: UInt64, reply: GossipReply)] = []
    /// When probes began.
    var probes: [UInt64] = []
    /// What the peers do; by default each answers as it should.
    var react: (GossipSend) -> Reaction = { Solo.properly($0) }
    /// Who answers at an address, where it is not the member of that address.
    var owners: [String: NodeIdentity] = [:]

    private var peers: [String: NodeIdentity] = [:]
    private var sequence: UInt64 = 0
    private var underWay: [(at: UInt64, ticket: UInt64, outcome: Outcome)] = []

    /// How long answers and failures take.
    static let delay = millisecond

    init(_ own: GossipMachine, peers: [NodeIdentity] = []) throws {
        self.own = own
        for peer in peers { try receive(from: peer) }
    }

    static func properly(_ send: GossipSend) -> Reaction {
        switch send.message.kind {
        case .exchange: .answer(.exchange)
        default: .answer(.ack)
        }
    }

    /// A request comes in from a peer.
    @discardableResult
    mutating func receive(
        _ kind: GossipMessage.Kind = .ping, from peer: NodeIdentity, target: NodeIdentity? = nil,
        facts reported: NodeFacts = facts(), updates: [MemberUpdate] = []
    ) throws -> GossipActions {
        sequence += 1
        peers[peer.address] = peer
        let message = message(
            kind, from: peer, to: own.identity.name, sequence: sequence, target: target, facts: reported,
            updates: updates)
        var result = GossipActions()
        try step { machine, now, ticket in
            result = try machine.received(message, from: peer.name, ticket: ticket, now: now).get()
            return result
        }
        return result
    }

    mutating func step(
        _ body: (inout GossipMachine, _ now: UInt64, _ ticket: UInt64) throws -> GossipActions
    ) rethrows {
        let before = own.counters.probes
        let actions = try body(&own, now, sequence)
        if own.counters.probes > before { probes.append(now) }
        events += actions.events.map { (now, $0) }
        replies += actions.replies.map { (now, $0) }
        for send in actions.sends {
            sent.append((now, send))
            plan(send)
        }
    }

    private mutating func plan(_ send: GossipSend) {
        switch react(send) {
        case .silence: return
        case .failure: underWay.append((now + Self.delay, send.ticket, .failure))
        case .answer(let kind):
            let address = send.destination.address
            guard let peer = owners[address] ?? peers[address] else { return }
            let answer = message(kind, from: peer, to: own.identity.name, sequence: send.message.sequence)
            underWay.append((now + Self.delay, send.ticket, .answer(answer)))
        }
    }

    /// Lets time pass, from one due moment to the next.
    mutating func run(_ duration: UInt64, until isOver: (Solo) -> Bool = { _ in false }) {
        let end = now + duration
        while !isOver(self) {
            let next = min(own.nextDue, underWay.first?.at ?? .max)
            guard next <= end else { break }
            now = max(now, next)
            guard let (at, ticket, outcome) = underWay.first, at <= now else {
                step { machine, now, _ in machine.tick(now: now) }
                continue
            }
            underWay.removeFirst()
            step { machine, now, _ in
                switch outcome {
                case .failure: machine.failed(ticket: ticket, now: now)
                case .answer(let answer):
                    machine.answered(
                        ticket: ticket, message: answer, from: answer.sender.name, roundTrip: Self.delay, now: now)
                }
            }
        }
        if !isOver(self) { now = end }
    }

    func liveness(of name: String) -> Liveness? { own.member(named: name)?.liveness }

    /// When a member was first seen so.
    func time(of name: String, _ liveness: Liveness) -> UInt64? {
        events.first {
            if case .changed(let member, _, _) = $0.event {
                return member.identity.name == name && member.liveness == liveness
            }
            return false
        }?.at
    }

    /// When a kind of message went to somebody.
    func times(_ kind: GossipMessage.Kind, to name: String) -> [UInt64] {
        sent.filter { $0.send.message.kind == kind && $0.send.destination.name == name }.map(\.at)
    }
}
