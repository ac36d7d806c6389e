// SPDX-License-Identifier: Apache-2.0

// What is believed: of two beliefs the one of the higher incarnation holds, and of one incarnation alive < suspect < dead
// < left (SWIM section 4.2). Only a node itself raises its incarnation.

extension GossipMachine {
    // MARK: What a node says of itself

    /// A message has come from the node itself. Returns false when it is of an earlier life than one that it has spoken
    /// in, or contradicts it: then it says nothing, and its sender is told what is known.
    mutating func hear(_ message: GossipMessage, _ now: UInt64, _ actions: inout GossipActions) -> Bool {
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
                if sender.incarnation > known.incarnation { believe(sender, .alive, by: nil, now, &actions) }
            } else if sender != known || record.member.liveness != .alive {
                // Its own word, the first: whatever others said of it, or it said in an earlier run, is void.
                believe(sender, .alive, by: nil, now, &actions)
            }
        } else {
            guard insert(sender, .alive, by: nil, isNews: true, now, &actions) else { return true }
        }
        records[name]?.member.lastHeard = now
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
        if let former = record.formerAddress, former.address == sender.address, now - former.heard < Self.twinMemory {
            records[record.name]?.twin = (known.address, now)
        }
        records[record.name]?.formerAddress = (known.address, record.member.lastHeard ?? now)
    }

    /// How long two nodes of one name are shown after they were last seen.
    static let twinMemory: UInt64 = 60_000 * ms

    // MARK: What others say of it

    /// - Parameter isNews: whether the members that this node hears of first are news to others as well; those that a
    ///   newcomer finds in the pages it asks for are not.
    mutating func learn(
        _ updates: [MemberUpdate], from teller: String, isNews: Bool = true, _ now: UInt64,
        _ actions: inout GossipActions
    ) {
        // One who was cut off holds everybody else for dead. Who has not yet heard that it is dead itself is no witness.
        let isWitness = records[teller].map { $0.member.isLive } ?? true
        for update in updates {
            if update.identity.name == identity.name {
                learnOfOurselves(update, from: teller, now, &actions)
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

    /// Newcomers take over orders to forget nodes, too: whoever has given or heard one may be gone when somebody comes
    /// back who still counts on the node.
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

    /// A death that another tells of is a suspicion only while this node itself has heard from the member lately: after
    /// a partition both sides hold each other's members for dead.
    private func isDoubtful(_ update: MemberUpdate, of known: Member, _ now: UInt64) -> Bool {
        guard update.liveness == .dead, known.isLive, let heard = known.lastHeard else { return false }
        return now - heard < timing(known.identity).suspicion
    }

    // MARK: What others say of us

    private mutating func learnOfOurselves(
        _ update: MemberUpdate, from teller: String, _ now: UInt64, _ actions: inout GossipActions
    ) {
        let claimed = update.identity.incarnation
        guard !hasLeft, claimed >= identity.incarnation,
            claimed - identity.incarnation <= GossipBounds.greatestJump
        else { return }
        if update.liveness == .alive {
            guard claimed > identity.incarnation || update.identity.address != identity.address else { return }
            guard !hasReclaimed else { return meetTwin(update.identity, isDirect: false, now, &actions) }
            // An earlier life of this node, of which its store knows nothing. That is so once.
            hasReclaimed = true
        } else if claimed > identity.incarnation {
            // Others hold us to what we have said ourselves. After an earlier life of ours has been found, a greater
            // number is made up.
            guard !hasReclaimed else { return }
            hasReclaimed = true
        }
        refute(claimed, accuser: update.accuser ?? teller, now, &actions)
        if update.liveness == .dead || update.liveness == .left {
            // So we were cut off, and what we hold against others comes from that time.
            let accused = suspects.union(dead)
            news.drop { accused.contains($0.name) }
        }
    }

    /// SWIM section 4.2: only we can raise our incarnation, and nothing but that contradicts.
    mutating func refute(_ claimed: UInt64, accuser: String, _ now: UInt64, _ actions: inout GossipActions) {
        let raised = min(max(claimed, identity.incarnation) + 1, GossipBounds.highestNumber)
        guard raised > identity.incarnation else { return }
        identity.incarnation = raised
        counters.refutations += 1
        worsenHealth()
        actions.events.append(.refuted(incarnation: raised, accuser: accuser))
        callCouriers(now)
    }

    /// A request of ours was refused because its number has been used before in our incarnation: an earlier life has had
    /// the same, for its store was put back or could not be written. A greater one ends that.
    mutating func learnOfReplay(
        _ answer: GossipMessage, of request: Pending, _ now: UInt64, _ actions: inout GossipActions
    ) {
        guard answer.isReplay, !hasLeft, request.incarnation == identity.incarnation else { return }
        if let raised = replayRaisedAt, now - raised < Self.twinGap { return }
        replayRaisedAt = now
        refute(identity.incarnation, accuser: answer.sender.name, now, &actions)
    }

    /// Two nodes with one name. The incarnation is raised now and then only: two who outdo each other find no end.
    ///
    /// - Parameter isDirect: its certificate bears our name. What others tell may be made up, and raises ours a little
    ///   only.
    mutating func meetTwin(_ twin: NodeIdentity, isDirect: Bool, _ now: UInt64, _ actions: inout GossipActions) {
        if twin.address != identity.address {
            ownTwin = (twin.address, now)
            noteTwin()
        }
        if let told = twinToldAt, now - told < Self.twinGap { return }
        twinToldAt = now
        actions.events.append(.twin(address: twin.address))
        guard twin.incarnation >= identity.incarnation,
            isDirect || twin.incarnation - identity.incarnation <= Self.greatestHearsayJump
        else { return }
        refute(twin.incarnation, accuser: twin.name, now, &actions)
    }

    static let twinGap: UInt64 = 5_000 * ms
    static let greatestHearsayJump: UInt64 = 1 << 20

    /// Others are told of our twin, for none of them may notice it.
    mutating func noteTwin() {
        let address = ownTwin.flatMap { lastCall - $0.at < Self.twinMemory ? $0.address : nil } ?? ""
        guard facts.twinAddress != address else { return }
        facts.twinAddress = address
        facts.revision = min(facts.revision + 1, GossipBounds.highestNumber)
        edition &+= 1
        callCouriers(lastCall)
    }

    // MARK: Beliefs

    /// Somebody unknown. Returns false when there is no room.
    private mutating func insert(
        _ identity: NodeIdentity, _ liveness: Liveness, by accuser: String?, isNews: Bool, _ now: UInt64,
        _ actions: inout GossipActions
    ) -> Bool {
        guard records.count < GossipBounds.mostMembers else { return false }
        let name = identity.name
        records[name] = MemberRecord(identity, .alive, now: now)
        recallChanges(of: name)
        names.append(name)
        edition &+= 1
        liveMembers += 1
        if identity.site == self.identity.site {
            lanRotation.insert(name, &dice)
        } else {
            wanRotation.insert(name, &dice)
        }
        if liveness == .alive {
            if isNews {
                spread(name, accuser: nil, carriesFacts: true)
                callCouriers(now)
            }
            if let member = records[name]?.member { actions.events.append(.changed(member, from: nil, by: nil)) }
        } else {
            believe(identity, liveness, by: accuser, isNew: true, now, &actions)
        }
        return true
    }

    /// Something later than what was known.
    mutating func believe(
        _ identity: NodeIdentity, _ liveness: Liveness, by accuser: String?, isNew: Bool = false, _ now: UInt64,
        _ actions: inout GossipActions
    ) {
        let name = identity.name
        guard let old = records[name] else { return }
        edition &+= 1
        records[name]?.member.identity = identity
        records[name]?.member.liveness = liveness
        records[name]?.suspicion = nil
        if liveness != .left {
            records[name]?.farewell = nil
            records[name]?.member.forgotten = nil
        }
        suspects.remove(name)
        dead.remove(name)
        news.forget(name, accusers: old.suspicion?.accusers ?? [])
        if old.member.identity.site != identity.site { moveRotation(name, from: old.member.identity.site) }
        liveMembers += (liveness.rank < 2 ? 1 : 0) - (old.member.isLive ? 1 : 0)
        switch liveness {
        case .alive: break
        case .suspect:
            let first = accuser ?? self.identity.name
            records[name]?.suspicion = Suspicion(by: first, now: now)
            suspects.insert(name)
            counters.suspicions += 1
        case .dead:
            dead.insert(name)
            counters.deaths += 1
            probes[name] = nil
        case .left: probes[name] = nil
        }
        // Whom this node has never held for live is no news of its own.
        if !isNew || liveness == .suspect {
            spread(name, accuser: liveness == .suspect ? accuser ?? self.identity.name : nil, carriesFacts: false)
        }
        guard isNew || liveness != old.member.liveness else { return }
        records[name]?.member.since = now
        callCouriers(now)
        if let member = records[name]?.member {
            actions.events.append(.changed(member, from: isNew ? nil : old.member.liveness, by: accuser))
        }
        if liveness == .suspect { verify(name, now, &actions) }
        // Who comes back was cut off, or is new: both have much to tell.
        if liveness == .alive, !old.member.isLive {
            exchangePartner = name
            exchangeDue = min(exchangeDue, now + dice.below(100 * ms))
        }
    }

    private mutating func moveRotation(_ name: String, from site: String) {
        let wasLocal = site == identity.site
        let isLocal = records[name]?.member.identity.site == identity.site
        guard wasLocal != isLocal else { return }
        if isLocal {
            wanRotation.remove(name)
            lanRotation.insert(name, &dice)
        } else {
            lanRotation.remove(name)
            wanRotation.insert(name, &dice)
        }
    }

    /// Somebody else finds the same: the suspicion shortens (Lifeguard, section IV-B).
    mutating func confirm(_ name: String, by accuser: String, _ now: UInt64) {
        let needed = neededConfirmations
        guard records[name]?.suspicion?.add(accuser, needed: needed) == true else { return }
        spread(name, accuser: accuser, carriesFacts: false)
        callCouriers(now)
    }

    mutating func spread(_ name: String, accuser: String?, carriesFacts: Bool) {
        news.add(NewsQueue.Item(name: name, accuser: accuser), carriesFacts: carriesFacts)
    }

    // MARK: Facts

    /// Later facts are taken over, and told on where they matter.
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
    private mutating func count(
        _ facts: NodeFacts, of sender: NodeIdentity, _ now: UInt64, _ actions: inout GossipActions
    ) {
        guard let told = facts.blockChanges, let record = records[sender.name],
            record.lastDirect == (sender.incarnation, facts.revision)
        else { return }
        guard var count = record.member.blockChanges else {
            records[sender.name]?.member.blockChanges = ChangeCount(highest: told)
            return actions.events.append(.counted(peer: sender.name))
        }
        let remembered = count.highest
        let change = count.told(told, isAlike: facts.blocks == self.facts.blocks, now: now)
        records[sender.name]?.member.blockChanges = count
        switch change {
        case .none: break
        case .counted: actions.events.append(.counted(peer: sender.name))
        case .restored: actions.events.append(.restored(peer: sender.name, remembered: remembered, told: told))
        }
    }

    /// Drift is told once for each change.
    mutating func compareConfiguration(_ name: String, _ actions: inout GossipActions) {
        guard let record = records[name], record.member.isLive, let theirs = record.member.facts else { return }
        let differs = theirs.configuration != facts.configuration
        guard differs != record.differs else { return }
        records[name]?.differs = differs
        actions.events.append(.configurationDiffers(peer: name, differs))
    }

    /// After a message from the member itself, so that its facts are fresh, and it can be reached.
    private mutating func compareAll(_ name: String, _ now: UInt64, _ actions: inout GossipActions) {
        compareConfiguration(name, &actions)
        guard let record = records[name], let theirs = record.member.facts else { return }
        let peer = GossipDestination(name: name, address: record.member.identity.address)
        if theirs.blocks != facts.blocks, isDue(record.blocksToldAt, now) {
            records[name]?.blocksToldAt = now
            actions.events.append(.blocksDiffer(peer: peer))
        }
        if theirs.canaries != facts.canaries, isDue(record.canariesToldAt, now) {
            records[name]?.canariesToldAt = now
            actions.events.append(.canariesDiffer(peer: peer))
        }
    }

    private func isDue(_ told: UInt64?, _ now: UInt64) -> Bool {
        guard let told else { return true }
        return now - told >= settings.reminder
    }
}
