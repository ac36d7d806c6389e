// SPDX-License-Identifier: Apache-2.0

// How messages are made, and those that are sent for what they carry.

extension GossipMachine {
    // MARK: Messages

    mutating func send(
        _ kind: GossipMessage.Kind, to member: Member, target: NodeIdentity? = nil, farewell: Farewell? = nil,
        purpose: Pending.Purpose, _ actions: inout GossipActions
    ) {
        let destination = GossipDestination(name: member.identity.name, address: member.identity.address)
        send(
            kind, to: destination, target: target, farewell: farewell, purpose: purpose,
            timing(member.identity).patience, &actions)
    }

    mutating func send(
        _ kind: GossipMessage.Kind, to destination: GossipDestination, target: NodeIdentity? = nil,
        farewell: Farewell? = nil, purpose: Pending.Purpose, _ timeout: UInt64, _ actions: inout GossipActions
    ) {
        lastTicket += 1
        lastSequence = min(lastSequence + 1, GossipBounds.highestNumber)
        pending[lastTicket] = Pending(
            purpose: purpose, kind: kind, sequence: lastSequence, incarnation: identity.incarnation,
            destination: destination)
        var message = message(kind, to: destination.name, sequence: lastSequence, target: target)
        message.farewell = farewell
        actions.sends.append(
            GossipSend(ticket: lastTicket, destination: destination, message: message, timeout: timeout))
    }

    /// - Parameter isNotice: informs the receiver of what is known of it, although nothing is held against it.
    mutating func message(
        _ kind: GossipMessage.Kind, to receiver: String?, sequence: UInt64, target: NodeIdentity? = nil,
        isNotice: Bool = false
    ) -> GossipMessage {
        var updates: [MemberUpdate] = []
        var room = kind == .exchange ? Self.exchangeBytes : Self.newsBytes
        if let record = receiver.flatMap({ records[$0] }), isNotice || record.member.liveness != .alive {
            updates.append(Self.update(record, accuser: record.suspicion?.accusers.first, carriesFacts: false))
        }
        if let record = target.flatMap({ records[$0.name] }), record.member.liveness != .alive {
            updates.append(Self.update(record, accuser: record.suspicion?.accusers.first, carriesFacts: false))
        }
        if kind == .exchange {
            addPage(to: &updates, receiver: receiver, room: &room)
        } else {
            addNews(to: &updates, receiver: receiver, target: target?.name, room: &room)
        }
        return GossipMessage(
            kind: kind, sender: identity, receiver: receiver, sequence: sequence, target: target, facts: facts,
            updates: updates)
    }

    /// What third nodes' facts may take in a message.
    static let newsBytes = 6_000
    static let exchangeBytes = 120_000

    private static func update(_ record: MemberRecord, accuser: String?, carriesFacts: Bool) -> MemberUpdate {
        let liveness = record.member.liveness
        let hasAccuser = liveness == .suspect || liveness == .dead
        // Facts of an earlier incarnation would be taken for ones of this.
        let isCurrent = record.factsIncarnation == record.member.identity.incarnation
        return MemberUpdate(
            identity: record.member.identity, liveness: liveness, accuser: hasAccuser ? accuser : nil,
            facts: carriesFacts && isCurrent ? record.member.facts : nil,
            farewell: liveness == .left ? record.farewell : nil, forgotten: record.member.forgotten)
    }

    private mutating func addNews(
        to updates: inout [MemberUpdate], receiver: String?, target: String?, room: inout Int
    ) {
        var left = room
        let repeats = settings.repeats * Logarithm.digits(liveCount)
        let records = records
        updates += news.take(GossipMessage.mostUpdates - updates.count, repeats: repeats) { item, carriesFacts in
            guard item.name != receiver, item.name != target, let record = records[item.name] else { return nil }
            if let farewell = record.farewell, record.member.liveness == .left {
                guard farewell.weight <= left else { return nil }
                left -= farewell.weight
                return Self.update(record, accuser: nil, carriesFacts: false)
            }
            // What no message has room for is left to exchanges.
            guard carriesFacts, let weight = record.member.facts?.weight, weight <= Self.newsBytes else {
                return Self.update(record, accuser: item.accuser, carriesFacts: false)
            }
            guard weight <= left else { return nil }
            left -= weight
            return Self.update(record, accuser: item.accuser, carriesFacts: true)
        }
        room = left
    }

    /// The next members in turn: all of them in most clusters.
    private mutating func addPage(to updates: inout [MemberUpdate], receiver: String?, room: inout Int) {
        for _ in names.indices {
            guard updates.count < GossipMessage.mostExchanged, room > 0 else { return }
            exchangeCursor = exchangeCursor < names.count ? exchangeCursor : 0
            guard names.indices.contains(exchangeCursor) else { return }
            let name = names[exchangeCursor]
            exchangeCursor += 1
            guard name != receiver, let record = records[name] else { continue }
            // Of the dead only those speak who have known them: newcomers would pass them on to newcomers for ever.
            guard
                record.member.isLive || record.member.lastReceived != nil || record.farewell != nil
                    || record.member.forgotten != nil
            else { continue }
            room -= 200 + (record.member.facts?.weight ?? 0) + (record.farewell?.weight ?? 0)
            updates.append(Self.update(record, accuser: record.suspicion?.accusers.first, carriesFacts: true))
        }
    }

