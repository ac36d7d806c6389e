// SPDX-License-Identifier: Apache-2.0

// What nodes say of themselves, and others of them, becomes what this node believes.

extension GossipMachine {
    // MARK: What a node says of itself

    /// A message has come from the node itself. Returns false when it is of an earlier life than one that it has spoken
    /// in, or contradicts it: then it says nothing, and its sender is informed of what is known.
    mutating func receiveDirect(_ message: GossipMessage, _ now: UInt64, _ actions: inout GossipActions) -> Bool {
        let (sender, name) = (message.sender, message.sender.name)
        let isStranger = records[name]?.member.hasSpoken == false
        if let record = records[name] {
            let known = record.member.identity
            if record.member.hasSpoken {
                guard sender.incarnation >= known.incarnation,
                    sender.incarnation - known.incarnation <= GossipBounds.greatestJump,
                    sender.incarnation > known.incarnation || sender == known
                else {
                    if sender.incarnation == known.incarnation, sender.address != known.address {
                        records[name]?.twin = (sender.address, now)
                        edition &+= 1
                    }
                    return false
                }
                watchAddress(of: record, sender, now)
                if sender.incarnation > known.incarnation {
                    if record.suspicion?.isFound == true || record.member.liveness == .dead {
                        records[name]?.contradictedAt = now
                    }
                    believe(sender, .alive, by: nil, now, &actions)
                }
            } else if sender != known || record.member.liveness != .alive {
                // Its own word, the first: whatever others said of it, or it said in an earlier run, is void.
                believe(sender, .alive, by: nil, now, &actions)
            }
        } else {
            guard insert(sender, .alive, by: nil, isNews: true, now, &actions) else { return true }
        }
        records[name]?.member.lastReceived = now
        if isStranger, let member = records[name]?.member {
            edition &+= 1
            actions.events.append(.introduced(member))
        }
        records[name]?.member.unconfirmedIncarnation = nil
        owners[sender.address] = nil
        passProbe(name)
        take(message.facts, of: name, incarnation: sender.incarnation, isDirect: true, now)
        count(message.facts, of: sender, now, &actions)
        compareAll(name, now, &actions)
        return true
    }

    /// A node that speaks by turns from two addresses, each time as another life, is two nodes of one name.
    private mutating func watchAddress(of record: MemberRecord, _ sender: NodeIdentity, _ now: UInt64) {
        let known = record.member.identity
        guard sender.address != known.address else { return }
        if let former = record.formerAddress, former.address == sender.address, now - former.received < Self.twinMemory
        {
            records[record.name]?.twin = (known.address, now)
        }
        records[record.name]?.formerAddress = (known.address, record.member.lastReceived ?? now)
    }

    /// How long two nodes of one name are shown after they were last seen.
    static let twinMemory: UInt64 = 60_000 * ms

    // MARK: What others say of it

    /// - Parameter isNews: whether the members that this node learns of first are news to others as well; those that a
    ///   newcomer finds in the pages it asks for are not.
    mutating func learn(
        _ updates: [MemberUpdate], from reporter: String, isNews: Bool = true, _ now: UInt64,
        _ actions: inout GossipActions
    ) {
        // A node that was cut off believes that all others are dead. Its word on them does not count until it knows that
        // it is believed dead itself.
        let isWitness = records[reporter].map { $0.member.isLive } ?? true
        for update in updates {
            if update.identity.name == identity.name {
                learnOfOurselves(update, from: reporter, now, &actions)
            } else if update.liveness == .left {
                learnOfEnd(update, now, &actions)
            } else {
                learn(update, isWitness: isWitness, isNews: isNews, now, &actions)
            }
        }
    }

