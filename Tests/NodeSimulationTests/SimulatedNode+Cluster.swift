// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip
import HSMPool
import KeyProof
import LaneProtocol
import Routing

// What GossipDriver, NodeNeighbours and CanaryExchange do: facts, gossip, canaries.

extension SimulatedNode {
    private static let rest: UInt64 = 5_000_000_000

    /// Members of the cluster beside this node.
    var members: [Member] { gossip.members.filter { $0.identity.name != name } }

    var agreement: ConfigurationAgreement {
        ConfigurationAgreement(
            members: gossip.members, node: name, configuration: gossip.facts.configuration, isSought: true,
            age: world.now - startedAt)
    }

    // MARK: Facts

    func setFacts() {
        isFactsArranged = false
        // As where working them out takes a millisecond: `ClusterService` rests twenty times as long.
        factsDue = world.now + 20_000_000
        let facts = facts()
        take { gossip, now in gossip.setFacts(facts, now: now) }
    }

    func facts() -> NodeFacts {
        let summary = pool.keySummary(now: now)
        if pool.proof.hasDisagreements {
            for member in members where member.facts?.canaries == summary.canaries {
                step { $0.agreed(with: member.identity.name, now: $1) }
            }
        }
        knowCluster()
        exchangeKeys()
        pool.knowDetour(choice.leastDetour)
        var facts = NodeFacts(
            version: "0.0.0", configuration: "c", canaries: summary.canaries, blocks: blocks.digest,
            blockChanges: register.toldChanges,
            hsms: pool.statuses(now: now, unixSeconds: wall).map { hsm in
                HSMFact(
                    name: hsm.shown.name, serial: hsm.shown.serial ?? "", manufacturer: "", model: "", firmware: "",
                    state: hsm.shown.state, isDrained: false)
            },
            reads: FormatVersions(gossip: GossipMessage.currentVersion, blocks: 2, canaries: 1, ciphertext: 1),
            room: pool.machine.room(now: now).map {
                NodeRoom(
                    perSecond: UInt32(clamping: $0.perSecond), callMicroseconds: UInt32(clamping: $0.call / 1_000))
            })
        facts.setUnserved(summary.unserved.map(\.text))
        return facts
    }

    /// Tells the key proof who is in the cluster, where that has changed.
    func knowCluster() {
        let peers = members.filter(\.isAwaited).map { member in
            let last = exchanges.exchanged[member.identity.name].flatMap {
                $0.incarnation == member.identity.incarnation ? $0.version : nil
            }
            return ProofPeer(
                name: member.identity.name, isLive: member.isLive && member.hasSpoken, exchanged: last)
        }
        let view = ProofCluster(peers: peers.sorted { $0.name < $1.name }, isSought: true)
        guard view != known else { return }
        known = view
        step { $0.cluster(view, now: $1) }
    }

    func step(_ event: (inout KeyProof, UInt64) -> ProofActions) {
        perform(pool.step(now: now, event))
    }

    // MARK: Gossip

    func discover() {
        let addresses = world.nodes.filter { $0 !== self }.map(\.address)
        take { gossip, now in gossip.discovered(addresses: addresses, now: now) }
    }

    func take(_ event: (inout GossipMachine, UInt64) -> GossipActions) {
        let actions = event(&gossip, now)
        let due = max(gossip.nextDue, now + 1_000_000) - offset
        gossipTick += 1
        let mine = gossipTick
        schedule(at: due) { node in
            if node.gossipTick == mine { node.take { $0.tick(now: $1) } }
        }
        // Replies to relayed probes come in with what they wait for.
        for reply in actions.replies { replies.removeValue(forKey: reply.ticket)?(reply.message) }
        for event in actions.events { noted(event) }
        for send in actions.sends { self.send(send) }
    }

    private func send(_ send: GossipSend) {
        guard let peer = world.nodes.first(where: { $0.address == send.destination.address }) else {
            return take { $0.failed(ticket: send.ticket, now: $1) }
        }
        let begun = world.now
        world.call(
            from: self, to: peer, timeout: send.timeout,
            ask: { peer, answer in peer.received(send.message, from: self.name, answer: answer) },
            done: { node, message in
                guard let message else { return node.take { $0.failed(ticket: send.ticket, now: $1) } }
                let roundTrip = node.world.now - begun
                node.take {
                    $0.answered(ticket: send.ticket, message: message, from: peer.name, roundTrip: roundTrip, now: $1)
                }
            })
    }

