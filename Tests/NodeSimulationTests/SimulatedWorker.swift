// SPDX-License-Identifier: Apache-2.0
import HSMPool
import HSMWorker
import LaneProtocol
import PKCS11
import Routing
import SecureMemory

/// A worker process: lanes and keeper with the product's own engine, catalogue and canaries, in virtual time. What the
/// node sends comes in by the protocols of `PoolState`; what the worker says goes to the node after a socket's delay.
final class SimulatedWorker: WorkerControl, @unchecked Sendable {
    static let socketDelay: UInt64 = 20_000
    private static let profile = GCMProfile(ivSource: .caller, layout: .withIVBits)

    unowned let world: World
    unowned let node: SimulatedNode
    let token: SimulatedToken
    let hsm: Int
    let epoch: UInt64
    let startedAt: UInt64
    private(set) var isDead = false
    private(set) var lanes: [SimulatedLane] = []

    private let keys = SimulatedKeyTable()
    private let keeper: SimulatedSession
    private var canaries: Canaries<SimulatedSession>
    private var reader = KeyReader()
    private var catalogue = KeyCatalogue()
    private var offered: OfferedKeys?
    private var lastSent: CatalogueState?
    private var requests: [CanaryRequest] = []
    private var isReadingWanted = false
    private var isProbeWanted = false
    private var isAwake = false
    private var nextReading: UInt64 = 0
    private var nextProbe: UInt64 = 0
    private var failedProbes = 0
    private var nextTurn: UInt64 = .max
    private var turn = 0

    init?(world: World, node: SimulatedNode, token: SimulatedToken, hsm: Int, epoch: UInt64, lanes count: Int) {
        self.world = world
        self.node = node
        self.token = token
        self.hsm = hsm
        self.epoch = epoch
        startedAt = world.now
        let history = IVHistory()
        guard let ivs = IVPool(history: history) else { return nil }
        keeper = SimulatedSession(token: token, keys: keys, offset: node.offset)
        canaries = Canaries(session: keeper, ivs: ivs, profile: Self.profile)
        for number in 0..<count {
            guard let ivs = IVPool(history: history) else { return nil }
            let session = SimulatedSession(token: token, keys: keys, offset: node.offset)
            lanes.append(
                SimulatedLane(
                    worker: self, lane: LaneID(hsm: hsm, lane: number), session: session,
                    engine: LaneEngine(session: session, ivs: ivs, profile: Self.profile), profile: Self.profile))
        }
        // Loading a library and logging in.
        let usual: UInt64 = 150_000_000 + world.random.below(300_000_000)
        world.at(world.now + (token.login ?? usual)) { [weak self] in self?.logIn() }
    }

    private func logIn() {
        guard !isDead else { return }
        keeper.clock = world.now
        guard keeper.reopen().isOK else {
            say(
                .failed(
                    WorkerFailure(kind: .call, function: .openSession, code: 0xe0, message: "the token is not there")),
                at: keeper.clock)
            return world.at(keeper.clock + 1_000_000) { [weak self] in self?.die() }
        }
        say(
            .ready(
                WorkerReadiness(
                    identity: TokenIdentity(
                        label: token.name, serial: token.serial, manufacturer: "simulation", model: "token",
                        firmware: "1.0", slot: 0, sessionLimit: 0),
                    openLanes: UInt16(clamping: lanes.count), capabilities: TokenCapabilities(profile: Self.profile))),
            at: keeper.clock)
        isAwake = true
        nextReading = keeper.clock
        wake(at: keeper.clock)
    }

    // MARK: The keeper

    func send(_ message: NodeMessage) {
        world.at(world.now + Self.socketDelay) { [weak self] in self?.receive(message) }
    }

    private func receive(_ message: NodeMessage) {
        guard !isDead else { return }
        switch message {
        case .configure: return
        case .offer(let keys): (offered, isReadingWanted) = (keys, true)
        case .readCatalogue: isReadingWanted = true
        case .probe: isProbeWanted = true
        case .makeCanary(let ticket, let key): requests.append(.make(ticket: ticket, key: key))
        case .openCanary(let ticket, let key, let canary):
            requests.append(.open(ticket: ticket, key: key, canary))
        }
        if isAwake { wake(at: max(world.now, keeper.clock)) }
    }

    func close() { die() }

    /// The keeper has one next turn.
    private func wake(at time: UInt64) {
        guard time < nextTurn else { return }
        nextTurn = time
        turn += 1
        let mine = turn
        world.at(time) { [weak self] in
            guard let self, self.turn == mine else { return }
            self.nextTurn = .max
            self.work()
        }
    }

    /// One turn of the keeper: what is wanted, and then what is due.
    private func work() {
        guard !isDead, isAwake, world.now >= keeper.clock else { return }
        keeper.clock = world.now
        if keys.isStale { (keys.isStale, isReadingWanted) = (false, true) }
        if lastSent != nil, isProbeWanted || world.now >= nextProbe {
            probe()
        } else if let offered, isReadingWanted || world.now >= nextReading {
            read(offered)
        } else if let request = requests.first {
            requests.removeFirst()
            say(canaries.serve(request), at: keeper.clock)
        } else {
            return wake(at: max(min(nextProbe, offered == nil ? .max / 2 : nextReading), world.now + 1_000_000))
        }
        guard keeper.clock < .max / 4 else { return }
        wake(at: max(keeper.clock, world.now))
    }

    private func probe() {
        isProbeWanted = false
        let report = keeper.probe()
        failedProbes = report.passed ? 0 : failedProbes + 1
        nextProbe = keeper.clock + world.probeInterval
        say(.probe(report), at: keeper.clock)
        if failedProbes >= ProbeSchedule.mostFailures {
            world.at(keeper.clock + 1_000_000) { [weak self] in self?.die() }
        }
    }

    private func read(_ offered: OfferedKeys) {
        let isUrgent = isReadingWanted
        isReadingWanted = false
        nextReading = keeper.clock + world.catalogueInterval
        guard !token.isGone else { return }
        reader.begin(offered, rereadsAll: isUrgent, now: keeper.now())
        while let step = reader.next(mayReadAgain: true) {
            _ = keeper.reopen()
            switch step {
            case .search(let label): reader.found(token.handles(labelled: label), isCut: false)
            case .read(let handle): reader.took(token.describe(handle))
            }
        }
        let state = catalogue.update(reader.results, named: offered.labels, token: token.name)
        guard state != lastSent else { return }
        lastSent = state
        keys.handles = state.handles
        say(.catalogue(state.listing), at: keeper.clock)
    }

    private func say(_ message: WorkerMessage, at time: UInt64) {
        guard time < .max / 4 else { return }
        world.at(time + Self.socketDelay) { [weak self] in
            guard let self, !self.isDead else { return }
            self.node.schedule(at: self.world.now) { $0.workerSaid(message, self) }
        }
    }

    // MARK: The end

    /// The process ends at once: its sockets close, lanes first.
    func die() {
        guard !isDead else { return }
        isDead = true
        for lane in lanes {
            let call = lane.current
            node.schedule(at: world.now + 1_000) { $0.laneClosed(lane.lane, self.epoch, during: call) }
        }
        node.schedule(at: world.now + 50_000) { $0.workerEnded(self, "its worker ended") }
    }
}
