// SPDX-License-Identifier: Apache-2.0

// Who is asked whether it lives, and what follows when it does not answer.

extension GossipMachine {
    func timing(_ other: NodeIdentity) -> GossipTiming { other.site == identity.site ? settings.lan : settings.wan }

    /// Lifeguard, section IV-A: a node that is not well itself takes more time to judge others.
    func scaled(_ time: UInt64) -> UInt64 { time * (UInt64(counters.healthScore) + 1) }

    mutating func worsenHealth() {
        counters.healthScore = min(counters.healthScore + 1, settings.mostHealthScore)
    }

    mutating func betterHealth() { counters.healthScore -= counters.healthScore > 0 ? 1 : 0 }

    /// How many others could confirm a suspicion: neither the suspect nor the first accuser.
    var neededConfirmations: Int { max(0, min(settings.confirmations, liveCount - 2)) }

    func suspicionDeadline(_ name: String) -> UInt64? {
        guard let record = records[name] else { return nil }
        return record.suspicion?.deadline(
            timing: timing(record.member.identity), nodes: liveCount, needed: neededConfirmations)
    }

    // MARK: Probes

    mutating func startProbes(_ now: UInt64, _ actions: inout GossipActions) {
        let (records, probes) = (records, probes)
        let isFit = { (name: String) in probes[name] == nil && records[name]?.member.isLive == true }
        if now >= lanRotation.due {
            lanRotation.due = now + scaled(settings.lan.interval(targets: lanRotation.names.count))
            if let name = lanRotation.draw(&dice, isFit: isFit) { probe(name, now, &actions) }
        }
        if now >= wanRotation.due {
            wanRotation.due = now + scaled(settings.wan.interval(targets: wanRotation.names.count))
            if let name = wanRotation.draw(&dice, isFit: isFit) { probe(name, now, &actions) }
        }
    }

    mutating func probe(_ name: String, _ now: UInt64, _ actions: inout GossipActions) {
        guard !hasLeft, probes[name] == nil, let member = records[name]?.member, member.isLive else { return }
        let timing = timing(member.identity)
        lastProbe += 1
        counters.probes += 1
        probes[name] = Probe(
            number: lastProbe, startedAt: now, helpAt: now + scaled(timing.pingTimeout),
            endsAt: now + scaled(timing.probeTimeout))
        send(.ping, to: member, purpose: .probe(of: name, number: lastProbe), &actions)
    }

    /// An answer came, to us or to one who was asked.
    mutating func passProbe(_ name: String) {
        guard probes.removeValue(forKey: name) != nil else { return }
        betterHealth()
    }

    mutating func advanceProbes(_ now: UInt64, _ actions: inout GossipActions) {
        for (name, probe) in probes.sorted(by: { $0.value.number < $1.value.number }) {
            if !probe.hasAskedForHelp, now >= probe.helpAt || probe.open == 0 { askForHelp(name, now, &actions) }
            guard let present = probes[name], present.hasAskedForHelp, now >= present.endsAt || present.open == 0
            else { continue }
            failProbe(name, now, &actions)
        }
    }

    /// SWIM section 3.1: k others ping for us, in case only our own way is blocked. If our own ping failed at once (a
    /// connection that the other side had closed), it gets a second chance.
    private mutating func askForHelp(_ name: String, _ now: UInt64, _ actions: inout GossipActions) {
        guard var probe = probes[name], let member = records[name]?.member else { return }
        probe.hasAskedForHelp = true
        counters.indirectProbes += 1
        let hasFailed = probe.open == 0
        let isLocal = member.identity.site == identity.site
        for helper in helpers(for: name) {
            guard let other = records[helper]?.member else { continue }
            let isNear = !isLocal || other.identity.site == identity.site
            // Nacks from another site come too late.
            probe.nacksDue += isNear ? 1 : 0
            probe.open += 1
            send(
                .pingRequest, to: other, target: member.identity,
                purpose: .help(of: name, number: probe.number, owesNack: isNear), &actions)
        }
        if hasFailed {
            probe.open += 1
            send(.ping, to: member, purpose: .probe(of: name, number: probe.number), &actions)
        }
        probes[name] = probe
    }

