// SPDX-License-Identifier: Apache-2.0

/// Where a message goes.
package struct GossipDestination: Sendable, Equatable {
    /// The node's name, which its certificate must bear; `nil` for a seed that is known by its address only.
    package var name: String?
    /// Host and port.
    package var address: String

    package init(name: String?, address: String) {
        self.name = name
        self.address = address
    }
}

/// "Send this and report what comes back." The driver calls `answered` or `failed` with the ticket, exactly once.
package struct GossipSend: Sendable, Equatable {
    /// Never used again.
    package var ticket: UInt64
    package var destination: GossipDestination
    package var message: GossipMessage
    /// How long the answer may take, nanoseconds. A later one counts as none.
    package var timeout: UInt64

    package init(ticket: UInt64, destination: GossipDestination, message: GossipMessage, timeout: UInt64) {
        self.ticket = ticket
        self.destination = destination
        self.message = message
        self.timeout = timeout
    }
}

/// "Answer the request that came in under this ticket", with what `received` was given.
package struct GossipReply: Sendable, Equatable {
    package var ticket: UInt64
    package var message: GossipMessage

    package init(ticket: UInt64, message: GossipMessage) {
        self.ticket = ticket
        self.message = message
    }
}

/// What people, and the rest of the node, should know.
package enum GossipEvent: Sendable, Equatable {
    /// A member came, or its liveness changed. `by` is the accuser, where there is one.
    case changed(Member, from: Liveness?, by: String?)
    /// A member that others had reported has spoken to this node itself.
    case introduced(Member)
    /// Somebody held this node for suspect or dead, and it has raised its incarnation to contradict: to be stored.
    case refuted(incarnation: UInt64, accuser: String)
    /// This node cannot reach the member, which reaches this node; or (`false`) no longer so. Reported once for each change.
    case unreached(Member, Bool)
    /// The node at this address bears this node's name: two nodes with one `node.id`.
    case twin(address: String)
    /// The peer's block list differs from ours: to be exchanged with it now.
    case blocksDiffer(peer: GossipDestination)
    /// The peer's canaries differ from ours.
    case canariesDiffer(peer: GossipDestination)
    /// The peer's list of blocks has seen fewer changes than it reported before: its state was put back. Reported once.
    case restored(peer: String, remembered: UInt64, reported: UInt64)
    /// What the peer reports of the changes of its list is to be remembered.
    case counted(peer: String)
    /// The peer's shared configuration differs from ours, or (`false`) no longer does. Reported once for each change.
    case configurationDiffers(peer: String, Bool)
}

/// Why a message was dropped. Each is counted.
package enum GossipRefusal: Error, Sendable, Equatable, CaseIterable {
    /// Its version is none that this node speaks.
    case version
    /// It is meant for another node.
    case foreign
    /// Its sequence has been seen.
    case replayed
    /// It contradicts itself or a bound, or its sender is not who the certificate says.
    case malformed
}

/// What follows from one event.
package struct GossipActions: Sendable, Equatable {
    package var sends: [GossipSend] = []
    package var replies: [GossipReply] = []
    package var events: [GossipEvent] = []

    package init() {}
}

/// What a `GossipMachine` has counted since it began.
package struct GossipCounters: Sendable, Equatable {
    /// Probes begun; those without an answer, direct or indirect; those for which others were asked.
    package var probes: UInt64 = 0
    package var failedProbes: UInt64 = 0
    package var indirectProbes: UInt64 = 0
    /// Suspicions that this node has raised or learnt of.
    package var suspicions: UInt64 = 0
    /// Members that this node has called dead itself, and those reported to it.
    package var deaths: UInt64 = 0
    /// How often this node has contradicted.
    package var refutations: UInt64 = 0
    /// Exchanges that this node began.
    package var exchanges: UInt64 = 0
    /// Messages that only carried news.
    package var couriers: UInt64 = 0
    /// How often this node slept.
    package var pauses: UInt64 = 0
    /// Messages dropped, by reason; answers among them.
    package var refused: [GossipRefusal: UInt64] = [:]
    /// Lifeguard's local health: 0 is well.
    package var healthScore: UInt8 = 0

    package init() {}
}
