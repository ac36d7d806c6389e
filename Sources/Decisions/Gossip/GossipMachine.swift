// SPDX-License-Identifier: Apache-2.0
import Chance

/// Who is in the cluster, who lives, and what they say of themselves: SWIM (Das, Gupta, Motivala: "SWIM: Scalable
/// Weakly-consistent Infection-style Process Group Membership Protocol", DSN 2002) with the extensions of Lifeguard
/// (Dadgar, Phillips, Currey: "Lifeguard: Local Health Awareness for More Accurate Failure Detection", arXiv 1707.00788).
///
/// No clock, no socket, no chance of its own: time is nanoseconds of a monotonic clock, everything to be done comes back
/// as `GossipActions`, and the seed decides all choices. Whatever a peer sends, it neither traps nor grows without bound.
package struct GossipMachine: Sendable {
    let settings: GossipSettings
    let startedAt: UInt64
    package internal(set) var identity: NodeIdentity
    package internal(set) var facts: NodeFacts
    package internal(set) var hasLeft = false
    package internal(set) var counters = GossipCounters()
    /// Counts what changes who can be asked for what: members and their liveness, and what they and this node say of
    /// themselves, counters aside.
    package internal(set) var edition: UInt64 = 0

    var dice: RandomChoice
    /// When anything last called this machine.
    var lastCall: UInt64
    var records: [String: MemberRecord] = [:]
    /// All names in one order, for taking turns.
    var names: [String] = []
    var liveMembers = 0
    /// Names under suspicion, and of the dead.
    var suspects: Set<String> = []
    var dead: Set<String> = []
    var news = NewsQueue()

    var lanRotation: ProbeRotation
    var wanRotation: ProbeRotation
    var probes: [String: Probe] = [:]
    var lastProbe: UInt64 = 0
    var pending: [UInt64: Pending] = [:]
    var lastTicket: UInt64 = 0
    var lastSequence: UInt64 = 0
    var relays: [UInt64: Relay] = [:]

    var exchangeDue: UInt64
    /// Until the exchange after the next; grows to what the settings say.
    var exchangeWait = GossipMachine.firstExchangeWait
    /// Whom to exchange with next; a random one where it is `nil`.
    var exchangePartner: String?
    /// Exchanges in a row, each of which brought somebody unknown.
    var joinExchanges = 0
    var exchangeCursor = 0
    var courierDue: UInt64?
    var lastCourier: UInt64?
    var revivalDue: UInt64
    /// Nodes of which others report what they have not said here themselves, where they are said to be, in their order.
    var strangers: [NodeIdentity] = []
    var introductionDue: UInt64
    var cleaningDue: UInt64

    var seeds: [String] = []
    /// By name, what nodes that are no members at the moment have reported of the changes of their block lists.
    var pastChanges: [String: UInt64]
    /// Peers of earlier runs.
    let remembered: [NodeIdentity]
    var contactDue: UInt64
    var contactCursor = 0
    /// Whose an address has turned out to be; our own name, where it is ours.
    var owners: [String: String] = [:]

    /// This node's life has been claimed at a higher incarnation once: it has forgotten an earlier one.
    var hasReclaimed = false
    var twinReportedAt: UInt64?
    /// Another node that bears our name, and when it was last met.
    var ownTwin: (address: String, at: UInt64)?
    var replayRaisedAt: UInt64?

    /// - Parameters:
    ///   - identity: with an incarnation above that of the last run (stored + 1; Unix seconds where nothing is stored).
    ///   - remembered: peers that have spoken to this node in earlier runs, and have not left. Held for dead until they
    ///     speak again; contacted at once.
    ///   - changes: by name, what nodes have reported in earlier runs of the changes of their block lists.
    ///   - forgotten: nodes that an operator has ordered to forget, and that have not spoken since.
    ///   - now: nanoseconds of the monotonic clock, as everywhere.
    package init(
        identity: NodeIdentity, settings: GossipSettings = GossipSettings(), facts: NodeFacts,
        remembered: [NodeIdentity] = [], changes: [String: UInt64] = [:],
        forgotten: [(node: NodeIdentity, order: ForgetNodeOrder)] = [], seed: UInt64, now: UInt64
    ) {
        self.identity = identity
        self.identity.incarnation = min(identity.incarnation, GossipBounds.highestNumber)
        self.settings = settings
        self.facts = facts.bounded
        self.facts.revision = max(self.facts.revision, 1)
        self.remembered = remembered.filter { $0.name != identity.name && $0.isWithinBounds }
        pastChanges = Dictionary(
            uniqueKeysWithValues: changes.filter { GossipBounds.isName($0.key) }.prefix(GossipBounds.mostMembers).map {
                $0
            })
        dice = RandomChoice(seed: seed)
        startedAt = now
        lastCall = now
        lanRotation = ProbeRotation(due: now + dice.below(settings.lan.longestInterval))
        wanRotation = ProbeRotation(due: now + dice.below(settings.wan.longestInterval))
        exchangeDue = now + dice.below(Self.firstExchangeWait)
        // Those of earlier runs are contacted by their addresses first.
        revivalDue = now + settings.revivalInterval
        introductionDue = now
        cleaningDue = now + Self.cleaningInterval
        contactDue = now
        // An order takes a peer out of what is remembered. Where both are there, the order came last.
        for (node, order) in forgotten.prefix(GossipBounds.mostMembers) where records[node.name] == nil {
            guard node.name != identity.name, node.isWithinBounds, order.isWithinBounds else { continue }
            remember(node, .left, now)
            records[node.name]?.member.forgotten = order
        }
        for peer in self.remembered where records.count < GossipBounds.mostMembers && records[peer.name] == nil {
            remember(peer, .dead, now)
            records[peer.name]?.member.isRemembered = true
        }
    }

    private mutating func remember(_ peer: NodeIdentity, _ liveness: Liveness, _ now: UInt64) {
        records[peer.name] = MemberRecord(peer, liveness, now: now)
        recallChanges(of: peer.name)
        names.append(peer.name)
        if liveness == .dead { dead.insert(peer.name) }
        if peer.site == identity.site {
            lanRotation.insert(peer.name, &dice)
        } else {
            wanRotation.insert(peer.name, &dice)
        }
    }

    static let cleaningInterval: UInt64 = 10_000 * ms
    /// The driver is asked to call at least this often, so that it is noticed when the node sleeps.
    static let longestWait: UInt64 = 250 * ms

    // MARK: Questions

    /// All but this node, by name; also the dead and those who left, until they are forgotten.
    package var members: [Member] { records.values.map(\.member).sorted { $0.identity.name < $1.identity.name } }

    package func member(named name: String) -> Member? { records[name]?.member }

    /// By name, how many changes of their block lists nodes have reported, those among them that have left.
    package var changes: [String: UInt64] {
        records.values.reduce(into: pastChanges) { changes, record in
            if let count = record.member.blockChanges { changes[record.name] = count.highest }
        }
    }

    mutating func recallChanges(of name: String) {
        records[name]?.member.blockChanges = pastChanges.removeValue(forKey: name).map(ChangeCount.init)
    }

    /// Alive or only suspected, and this node.
    package var liveCount: Int { liveMembers + 1 }

    /// When `tick` is due at the latest, nanoseconds.
    package var nextDue: UInt64 {
        var due = lastCall + Self.longestWait
        for relay in relays.values { due = min(due, relay.nackAt) }
        if let courierDue { due = min(due, courierDue) }
        guard !hasLeft else { return due }
        if !lanRotation.names.isEmpty { due = min(due, lanRotation.due) }
        if !wanRotation.names.isEmpty { due = min(due, wanRotation.due) }
        if liveMembers > 0 { due = min(due, exchangeDue) }
        if !dead.isEmpty { due = min(due, revivalDue) }
        if !strangers.isEmpty { due = min(due, introductionDue) }
        for probe in probes.values { due = min(due, probe.hasAskedForHelp ? probe.endsAt : probe.helpAt) }
        // One that is overdue waits for its probe.
        for name in suspects {
            if let deadline = suspicionDeadline(name), deadline > lastCall || probes[name] == nil {
                due = min(due, deadline)
            }
        }
        return min(due, contactDue)
    }

    // MARK: Time

    /// Does what is due.
    package mutating func tick(now: UInt64) -> GossipActions {
        var actions = GossipActions()
        let now = begin(now)
        work(now, &actions)
        return actions
    }

    /// Each event first says what time it is. A gap means that this node slept (a suspended machine, a starved
    /// process): what it did not receive meanwhile says nothing of others (Lifeguard, section III).
    mutating func begin(_ now: UInt64) -> UInt64 {
        let now = max(now, lastCall)
        let gap = now - lastCall
        lastCall = now
        guard gap > settings.pause else { return now }
        counters.pauses += 1
        worsenHealth()
        probes = [:]
        for name in suspects { records[name]?.suspicion?.startedAt = now }
        return now
    }

    mutating func work(_ now: UInt64, _ actions: inout GossipActions) {
        endRelays(now, &actions)
        if !hasLeft {
            advanceProbes(now, &actions)
            judgeSuspects(now, &actions)
            startProbes(now, &actions)
            contactDead(now, &actions)
            contactStrangers(now, &actions)
            exchange(now, &actions)
            contactSeeds(now, &actions)
            clean(now)
        }
        sendCouriers(now, &actions)
    }

    // MARK: Orders

    /// What this node says of itself. Call it as often as there is something new; counters alone make no news.
    package mutating func setFacts(_ new: NodeFacts, now: UInt64) -> GossipActions {
        var actions = GossipActions()
        let now = begin(now)
        noteTwin()
        var new = new.bounded
        new.revision = facts.revision
        new.twinAddress = facts.twinAddress
        new.unreached = facts.unreached
        guard new != facts else { return actions }
        let isNews = new.isNews(after: facts)
        let isOtherConfiguration = new.configuration != facts.configuration
        new.revision = min(facts.revision + 1, GossipBounds.highestNumber)
        facts = new
        if isOtherConfiguration {
            for name in names { compareConfiguration(name, &actions) }
        }
        if isNews {
            edition &+= 1
            callCouriers(now)
        }
        work(now, &actions)
        return actions
    }

    /// Says goodbye: the last thing that a node does, when it has answered its last request. From then on it answers
    /// peers, and asks nobody.
    ///
    /// - Parameter farewell: signed by the driver, for this identity; `nil` where it cannot sign. Then only those who
    ///   receive it from this node itself believe it.
    package mutating func leave(farewell: Farewell?, now: UInt64) -> GossipActions {
        var actions = GossipActions()
        _ = begin(now)
        guard !hasLeft else { return actions }
        hasLeft = true
        probes = [:]
        let farewell = farewell.flatMap {
            $0.name == identity.name && $0.incarnation == identity.incarnation ? $0 : nil
        }
        for name in randomLive(Self.mostFarewells, except: []) {
            guard let member = records[name]?.member else { continue }
            send(.leave, to: member, farewell: farewell, purpose: .courier, &actions)
        }
        return actions
    }

    /// An operator orders that a node be counted on no longer.
    package mutating func forget(
        _ name: String, by order: ForgetNodeOrder, now: UInt64
    ) -> Result<GossipActions, ForgetRefusal> {
        var actions = GossipActions()
        let now = begin(now)
        guard name != identity.name else { return .failure(.isHere) }
        guard let member = records[name]?.member else {
            return .failure(.unknown(known: names.filter { records[$0]?.member.liveness == .dead }.sorted()))
        }
        guard !member.isLive else { return .failure(.isLive) }
        guard member.liveness != .left else { return .failure(.hasLeft) }
        forget(member, by: order, now, &actions)
        work(now, &actions)
        return .success(actions)
    }

    /// Names that two nodes bear, as far as is known here, with an address of one of them.
    package var twins: [String: String] {
        var found: [String: String] = [:]
        if !facts.twinAddress.isEmpty { found[identity.name] = facts.twinAddress }
        for record in records.values {
            if let twin = record.twin, lastCall - twin.at < Self.twinMemory {
                found[record.name] = twin.address
            } else if record.member.isLive, let address = record.member.facts?.twinAddress, !address.isEmpty {
                found[record.name] = address
            }
        }
        return found
    }

    /// Those to whom the leaving node sends it itself; the others receive it from them.
    static let mostFarewells = 16
}
