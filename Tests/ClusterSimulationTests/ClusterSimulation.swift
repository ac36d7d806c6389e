// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import Gossip
import VirtualTime

/// What a deliberately broken driver does wrong. Shows that the checker meant for it can fail.
enum ClusterSabotage: CaseIterable {
    /// Answers from one node get lost, and its own messages: everybody thinks it dead, although it is well.
    case silencesNodeZero
    /// Raised incarnations are not stored, although the node says that they are.
    case forgetsIncarnations
    /// Nobody learns of a partition's end.
    case neverHeals
    /// Block lists are not exchanged.
    case ignoresBlocks
    /// A block list that comes in replaces the own one.
    case overwritesBlocks
    /// The machine is called every five seconds only.
    case sleepsThroughTicks
}

/// Machines, drivers, network and clocks in virtual time. Everything that happens follows from the scenario.
struct ClusterSimulation {
    let scenario: ClusterScenario
    let sabotage: ClusterSabotage?
    let settings: GossipSettings
    var dice: RandomChoice
    var network = SimulatedNetwork()
    var nodes: [SimulatedNode] = []
    var indices: [String: Int] = [:]
    var queue = EventQueue<ClusterEvent>()
    var now = ClusterScenario.start
    var check = ClusterChecks()
    var lastIncoming: UInt64 = 0
    var incoming: [UInt64: Flight] = [:]
    /// Bytes of messages, by JSON; `nil` when they are not counted.
    var meter: MessageMeter?
    /// Printed, where somebody wants to see it.
    var isPrinting = false

    init(
        _ scenario: ClusterScenario, settings: GossipSettings = GossipSettings(), sabotage: ClusterSabotage? = nil,
        isPrinting: Bool = false
    ) {
        self.scenario = scenario
        self.sabotage = sabotage
        self.settings = settings
        self.isPrinting = isPrinting
        dice = RandomChoice(seed: scenario.seed &* 0x9E37_79B9 &+ 1)
        network.loss = scenario.loss
        network.stragglers = scenario.stragglers
        for _ in 0..<scenario.nodes { addNode() }
        if scenario.isSettled { introduceAll() }
        for index in scenario.faults.indices {
            queue.add(.fault(index), at: ClusterScenario.start + scenario.faults[index].at)
        }
    }

    @discardableResult
    mutating func addNode() -> Int {
        let index = nodes.count
        let node = SimulatedNode(
            index: index, site: "site-\(index % scenario.sites)", settings: settings, seed: dice.next(), now: now)
        nodes.append(node)
        indices[node.address] = index
        discoverSeeds(index)
        return index
    }

    mutating func discoverSeeds(_ index: Int) {
        let seeds = nodes.prefix(3).map(\.address)
        step(index) { $0.discovered(addresses: seeds, now: $1) }
    }

    /// Runs to the end, and looks whether all agree.
    mutating func run() {
        advance(to: ClusterScenario.start + scenario.calmFrom + scenario.recovery)
        if check.violations.isEmpty { checkConvergence() }
    }

    /// Goes on to a time, or until `isOver` says so.
    mutating func advance(to end: UInt64, until isOver: (borrowing ClusterSimulation) -> Bool = { _ in false }) {
        while check.violations.isEmpty, let (at, event) = queue.next(until: end) {
            now = at
            handle(event)
            if isOver(self) { return }
        }
        now = max(now, end)
    }

    mutating func handle(_ event: ClusterEvent) {
        switch event {
        case .tick(let node, let life, let number):
            guard nodes[node].life == life, nodes[node].tickNumber == number else { return }
            nodes[node].nextTick = .max
            if nodes[node].state == .frozen { return nodes[node].inbox.append(event) }
            step(node) { $0.tick(now: $1) }
        case .request(let flight, let message): arrive(flight, message)
        case .answer(let flight, let message): comeBack(flight, message)
        case .failure(let flight): giveUp(flight)
        case .blocks(let from, let to, let list, let isAnswer):
            takeBlocks(from: from, to: to, list, isAnswer: isAnswer, event)
        case .fault(let index): begin(scenario.faults[index].fault, index)
        case .faultEnds(let index): end(scenario.faults[index].fault)
        case .watch: break
        }
    }

