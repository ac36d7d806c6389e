// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Gossip

/// The nodes of the cluster as people are shown them.
struct ClusterView {
    /// What this node says of itself.
    let own: NodeFacts
    let identity: NodeIdentity
    /// When this node started, Unix seconds.
    let startedAt: Int64
    /// Names that two nodes bear, with an address of one of them.
    let twins: [String: String]
    /// By name, the serial numbers of the certificates that peers show at the moment.
    var serials: [String: [String]] = [:]

    /// This node first, then the others by name.
    func nodes(_ others: [Member]) -> [ClusterNode] {
        let others = others.sorted { $0.identity.name < $1.identity.name }
        return [here(others)] + others.map(view)
    }

    private func here(_ others: [Member]) -> ClusterNode {
        var facts = own
        // Peers are sent it by gossip itself.
        facts.unreached = others.filter { $0.unreachedSince != nil }.map(\.identity.name)
        return node(identity, facts, liveness: .alive, since: startedAt, roundTrip: nil, drift: [])
    }

    private func view(_ member: Member) -> ClusterNode {
        let facts = member.facts ?? NodeFacts()
        return node(
            member.identity, facts, liveness: ClusterNode.Liveness(member),
            since: UnixTime.seconds(ofMonotonic: member.since), roundTrip: member.roundTrip,
            drift: member.isLive && member.facts != nil ? drift(facts) : [],
            forgottenBy: member.forgotten?.author, isAwaited: member.isAwaited,
            restored: member.blockChanges.flatMap(ClusterNode.Restored.init))
    }

    /// What a node has otherwise than this one.
    private func drift(_ facts: NodeFacts) -> [String] {
        var drift: [String] = []
        if facts.configuration != own.configuration { drift.append("configuration") }
        if facts.canaries != own.canaries { drift.append("canaries") }
        if facts.blocks != own.blocks { drift.append("blocks") }
        if facts.refusedCertificates != own.refusedCertificates { drift.append("refused") }
        return drift
    }

    private func node(
        _ identity: NodeIdentity, _ facts: NodeFacts, liveness: ClusterNode.Liveness, since: Int64, roundTrip: UInt32?,
        drift: [String], forgottenBy: String? = nil, isAwaited: Bool = true, restored: ClusterNode.Restored? = nil
    ) -> ClusterNode {
        ClusterNode(
            name: identity.name, site: identity.site, address: identity.address, liveness: liveness,
            sinceUnixSeconds: since, draining: facts.isDraining, version: facts.version,
            incarnation: identity.incarnation, roundTripMicroseconds: roundTrip, inFlight: facts.inFlight,
            encrypts: facts.encrypts, decrypts: facts.decrypts, drift: drift,
            hsms: facts.hsms.map { hsm in
                ClusterNode.HSM(
                    name: hsm.name, serial: hsm.serial,
                    model: "\(hsm.manufacturer) \(hsm.model)", state: hsm.state.state,
                    drained: hsm.isDrained)
            }, unservedKeys: facts.unservedKeys, unservedCount: facts.unservedCount,
            twinAddress: twins[identity.name], forgottenBy: forgottenBy, isAwaited: isAwaited, restored: restored,
            certificates: serials[identity.name] ?? [], unreached: facts.unreached ?? [],
            conditions: facts.conditions ?? [], certificateEnd: facts.certificateEnd)
    }
}

extension ClusterNode.Restored {
    /// `nil` where the count has not gone back.
    fileprivate init?(_ count: ChangeCount) {
        guard let restored = count.restored else { return nil }
        self.init(
            rememberedChanges: count.highest, toldChanges: restored.reported,
            sinceUnixSeconds: UnixTime.seconds(ofMonotonic: restored.since))
    }
}

extension ClusterNode.Liveness {
    fileprivate init(_ member: Member) {
        self =
            switch member.liveness {
            case .alive: member.hasSpoken ? .alive : .unconfirmed
            case .suspect: member.hasSpoken ? .suspect : .unconfirmed
            case .dead: .dead
            case .left: .left
            }
    }
}
