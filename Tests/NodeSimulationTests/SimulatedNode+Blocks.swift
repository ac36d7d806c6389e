// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip

// What BlockBook, BlockExchange and the store do with the block list.

extension SimulatedNode {
    private static let rest: UInt64 = 5_000_000_000
    private static let behind = "its database is older than its marker"

    var blocks: BlockList { register.list }

    /// What the store does when it opens its database: one without tables begins with what the marker says.
    func open(_ disk: DiskImage) {
        if let file = disk.blocks {
            adopt(file, disk.marker)
        } else {
            let knowledge = register.beginning(disk.marker, lost: "its database was lost", corrupt: nil)
            let file = BlockFile(list: BlockList(blocks: [], lifts: [], knowledge: knowledge), changes: 0)
            store.write { $0.blocks = file }
            adopt(file, disk.marker)
        }
        proofs.adopt(disk.proofs ?? NodeProofs.File(), isAnother: true)
    }

    private func adopt(_ file: BlockFile, _ marker: BlockMarker) {
        _ = register.adopt(file, marker: marker, behind: Self.behind, now: wall)
    }

    /// What the store does when it cannot open its database as the node starts.
    func begin(withoutOpening disk: DiskImage) {
        let remains: BlockRemains
        if store.state == .hidden || world.mutant.broken == .fullDisksAreNotRead {
            remains = .hidden
        } else if let file = disk.blocks {
            remains = .copy(file, marker: disk.marker, behind: Self.behind, now: wall)
            proofs.adopt(disk.proofs ?? NodeProofs.File(), isAnother: true)
        } else {
            remains = disk.marker == .absent ? .nothing : .hidden
        }
        _ = register.failed("its database cannot be opened", remains)
    }

    /// The database can be opened that could not be, at the start or since its disk was full.
    func findLateStore() {
        store.open()
        guard isUp else { return }
        open(store.disk)
        keepBlocks()
        keepProofs()
        completeList()
        changed()
    }

    /// Puts what the disk lacks on it: the database first, then the marker.
    func keepBlocks() {
        guard store.state == .open else { return }
        let batch = register.take()
        guard !batch.isEmpty else { return }
        var counted: UInt64 = 0
        store.write { disk in
            disk.blocks?.write(batch)
            counted = disk.blocks?.changes ?? 0
        } then: { [weak self] in
            self?.schedule(at: self?.world.now ?? 0) { node in
                node.register.wrote(batch, changes: counted)
                node.keepMarker()
                node.tellConfirmed()
                node.keepBlocks()
            }
        }
    }

    private func keepMarker() {
        guard let due = register.markerDue else { return }
        store.write {
            $0.marker = .present(changes: due)
        } then: { [weak self] in
            self?.schedule(at: self?.world.now ?? 0) { $0.register.counted(due) }
        }
    }

    /// The same for canaries.
    func keepProofs() {
        guard store.state == .open else { return }
        let batch = proofs.take()
        guard !batch.isEmpty else { return }
        store.write { disk in
            var file = disk.proofs ?? NodeProofs.File()
            file.write(batch)
            disk.proofs = file
        } then: { [weak self] in
            self?.schedule(at: self?.world.now ?? 0) { node in
                node.proofs.wrote(batch)
                node.keepProofs()
            }
        }
    }

    private func tellConfirmed() {
        let done = unconfirmed.filter { register.isDurable($0.receipt) }
        unconfirmed.removeAll { register.isDurable($0.receipt) }
        for order in done { order.confirmed() }
    }

    /// An operator's order at this node. `confirmed` is called when it is on this node's disk.
    ///
    /// - Parameter seconds: how long it shall last; `nil`: until it is lifted.
    func block(_ label: String, id: String, seconds: Int64? = nil, confirmed: @escaping () -> Void) -> Bool {
        let isTaken = register.change(now: wall) { list in
            (try? list.block(
                .key(label), id: id, reason: "simulation", madeBy: "operator@\(name)", now: wall,
                expiresInSeconds: seconds)) != nil
        }
        guard isTaken else { return false }
        unconfirmed.append((register.receipt, confirmed))
        keepBlocks()
        setFacts()
        for member in members where member.isAwaited { deliverBlocks(to: member.identity.address) }
        return true
    }

    /// As an order does: again and again until it is there.
    private func deliverBlocks(to address: String) {
        guard let peer = world.nodes.first(where: { $0.address == address }) else { return }
        exchangeBlocks(with: peer) { node, isDone in
            if !isDone { node.schedule(at: node.world.now + 1_000_000_000) { $0.deliverBlocks(to: address) } }
        }
    }

    func reconcileBlocks(with address: String) {
        guard let peer = world.nodes.first(where: { $0.address == address }) else { return }
        if let last = exchanges.blocks[peer.name], now < last.at + Self.rest, last.digest == blocks.digest { return }
        guard exchanges.blocksUnderway.insert(peer.name).inserted else { return }
        exchangeBlocks(with: peer) { node, _ in
            node.exchanges.blocks[peer.name] = (node.now, node.blocks.digest)
            node.exchanges.blocksUnderway.remove(peer.name)
        }
    }

    private func exchangeBlocks(with peer: SimulatedNode, done: @escaping (SimulatedNode, Bool) -> Void) {
        let ours = blockMessage
        world.call(
            from: self, to: peer, timeout: 2_000_000_000,
            ask: { peer, answer in
                peer.merge(ours, from: self.name)
                answer(peer.blockMessage)
            },
            done: { (node: SimulatedNode, theirs: BlockMessage?) in
                if let theirs { node.merge(theirs, from: peer.name) }
                done(node, theirs != nil)
            })
    }

    private var blockMessage: BlockMessage {
        BlockMessage(
            entries: blocks.blocks.keys.sorted().compactMap { blocks.entry(id: $0, now: wall) },
            isKnown: blocks.knowledge == .known)
    }

    func merge(_ message: BlockMessage, from peer: String) {
        let merge = register.reported(message.entries, now: wall)
        if merge.hasChanged {
            keepBlocks()
            changed()
        }
        let isKnown = message.isKnown && world.mutant.broken != .listsStayUnknown
        register.exchanged(with: peer, isKnown: isKnown, now: now)
    }

    // MARK: A list that is not known

    /// As long as the list is not known it is exchanged with every member, until it counts as whole.
    func completeList() {
        let others = members.filter { $0.liveness != .left }.map(\.identity)
        if let orderedAt = bootstrapAt {
            let begun = register.bootstrap(
                orderedAt: orderedAt, members: others.map(\.name), now: now, unixSeconds: wall)
            if begun != .wait { bootstrapAt = nil }
        }
        switch register.complete(members: others.map(\.name), now: now, unixSeconds: wall) {
        case .isKnown:
            keepBlocks()
            return setFacts()
        case .completed:
            keepBlocks()
            return setFacts()
        case .exchange(let names):
            for name in names {
                guard let peer = world.nodes.first(where: { $0.name == name }),
                    exchanges.blocksUnderway.insert(name).inserted
                else { continue }
                exchangeBlocks(with: peer) { node, _ in node.exchanges.blocksUnderway.remove(name) }
            }
            schedule(at: world.now + 100_000_000) { $0.completeList() }
        }
    }

    /// `claviger cluster bootstrap`.
    func bootstrap() { bootstrapAt = now }
}