    // MARK: One node's machine

    mutating func step(_ index: Int, _ event: (inout GossipMachine, UInt64) -> GossipActions) {
        guard nodes[index].isUp || nodes[index].state == .left else { return }
        let actions = event(&nodes[index].machine, now &+ nodes[index].clock)
        perform(actions, of: index)
        takeListForWhole(index)
    }

    /// A node that has lost its list has merged with its peers.
    private mutating func takeListForWhole(_ index: Int) {
        guard nodes[index].isUp, let join = nodes[index].join else { return }
        let members = nodes[index].machine.members.filter { $0.liveness != .left }.map(\.identity.name)
        guard join.isWhole(members: members, now: now) else { return }
        nodes[index].join = nil
        nodes[index].blocks.confirm()
        sendBlocks(index)
    }

    mutating func perform(_ actions: GossipActions, of index: Int) {
        for event in actions.events { note(event, of: index) }
        for send in actions.sends { self.send(send, from: index) }
        for reply in actions.replies { answer(reply, from: index) }
        schedule(index)
    }

    private mutating func schedule(_ index: Int) {
        guard nodes[index].isUp else { return }
        let due = nodes[index].machine.nextDue &- nodes[index].clock
        let wanted = sabotage == .sleepsThroughTicks ? now + 5 * second : max(due, now + millisecond)
        guard wanted < nodes[index].nextTick else { return }
        nodes[index].nextTick = wanted
        nodes[index].tickNumber += 1
        queue.add(.tick(node: index, life: nodes[index].life, number: nodes[index].tickNumber), at: wanted)
    }

    private mutating func note(_ event: GossipEvent, of index: Int) {
        if isPrinting { print("\((now - ClusterScenario.start) / millisecond) ms \(nodes[index].name): \(event)") }
        switch event {
        case .changed(let member, let from, _):
            guard let subject = indices[member.identity.address] else { return }
            check.note(member.liveness, from: from, of: subject, by: index, at: now)
            if member.liveness == .dead { checkDeath(of: subject, by: index) }
        case .refuted(let incarnation, _):
            if sabotage != .forgetsIncarnations { nodes[index].storedIncarnation = incarnation }
            checkRefutation(of: index, incarnation)
        case .blocksDiffer(let peer):
            guard sabotage != .ignoresBlocks, let to = indices[peer.address] else { return }
            carryBlocks(from: index, to: to, isAnswer: false)
        case .twin: check.twins += 1
        case .introduced, .unreached, .canariesDiffer, .configurationDiffers, .restored, .counted: break
        }
    }

    // MARK: Block lists

    private mutating func carryBlocks(from: Int, to: Int, isAnswer: Bool) {
        let isFar = nodes[from].site != nodes[to].site
        guard network.passes(from: from, to: to), network.passes(from: to, to: from) else { return }
        let delay = network.leg(isFar, &dice)
        queue.add(.blocks(from: from, to: to, nodes[from].blocks, isAnswer: isAnswer), at: now + delay)
    }

    private mutating func takeBlocks(from: Int, to: Int, _ list: BlockList, isAnswer: Bool, _ event: ClusterEvent) {
        guard nodes[to].isUp else {
            if nodes[to].state == .frozen { nodes[to].inbox.append(event) }
            return
        }
        if sabotage == .overwritesBlocks { nodes[to].blocks = list } else { nodes[to].blocks.merge(list, now: 2) }
        let sender = nodes[from].name
        nodes[to].join?.answered(sender, isKnown: list.knowledge == .known, now: now)
        sendBlocks(to)
        if !isAnswer { carryBlocks(from: to, to: from, isAnswer: true) }
    }

    mutating func sendBlocks(_ index: Int) {
        var facts = nodes[index].machine.facts
        facts.blocks = nodes[index].blocks.digest
        step(index) { $0.setFacts(facts, now: $1) }
    }
}