    func received(_ message: GossipMessage, from peer: String, answer: @escaping (GossipMessage?) -> Void) {
        lastReply += 1
        let ticket = lastReply
        replies[ticket] = answer
        take { gossip, now in
            switch gossip.received(message, from: peer, ticket: ticket, now: now) {
            case .success(let actions): return actions
            case .failure:
                self.replies.removeValue(forKey: ticket)?(nil)
                return GossipActions()
            }
        }
    }

    private func noted(_ event: GossipEvent) {
        switch event {
        case .changed, .introduced, .counted:
            knowCluster()
            let awaited = members.filter(\.isAwaited).map(\.identity)
            let changes = gossip.changes
            store.write { ($0.peers, $0.changes) = (awaited, changes) }
        case .refuted(let incarnation, _): store.write { $0.incarnation = incarnation }
        case .blocksDiffer(let peer): reconcileBlocks(with: peer.address)
        case .canariesDiffer(let peer): reconcileKeys(with: peer.address)
        case .unreached, .twin, .configurationDiffers, .restored: break
        }
    }

    // MARK: Canaries

    /// Has keys exchanged with every peer that was not told yet what this node knows of them by now.
    private func exchangeKeys() {
        let version = pool.proof.sharedVersion
        for member in members where member.isLive && member.hasSpoken {
            let last = exchanges.exchanged[member.identity.name]
            guard last?.incarnation != member.identity.incarnation || last?.version != version else { continue }
            reconcileKeys(with: member.identity.address)
        }
    }

    private func reconcileKeys(with address: String) {
        guard let peer = world.nodes.first(where: { $0.address == address }), !isResting(peer.name),
            exchanges.keysUnderway.insert(peer.name).inserted
        else { return }
        let version = pool.beginExchange(with: peer.name)
        let ours = SharedKeyMessage(pool.proof, node: name)
        world.call(
            from: self, to: peer, timeout: 5_000_000_000,
            ask: { peer, answer in
                peer.offered(ours, by: self.name)
                answer(SharedKeyMessage(peer.pool.proof, node: peer.name))
            },
            done: { (node: SimulatedNode, theirs: SharedKeyMessage?) in
                node.exchanges.keysUnderway.remove(peer.name)
                let pause: UInt64 = theirs == nil ? Self.rest : 50_000_000
                node.exchanges.keys[peer.name] = NodeExchanges.Past(
                    notBefore: node.now + pause, version: theirs == nil ? 0 : version)
                guard let theirs else { return }
                node.offered(theirs, by: peer.name)
                node.step { $0.exchangeEnded(with: peer.name, now: $1) }
                if let member = node.members.first(where: { $0.identity.name == peer.name }) {
                    node.exchanges.exchanged[peer.name] = (member.identity.incarnation, version)
                }
                node.knowCluster()
            })
    }

    private func isResting(_ peer: String) -> Bool {
        guard let last = exchanges.keys[peer] else { return false }
        if now < last.notBefore { return true }
        return last.version == pool.proof.sharedVersion && now < last.notBefore + Self.rest
    }

    func offered(_ message: SharedKeyMessage, by node: String) {
        guard world.mutant.broken != .canariesAreIgnored else { return }
        step { proof, now in
            var actions = proof.forget(message.forgets, now: now)
            actions.append(proof.offered(message.canaries, by: node, now: now))
            return actions
        }
    }
}

/// What a node tells of keys in one message; the product sends it page by page.
struct SharedKeyMessage {
    var canaries: [Canary]
    var forgets: [ForgetOrder]

    init(canaries: [Canary], forgets: [ForgetOrder] = []) {
        self.canaries = canaries
        self.forgets = forgets
    }

    init(_ proof: KeyProof, node: String) {
        self.init(canaries: proof.announced(), forgets: proof.forgetOrders())
    }
}
