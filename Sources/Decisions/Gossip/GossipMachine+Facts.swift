// SPDX-License-Identifier: Apache-2.0

// What members say of their state: the latest is kept, and compared with this node's own.

extension GossipMachine {
    /// Later facts are taken over, and passed on where they matter.
    mutating func take(_ facts: NodeFacts, of name: String, incarnation: UInt64, isDirect: Bool, _ now: UInt64) {
        guard let old = records[name]?.take(facts, incarnation: incarnation, isDirect: isDirect) else { return }
        guard let old else {
            edition &+= 1
            return
        }
        guard facts.isNews(after: old) else { return }
        edition &+= 1
        let accuser = records[name]?.suspicion?.accusers.first
        spread(name, accuser: accuser, carriesFacts: true)
    }

    /// Whether a node's list of blocks has gone back. Only by its own word, and the latest of it.
    mutating func count(
        _ facts: NodeFacts, of sender: NodeIdentity, _ now: UInt64, _ actions: inout GossipActions
    ) {
        guard let reported = facts.blockChanges, let record = records[sender.name],
            record.lastDirect == (sender.incarnation, facts.revision)
        else { return }
        guard var count = record.member.blockChanges else {
            records[sender.name]?.member.blockChanges = ChangeCount(highest: reported)
            return actions.events.append(.counted(peer: sender.name))
        }
        let remembered = count.highest
        let change = count.reported(reported, isAlike: facts.blocks == self.facts.blocks, now: now)
        records[sender.name]?.member.blockChanges = count
        switch change {
        case .none: break
        case .counted: actions.events.append(.counted(peer: sender.name))
        case .restored: actions.events.append(.restored(peer: sender.name, remembered: remembered, reported: reported))
        }
    }

    /// Drift is reported once for each change.
    mutating func compareConfiguration(_ name: String, _ actions: inout GossipActions) {
        guard let record = records[name], record.member.isLive, let theirs = record.member.facts else { return }
        let differs = theirs.configuration != facts.configuration
        guard differs != record.differs else { return }
        records[name]?.differs = differs
        actions.events.append(.configurationDiffers(peer: name, differs))
    }

    /// After a message from the member itself, so that its facts are fresh, and it can be reached.
    mutating func compareAll(_ name: String, _ now: UInt64, _ actions: inout GossipActions) {
        compareConfiguration(name, &actions)
        guard let record = records[name], let theirs = record.member.facts else { return }
        let peer = GossipDestination(name: name, address: record.member.identity.address)
        if theirs.blocks != facts.blocks, isDue(record.blocksAnnouncedAt, now) {
            records[name]?.blocksAnnouncedAt = now
            actions.events.append(.blocksDiffer(peer: peer))
        }
        if theirs.canaries != facts.canaries, isDue(record.canariesAnnouncedAt, now) {
            records[name]?.canariesAnnouncedAt = now
            actions.events.append(.canariesDiffer(peer: peer))
        }
    }

    private func isDue(_ reported: UInt64?, _ now: UInt64) -> Bool {
        guard let reported else { return true }
        return now - reported >= settings.reminder
    }
}
