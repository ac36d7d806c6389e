// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip
import HSMPool
import KeyProof
import LaneProtocol
import Routing
import SecureMemory
import SigV4
import XKSProtocol
import XKSService

/// A whole node: the service, the pool's state, the key proof, gossip and the block list of the product, with sockets, disk
/// and clock of the simulation. What `HSMPool`, `GossipDriver`, `NodeNeighbours`, `Forwarder`, `BlockBook` and `NodeStore` do
/// between them is done here by the same calls.
final class SimulatedNode: @unchecked Sendable {
    static let prefix = "/sim"
    static let deadline: UInt64 = 200_000_000

    unowned let world: World
    let index: Int
    let name: String
    let site: String
    let tokens: [SimulatedToken]
    /// Added to the simulation's time, the monotonic clock of the node's host, nanoseconds.
    let offset: UInt64
    /// The wall clock is wrong by this, seconds.
    var clockError: Int64 = 0
    let store: SimulatedStore

    // MARK: The process

    private(set) var isUp = false
    private(set) var life = 0
    private(set) var startedAt: UInt64 = 0
    /// This life began without canaries: keys are at first sight, and peers are to be heard before one is decided on.
    private(set) var beganWithoutCanaries = false
    private(set) var isFrozen = false
    private(set) var thawedAt: UInt64 = 0
    private var postponed: [(SimulatedNode) -> Void] = []

    var pool: PoolState
    var gossip: GossipMachine
    private(set) var service: XKSService?
    var workers: [Int: SimulatedWorker] = [:]
    var register = BlockRegister(isClustered: true)
    var proofs = NodeProofs()
    /// Orders that are not on the disk yet.
    var unconfirmed: [(receipt: BlockRegister.Receipt, confirmed: () -> Void)] = []
    var bootstrapAt: UInt64?
    var exchanges = NodeExchanges()
    var shares = SurplusShares()
    var known = ProofCluster()
    var gossipTick = 0
    var factsDue: UInt64 = 0
    var isFactsArranged = false
    /// Peers that wait for the answer to a message of theirs, by ticket.
    var replies: [UInt64: (GossipMessage?) -> Void] = [:]
    var lastReply: UInt64 = 0
    private var lastOutput: KeyOperationOutput?
    private var choiceKept: (choice: ForwardingChoice, edition: UInt64, at: UInt64)?

    init(world: World, index: Int, site: String, tokens: [SimulatedToken]) {
        self.world = world
        self.index = index
        self.site = site
        self.tokens = tokens
        name = "node-\(index)"
        offset = UInt64(index + 1) * 1_000_000_000_000
        store = SimulatedStore(world: world)
        pool = Self.emptyPool(world, [], now: 0)
        gossip = GossipMachine(
            identity: NodeIdentity(name: name, address: "", site: site, incarnation: 1), facts: NodeFacts(), seed: 1,
            now: 0)
    }

    /// Whom a request may be passed on to: looked at anew when somebody says something new, and after a while.
    var choice: ForwardingChoice {
        if let kept = choiceKept, kept.edition == gossip.edition, world.now < kept.at + 50_000_000 {
            return kept.choice
        }
        let choice = ForwardingChoice(
            members: gossip.members, node: name, site: site, configuration: gossip.facts.configuration)
        choiceKept = (choice, gossip.edition, world.now)
        return choice
    }

    var address: String { "\(name):7443" }
    /// CLOCK_MONOTONIC.
    var now: UInt64 { world.now + offset }
    /// Unix seconds.
    var wall: Int64 { world.wall + clockError }

    /// Does something on this node's threads: never in another life, and after it has gone on where it stands still.
    func schedule(at time: UInt64, _ work: @escaping (SimulatedNode) -> Void) {
        let mine = life
        world.at(time) { [weak self] in
            guard let self, self.isUp, self.life == mine else { return }
            if self.isFrozen { self.postponed.append(work) } else { work(self) }
        }
    }