    private mutating func learn(
        _ update: MemberUpdate, isWitness: Bool, isNews: Bool, _ now: UInt64, _ actions: inout GossipActions
    ) {
        let name = update.identity.name
        let isAccusation = update.liveness == .suspect || update.liveness == .dead
        if isAccusation && !isWitness { return }
        guard let record = records[name] else {
            // Whom everybody has forgotten does not come back from the memory of one: the dead are news to newcomers only.
            guard update.liveness == .alive || update.liveness == .suspect || isYoung(now) else { return }
            guard insert(update.identity, update.liveness, by: update.accuser, isNews: isNews, now, &actions) else {
                return
            }
            introduce(update.identity, now)
            if let facts = update.facts {
                take(facts, of: name, incarnation: update.identity.incarnation, isDirect: false, now)
            }
            compareConfiguration(name, &actions)
            return
        }
        let known = record.member
        // Only a node's own word raises its incarnation: it is asked. A number that somebody else has made up would make
        // all that the node says void.
        guard update.identity.incarnation <= known.identity.incarnation else {
            if known.hasSpoken { records[name]?.member.unconfirmedIncarnation = update.identity.incarnation }
            return introduce(update.identity, now)
        }
        if update.identity.incarnation == known.identity.incarnation {
            guard update.identity == known.identity else { return introduce(update.identity, now) }
            let liveness = isDoubtful(update, of: known, now) ? .suspect : update.liveness
            if liveness.rank > known.liveness.rank {
                believe(update.identity, liveness, by: update.accuser, now, &actions)
            } else if liveness == .suspect, known.liveness == .suspect, let accuser = update.accuser {
                confirm(name, by: accuser, now)
            } else if !known.isLive, !known.hasSpoken {
                introduce(update.identity, now)
            }
        }
        if let facts = update.facts {
            take(facts, of: name, incarnation: update.identity.incarnation, isDirect: false, now)
            compareConfiguration(name, &actions)
        }
    }

    /// Others say that a node has ended. Only its own signed word counts, or an operator's order while it is silent:
    /// orders to block must not miss a node that serves.
    private mutating func learnOfEnd(_ update: MemberUpdate, _ now: UInt64, _ actions: inout GossipActions) {
        let name = update.identity.name
        guard let known = records[name]?.member else { return learnOfForgotten(update, now, &actions) }
        if let farewell = update.farewell, farewell.name == name, farewell.incarnation == update.identity.incarnation {
            guard farewell.incarnation >= known.identity.incarnation,
                farewell.incarnation > known.identity.incarnation || known.liveness != .left || known.forgotten != nil
            else { return }
            records[name]?.farewell = farewell
            var identity = known.identity
            identity.incarnation = farewell.incarnation
            believe(identity, .left, by: nil, now, &actions)
        } else if let order = update.forgotten, !known.isLive, known.liveness != .left {
            forget(known, by: order, now, &actions)
        }
    }

    /// Newcomers take over orders to forget nodes, too: whoever has given or received one may be gone when somebody
    /// comes back who still counts on the node.
    private mutating func learnOfForgotten(_ update: MemberUpdate, _ now: UInt64, _ actions: inout GossipActions) {
        guard let order = update.forgotten, isYoung(now) else { return }
        guard insert(update.identity, .left, by: nil, isNews: false, now, &actions) else { return }
        records[update.identity.name]?.member.forgotten = order
    }

    mutating func forget(_ member: Member, by order: ForgetNodeOrder, _ now: UInt64, _ actions: inout GossipActions) {
        records[member.identity.name]?.member.forgotten = order
        believe(member.identity, .left, by: nil, now, &actions)
    }

    /// Newcomers take over the dead that others show.
    func isYoung(_ now: UInt64) -> Bool { now - startedAt < 60_000 * ms }

    /// A death that another reports is a suspicion only while this node itself has received messages from the member
    /// lately: after a partition both sides hold each other's members for dead.
    private func isDoubtful(_ update: MemberUpdate, of known: Member, _ now: UInt64) -> Bool {
        guard update.liveness == .dead, known.isLive, let received = known.lastReceived else { return false }
        return now - received < timing(known.identity).suspicion
    }
}