    /// Those of the own site first when the target is of it: they answer in time.
    private mutating func helpers(for name: String) -> [String] {
        guard records[name]?.member.identity.site == identity.site else {
            return randomLive(settings.helpers, except: [name])
        }
        let site = identity.site
        let near = randomLive(settings.helpers, except: [name]) { $0.identity.site == site }
        guard near.count < settings.helpers else { return near }
        return near + randomLive(settings.helpers - near.count, except: Set(near + [name]))
    }

    private mutating func failProbe(_ name: String, _ now: UInt64, _ actions: inout GossipActions) {
        guard let probe = probes.removeValue(forKey: name), let record = records[name] else { return }
        counters.failedProbes += 1
        // Lifeguard, section IV-A: those who were asked and sent no nack speak against ourselves, as does a failure
        // that nobody else can look at.
        let isAlone = liveCount <= 2
        for _ in 0..<max(probe.nacksDue, isAlone ? 1 : 0) { worsenHealth() }
        switch record.member.liveness {
        case .alive where isOneWay(record, now): noteUnreached(name, now, &actions)
        case .alive:
            believe(record.member.identity, .suspect, by: identity.name, now, &actions)
            records[name]?.suspicion?.isFound = true
            remind(name, now, &actions)
        case .suspect:
            records[name]?.suspicion?.isFound = true
            confirm(name, by: identity.name, now)
        case .dead, .left: break
        }
    }

    // MARK: One way only

    /// Whether a member lives that none of our messages reach: it has contradicted what we found before, no ping of ours
    /// has been answered since, and it goes on speaking to us. To suspect it again would make it contradict again, for
    /// ever. When it falls silent it is suspected as everybody is.
    private func isOneWay(_ record: MemberRecord, _ now: UInt64) -> Bool {
        guard record.contradictedAt != nil, let received = record.member.lastReceived else { return false }
        let timing = timing(record.member.identity)
        return now - min(received, now) <= 2 * timing.round + timing.probeTimeout
    }

    private mutating func noteUnreached(_ name: String, _ now: UInt64, _ actions: inout GossipActions) {
        guard records[name]?.member.unreachedSince == nil else { return }
        records[name]?.member.unreachedSince = now
        if let member = records[name]?.member { actions.events.append(.unreached(member, true)) }
        tellUnreached(now)
    }

    /// A ping of ours has been answered, or the member is not live any more.
    mutating func noteReached(_ name: String, _ now: UInt64, _ actions: inout GossipActions) {
        records[name]?.contradictedAt = nil
        guard records[name]?.member.unreachedSince != nil else { return }
        records[name]?.member.unreachedSince = nil
        if let member = records[name]?.member { actions.events.append(.unreached(member, false)) }
        tellUnreached(now)
    }

    /// Who cannot be reached does not notice it by itself: it is told with everything else that this node says of itself.
    private mutating func tellUnreached(_ now: UInt64) {
        let names = records.values.filter { $0.member.unreachedSince != nil }.map(\.name).sorted()
        facts.unreached = names.isEmpty ? nil : Array(names.prefix(NodeFacts.mostUnreached))
        facts.revision = min(facts.revision + 1, GossipBounds.highestNumber)
        edition &+= 1
        callCouriers(now)
    }

    /// One who learns of a suspicion looks for itself, so that there are confirmations; in large clusters only a few
    /// do.
    mutating func verify(_ name: String, _ now: UInt64, _ actions: inout GossipActions) {
        guard dice.below(liveCount) < Self.verifiers else { return }
        probe(name, now, &actions)
    }

    static let verifiers = 8

    // MARK: Suspicions

    mutating func judgeSuspects(_ now: UInt64, _ actions: inout GossipActions) {
        for name in suspects.sorted() {
            guard let record = records[name], let suspicion = record.suspicion,
                let deadline = suspicionDeadline(name)
            else { continue }
            let timing = timing(record.member.identity)
            if now >= deadline {
                if let received = record.member.lastReceived, received > suspicion.startedAt {
                    // It has spoken to us since. What is missing is its word that it knows of the suspicion.
                    records[name]?.suspicion?.startedAt = now
                    remind(name, now, &actions)
                } else if suspicion.isFound {
                    believe(record.member.identity, .dead, by: identity.name, now, &actions)
                } else {
                    // Known from hearsay, as the contradiction would be, which may have been lost on the way: whoever
                    // has not looked looks first. Of a true death it mostly learns before.
                    probe(name, now, &actions)
                }
            } else if suspicion.accusers.contains(identity.name), now - suspicion.remindedAt >= timing.pingTimeout {
                remind(name, now, &actions)
            }
        }
    }