    func every(_ interval: UInt64, _ work: @escaping (SimulatedNode) -> Void) {
        schedule(at: world.now + interval) {
            work($0)
            $0.every(interval, work)
        }
    }

    // MARK: Its life

    func start() {
        life += 1
        (isUp, isFrozen, postponed, startedAt) = (true, false, [], world.now)
        let disk = store.seen
        let members = tokens.map { token in
            PoolMember(
                worker: WorkerConfiguration(
                    name: token.name, module: "/simulation.so", token: .label(token.name), pin: nil,
                    lanes: UInt16(world.lanes),
                    catalogueInterval: UInt32(world.catalogueInterval / 1_000_000),
                    probeInterval: UInt32(world.probeInterval / 1_000_000)),
                environment: [:], traits: HSMTraits(stuckAfter: 2_000_000_000), offered: world.keyStore.offered)
        }
        (register, proofs, unconfirmed) = (BlockRegister(isClustered: world.plan.isClustered), NodeProofs(), [])
        if store.state == .open { open(disk) } else { begin(withoutOpening: disk) }
        beganWithoutCanaries = proofs.canaries.isEmpty
        pool = Self.emptyPool(world, members, proofs, now: now, wall: wall)
        workers = [:]
        exchanges = NodeExchanges()
        shares = SurplusShares()
        known = ProofCluster()
        (factsDue, isFactsArranged, replies) = (0, false, [:])
        (choiceKept, lastOutput) = (nil, nil)
        let incarnation = disk.incarnation.map { $0 + 1 } ?? UInt64(clamping: wall)
        store.write { $0.incarnation = incarnation }
        gossip = GossipMachine(
            identity: NodeIdentity(name: name, address: address, site: site, incarnation: incarnation),
            facts: facts(), remembered: disk.peers, changes: disk.changes, seed: world.random.next(), now: now)
        service = world.makeService(for: self)
        knowCluster()
        for hsm in pool.positions { startWorker(hsm, after: 0) }
        every(500_000_000) { $0.look() }
        every(1_000_000_000) { $0.setFacts() }
        every(5_000_000_000) { node in
            let ran = node.pool.proof.ran(now: node.now)
            node.proofs.noteRan(seconds: Int(ran))
            node.keepProofs()
        }
        every(5_000_000_000) { $0.discover() }
        schedule(at: world.now) {
            $0.discover()
            $0.setFacts()
            $0.completeList()
        }
    }

    private static func emptyPool(
        _ world: World, _ members: [PoolMember], _ proofs: NodeProofs = NodeProofs(), now: UInt64, wall: Int64 = 0
    ) -> PoolState {
        PoolState(
            settings: PoolSettings(members: members, limits: PoolLimits(), executable: ""), groups: 1,
            stored: StoredProof(
                canaries: Array(proofs.canaries.values), forgets: Array(proofs.forgets),
                ranSeconds: Int64(proofs.ranSeconds)),
            drained: [], seed: world.random.next(), now: now, unixSeconds: wall)
    }

    /// SIGKILL: workers see their sockets closed and end, too.
    func kill() {
        guard isUp else { return }
        isUp = false
        service = nil
        for worker in workers.values { worker.die() }
        workers = [:]
        store.loseWrites()
    }

    func freeze() { isFrozen = isUp }

    func thaw() {
        guard isFrozen else { return }
        (isFrozen, thawedAt) = (false, world.now)
        let late = postponed
        postponed = []
        for work in late where isUp { work(self) }
    }
}

// MARK: - What HSMPool does