    // MARK: Whom

    /// So many different live members, at random.
    mutating func randomLive(
        _ count: Int, except excluded: Set<String>, where isFit: (Member) -> Bool = { _ in true }
    ) -> [String] {
        guard count > 0, !names.isEmpty else { return [] }
        var chosen: [String] = []
        // A few throws mostly suffice; otherwise everybody is looked at, from a random position on.
        for _ in 0..<(3 * count) where chosen.count < count {
            let name = names[dice.below(names.count)]
            if isChoice(name, excluded, chosen, isFit) { chosen.append(name) }
        }
        let start = dice.below(names.count)
        var offset = 0
        while chosen.count < count, offset < names.count {
            let name = names[(start + offset) % names.count]
            if isChoice(name, excluded, chosen, isFit) { chosen.append(name) }
            offset += 1
        }
        return chosen
    }

    private func isChoice(
        _ name: String, _ excluded: Set<String>, _ chosen: [String], _ isFit: (Member) -> Bool
    ) -> Bool {
        guard !excluded.contains(name), !chosen.contains(name), let member = records[name]?.member else { return false }
        return member.isLive && isFit(member)
    }

    // MARK: Couriers

    /// There is something that should not wait for the next probe.
    mutating func callCouriers(_ now: UInt64) {
        guard courierDue == nil else { return }
        courierDue = max(now, (lastCourier ?? 0) + (lastCourier == nil ? 0 : settings.courierGap))
    }

    mutating func sendCouriers(_ now: UInt64, _ actions: inout GossipActions) {
        guard let due = courierDue, now >= due else { return }
        courierDue = nil
        lastCourier = now
        for name in randomLive(settings.couriers, except: []) {
            guard let member = records[name]?.member else { continue }
            counters.couriers += 1
            send(.ping, to: member, purpose: .courier, &actions)
        }
    }

    // MARK: Exchanges

    mutating func exchange(_ now: UInt64, _ actions: inout GossipActions) {
        guard now >= exchangeDue, liveMembers > 0 else { return }
        exchangeDue = now + exchangeWait * 4 / 5 + dice.below(exchangeWait * 2 / 5)
        exchangeWait = min(2 * exchangeWait, max(settings.exchangeInterval, Self.firstExchangeWait))
        let wanted = exchangePartner.flatMap { records[$0]?.member.isLive == true ? $0 : nil }
        exchangePartner = nil
        guard let name = wanted ?? randomLive(1, except: []).first, let member = records[name]?.member else { return }
        counters.exchanges += 1
        send(.exchange, to: member, purpose: .exchange, &actions)
    }

    /// A newcomer in a large cluster asks for page after page, as long as they hold somebody unknown.
    mutating func continueExchange(with name: String, hasLearnt: Bool, _ now: UInt64) {
        guard hasLearnt, joinExchanges < Self.mostJoinExchanges else {
            joinExchanges = 0
            return
        }
        joinExchanges += 1
        exchangePartner = name
        exchangeDue = min(exchangeDue, now + 50 * ms)
    }

    static let mostJoinExchanges = 64
    /// A newcomer exchanges often at first: it has not received the news of those who came just before it.
    static let firstExchangeWait: UInt64 = 1_000 * ms

    // MARK: Seeds

    /// The addresses of all seeds, as their names resolve now. Those that are no live member's are contacted.
    package mutating func discovered(addresses: [String], now: UInt64) -> GossipActions {
        var actions = GossipActions()
        let now = begin(now)
        let valid = addresses.prefix(Self.mostSeeds).filter(GossipBounds.isAddress)
        let hasNew = !Set(valid).subtracting(seeds).isEmpty
        seeds = Array(valid)
        if hasNew { contactDue = min(contactDue, now) }
        work(now, &actions)
        return actions
    }

    static let mostSeeds = 256
    static let contactsAtOnce = 3

    mutating func contactSeeds(_ now: UInt64, _ actions: inout GossipActions) {
        guard now >= contactDue else { return }
        contactDue = now + (liveMembers == 0 ? 1_000 * ms : settings.seedInterval)
        let candidates = contacts()
        guard !candidates.isEmpty else { return }
        for offset in 0..<min(Self.contactsAtOnce, candidates.count) {
            let address = candidates[(contactCursor + offset) % candidates.count]
            let destination = GossipDestination(name: nil, address: address)
            counters.exchanges += 1
            send(.exchange, to: destination, purpose: .contact, settings.wan.patience, &actions)
        }
        contactCursor = (contactCursor + Self.contactsAtOnce) % candidates.count
    }

    /// Seeds and earlier peers that are nobody's address who lives.
    private func contacts() -> [String] {
        var taken: Set<String> = [identity.address]
        for record in records.values where record.member.isLive { taken.insert(record.member.identity.address) }
        var found: [String] = []
        for address in seeds + remembered.map(\.address) where !taken.contains(address) {
            taken.insert(address)
            if let owner = owners[address], owner == identity.name || records[owner]?.member.isLive == true { continue }
            found.append(address)
        }
        return found
    }
}