    /// Lifeguard, section IV-C: the suspect is informed first, by every message to it, and by a ping of its own.
    private mutating func remind(_ name: String, _ now: UInt64, _ actions: inout GossipActions) {
        records[name]?.suspicion?.remindedAt = now
        guard let member = records[name]?.member else { return }
        send(.ping, to: member, purpose: .courier, &actions)
    }

    // MARK: Strangers

    /// Whom others have reported is contacted at once, so that it is known from its own word, and not from others, that
    /// it is there and what it can serve. A few at a time: names may have been invented.
    mutating func contactStrangers(_ now: UInt64, _ actions: inout GossipActions) {
        guard !strangers.isEmpty, now >= introductionDue else { return }
        introductionDue = now + Self.introductionGap
        let next = strangers.prefix(Self.introductionsAtOnce)
        strangers.removeFirst(next.count)
        for stranger in next {
            let destination = GossipDestination(name: stranger.name, address: stranger.address)
            send(.ping, to: destination, purpose: .courier, timing(stranger).patience, &actions)
        }
    }

    /// Others report of a node what it has not said here itself: it is asked, where it is said to be.
    mutating func introduce(_ stranger: NodeIdentity, _ now: UInt64) {
        guard let record = records[stranger.name], strangers.count < Self.mostStrangers else { return }
        if let last = record.introducedAt, now - last < Self.introductionRest { return }
        records[stranger.name]?.introducedAt = now
        strangers.append(stranger)
    }

    static let mostStrangers = 1_024
    /// Between two contacts of one member because of what others report it.
    static let introductionRest: UInt64 = 1_000 * ms

    static let introductionGap: UInt64 = 20 * ms
    static let introductionsAtOnce = 4

    // MARK: The dead

    /// They are contacted in turns, each at most once a second, so that the end of a partition is noticed. What is sent
    /// says that they are held for dead; if they live they contradict in their answer.
    mutating func contactDead(_ now: UInt64, _ actions: inout GossipActions) {
        guard now >= revivalDue else { return }
        revivalDue = now + settings.revivalInterval
        guard !dead.isEmpty else { return }
        var chosen: MemberRecord?
        for name in dead {
            guard let record = records[name] else { continue }
            if let best = chosen, (best.contactedAt, best.name) <= (record.contactedAt, name) { continue }
            chosen = record
        }
        guard let chosen, now >= chosen.contactedAt + Self.revivalGap else { return }
        records[chosen.name]?.contactedAt = now
        send(.ping, to: chosen.member, purpose: .courier, &actions)
    }

    static let revivalGap: UInt64 = 1_000 * ms

    /// Forgets those who are gone for long.
    mutating func clean(_ now: UInt64) {
        guard now >= cleaningDue else { return }
        cleaningDue = now + Self.cleaningInterval
        let gone = records.values.filter {
            switch $0.member.liveness {
            // Whom this node knows from its own word is waited for by orders, until it has left or is forgotten.
            case .dead: !$0.member.isAwaited && now - $0.member.since >= settings.deadKept
            case .left:
                now - $0.member.since >= ($0.member.forgotten == nil ? settings.leftKept : settings.forgottenKept)
            case .alive, .suspect: false
            }
        }
        for record in gone {
            let name = record.name
            records[name] = nil
            if let count = record.member.blockChanges, pastChanges.count < GossipBounds.mostMembers {
                pastChanges[name] = count.highest
            }
            dead.remove(name)
            names.removeAll { $0 == name }
            lanRotation.remove(name)
            wanRotation.remove(name)
            news.forget(name, accusers: [])
        }
        let asked = Set(seeds + remembered.map(\.address))
        owners = owners.filter { asked.contains($0.key) && ($0.value == identity.name || records[$0.value] != nil) }
    }
}