extension SimulatedNode {
    func startWorker(_ hsm: Int, after pause: UInt64) {
        let before = pool.epoch(of: hsm)
        schedule(at: world.now + pause) { node in
            guard let epoch = node.pool.beginStart(of: hsm, after: before, now: node.now),
                let worker = SimulatedWorker(
                    world: node.world, node: node, token: node.tokens[hsm], hsm: hsm, epoch: epoch,
                    lanes: node.world.lanes)
            else { return }
            node.world.keep(worker)
            let handle = WorkerHandle(pid: 1, control: worker, lanes: worker.lanes)
            guard let offer = node.pool.started(handle, hsm: hsm, epoch: epoch, now: node.now) else {
                return worker.die()
            }
            node.workers[hsm] = worker
            worker.send(offer)
        }
    }

    func workerSaid(_ message: WorkerMessage, _ worker: SimulatedWorker) {
        guard
            let said = pool.received(
                message, hsm: worker.hsm, epoch: worker.epoch, now: now, unixSeconds: wall)
        else { return }
        perform(said.effects)
        if !said.changes.isEmpty { changed() }
    }

    func laneAnswered(_ lane: LaneID, _ answer: LaneAnswer, _ worker: SimulatedWorker) {
        guard pool.epoch(of: worker.hsm) == worker.epoch else { return }
        var given = answer
        if world.mutant.broken == .answersAreMixed, let lastOutput { given.output = lastOutput }
        lastOutput = answer.output
        perform(pool.answered(lane, given, now: now))
    }

    func laneClosed(_ lane: LaneID, _ epoch: UInt64, during call: UInt64?) {
        perform(pool.closed(lane, epoch: epoch, during: call, now: now))
    }

    func workerEnded(_ worker: SimulatedWorker, _ reason: String) {
        guard let ending = pool.ended(hsm: worker.hsm, epoch: worker.epoch, reason: reason, now: now) else { return }
        if workers[worker.hsm] === worker { workers[worker.hsm] = nil }
        perform(ending.effects)
        if !ending.changes.isEmpty { changed() }
    }

    func submit(
        _ operation: KeyOperation, on hsms: HSMSet, deadline: UInt64, terms: OperationTerms,
        completion: @escaping @Sendable (OperationResult) -> Void
    ) {
        let (effects, mustTick) = pool.submit(
            operation, on: hsms, deadline: deadline, terms: terms, group: 0, now: now, completion: completion)
        perform(effects)
        if mustTick { tickLater() }
    }

    private func tickLater() {
        schedule(at: world.now + 5_000_000) { node in
            let ticked = node.pool.tick(now: node.now)
            node.perform(ticked.effects)
            if !ticked.changes.isEmpty { node.changed() }
            if ticked.goesOn { node.tickLater() }
        }
    }

    private func look() {
        let looked = pool.look(now: now)
        perform(looked.effects)
        if !looked.changes.isEmpty { changed() }
    }

    func perform(_ effects: [PoolEffect]) {
        for effect in effects {
            switch effect {
            case .send(let lane, let operation, let key, let generation, let deadline):
                lane.send(operation, keyReference: key, generation: generation, deadline: deadline)
            case .order(let lane, let operation, let generation): lane.order(operation, generation: generation)
            case .complete(let completion, let result): completion(result)
            case .restart(let hsm, let reason):
                guard let worker = workers[hsm] else { continue }
                worker.die()
                schedule(at: world.now + 1_000_000_000) { $0.workerEnded(worker, reason) }
            case .start(let hsm, let pause):
                if world.mutant.broken != .nothingIsStarted { startWorker(hsm, after: pause) }
            case .sendToWorker(let control, let message): control.send(message)
            case .keep(let canary):
                proofs.keep(canary, for: canary.label)
                keepProofs()
            case .keysChanged: changed()
            case .drop(let label):
                proofs.drop(label)
                keepProofs()
            case .keepForget(let order):
                proofs.keep(order)
                keepProofs()
            case .announce(let news): world.note("\(name): \(news)")
            }
        }
    }

    /// What peers are told is another.
    func changed() {
        guard !isFactsArranged else { return }
        isFactsArranged = true
        schedule(at: max(world.now, factsDue)) { $0.setFacts() }
    }
}
