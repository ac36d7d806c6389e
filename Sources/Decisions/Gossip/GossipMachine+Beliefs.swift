// SPDX-License-Identifier: Apache-2.0

// What is believed: of two beliefs the one of the higher incarnation holds, and of one incarnation alive < suspect < dead
// < left (SWIM section 4.2). Only a node itself raises its incarnation.

extension GossipMachine {
    /// Somebody unknown. Returns false when there is no room.
    mutating func insert(
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
        if liveness.rank > Liveness.suspect.rank { noteReached(name, now, &actions) }
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
        // A node that comes back was cut off, or is new: either way there is much to exchange.
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
}
