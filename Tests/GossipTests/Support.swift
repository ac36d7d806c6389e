// SPDX-License-Identifier: Apache-2.0
import Gossip
import StatusVocabulary

let millisecond: UInt64 = 1_000_000
let second: UInt64 = 1_000_000_000
/// When every test begins, nanoseconds.
let start: UInt64 = 1_000 * second

func identity(_ name: String, site: String = "here", incarnation: UInt64 = 1) -> NodeIdentity {
    NodeIdentity(name: name, address: "\(name):7443", site: site, incarnation: incarnation)
}

func facts(
    revision: UInt64 = 1, configuration: String = "same", canaries: String = "", blocks: String = "",
    states: [HSMState] = [.active]
) -> NodeFacts {
    NodeFacts(
        revision: revision, version: "1.0", configuration: configuration, canaries: canaries, blocks: blocks,
        hsms: states.enumerated().map { index, state in
            HSMFact(
                name: "hsm-\(index)", serial: "\(index)", manufacturer: "m", model: "m", firmware: "1", state: state,
                isDrained: false)
        })
}

func message(
    _ kind: GossipMessage.Kind = .ping, from sender: NodeIdentity, to receiver: String?, sequence: UInt64,
    target: NodeIdentity? = nil, facts own: NodeFacts = facts(), updates: [MemberUpdate] = []
) -> GossipMessage {
    GossipMessage(
        kind: kind, sender: sender, receiver: receiver, sequence: sequence, target: target, facts: own,
        updates: updates)
}

/// A node's own word that it has left, as a relay passes it on; its signature is the driver's business.
func farewell(of node: NodeIdentity) -> MemberUpdate {
    MemberUpdate(
        identity: node, liveness: .left,
        farewell: Farewell(name: node.name, incarnation: node.incarnation, certificates: ["00"], signature: "00"))
}

func machine(
    _ own: NodeIdentity, settings: GossipSettings = GossipSettings(), facts own2: NodeFacts = facts(),
    remembered: [NodeIdentity] = [], now: UInt64 = start
) -> GossipMachine {
    GossipMachine(
        identity: own, settings: settings, facts: own2, remembered: remembered, seed: 7, now: now)
}

/// Some machines and a network without delay in which a test decides what is lost.
struct Wire {
    var machines: [String: GossipMachine] = [:]
    var now = start
    var events: [String: [GossipEvent]] = [:]
    /// Every request that was sent, lost ones included.
    var sent: [(from: String, send: GossipSend)] = []
    /// Whether what one node says to another arrives: requests and answers alike.
    var isOpen: (_ from: String, _ to: String) -> Bool = { _, _ in true }
    private var lastTicket: UInt64 = 0
    /// Requests whose reply is owed: ticket of the receiver to sender and sender's ticket.
    private var owed: [String: [UInt64: (from: String, ticket: UInt64)]] = [:]

    init(_ identities: [NodeIdentity], settings: GossipSettings = GossipSettings(), seeds: [String] = []) {
        for own in identities { machines[own.name] = machine(own, settings: settings) }
        for own in identities {
            step(own.name) { $0.discovered(addresses: seeds.isEmpty ? ["\(identities[0].name):7443"] : seeds, now: $1) }
        }
    }

    mutating func step(_ name: String, _ body: (inout GossipMachine, UInt64) -> GossipActions) {
        guard var machine = machines[name] else { return }
        let actions = body(&machine, now)
        machines[name] = machine
        events[name, default: []] += actions.events
        for reply in actions.replies { deliver(reply, from: name) }
        for send in actions.sends {
            sent.append((name, send))
            carry(send, from: name)
        }
    }

    private mutating func carry(_ send: GossipSend, from name: String) {
        let to = String(send.destination.address.prefix { $0 != ":" })
        guard machines[to] != nil, isOpen(name, to) else { return }
        lastTicket += 1
        let ticket = lastTicket
        owed[to, default: [:]][ticket] = (name, send.ticket)
        step(to) { machine, now in
            (try? machine.received(send.message, from: name, ticket: ticket, now: now).get()) ?? GossipActions()
        }
    }

    private mutating func deliver(_ reply: GossipReply, from name: String) {
        guard let (to, ticket) = owed[name]?.removeValue(forKey: reply.ticket), isOpen(name, to) else { return }
        step(to) { machine, now in
            machine.answered(ticket: ticket, message: reply.message, from: name, roundTrip: millisecond, now: now)
        }
    }

    /// Lets time pass in steps of 10 ms.
    mutating func run(_ duration: UInt64, until isOver: (Wire) -> Bool = { _ in false }) {
        let end = now + duration
        while now < end, !isOver(self) {
            now += 10 * millisecond
            for name in machines.keys.sorted() where now >= (machines[name]?.nextDue ?? .max) {
                step(name) { $0.tick(now: $1) }
            }
        }
    }

    func liveness(of name: String, at observer: String) -> Liveness? {
        machines[observer]?.member(named: name)?.liveness
    }
}
