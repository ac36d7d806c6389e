// SPDX-License-Identifier: Apache-2.0
import Gossip
import NIOCore
import SecureMemory
import Synchronization

/// Steps a `GossipMachine` and does what it says. All steps are taken on one event loop, so that events are reported in
/// their order; what is known can be read on any thread.
final class GossipDriver: Sendable {
    /// What the machine says besides sends and replies, in its order. Called on the event loop.
    typealias EventSink = @Sendable (GossipEvent) -> Void

    private typealias Reply = (promise: EventLoopPromise<GossipMessage?>, message: GossipMessage)

    private struct State {
        var machine: GossipMachine
        var replies: [UInt64: EventLoopPromise<GossipMessage?>] = [:]
        var lastReply: UInt64 = 0
        var choice: ForwardingChoice
        var agreement: ConfigurationAgreement
        var choiceMadeAt: UInt64 = 0
        var choiceEdition: UInt64 = 0
        var clocks = PeerClocks()
        /// When the next tick has been arranged for.
        var armedFor = UInt64.max
        var isStopped = false
    }

    /// Between two looks at members for `ForwardingChoice`, unless somebody has come or gone, or says something new.
    private static let choiceAge: UInt64 = 50_000_000
    /// More requests of peers than can be waiting for an answer: `pingRequest` alone waits.
    private static let mostReplies = 1_024

    private let loop: any EventLoop
    private let pool: PeerPool
    private let tls: ClusterTLS
    private let limits: BodyLimits
    private let counters: ClusterCounters
    private let sink: EventSink
    /// What came of an attempt at an address at which nobody is known yet: what was wrong, or `nil`.
    private let contacted: @Sendable (_ address: String, _ problem: String?) -> Void
    /// There are addresses at which other nodes may be.
    private let isSeeking: Bool
    private let startedAt = monotonicNanoseconds()
    private let state: Mutex<State>

    init(
        machine: GossipMachine, isSeeking: Bool, loop: any EventLoop, pool: PeerPool, tls: ClusterTLS,
        limits: BodyLimits, counters: ClusterCounters,
        contacted: @escaping @Sendable (_ address: String, _ problem: String?) -> Void, sink: @escaping EventSink
    ) {
        self.contacted = contacted
        self.tls = tls
        self.loop = loop
        self.pool = pool
        self.limits = limits
        self.counters = counters
        self.sink = sink
        self.isSeeking = isSeeking
        state = Mutex(
            State(
                machine: machine, choice: ForwardingChoice(machine),
                agreement: ConfigurationAgreement(machine, isSought: isSeeking, age: 0)))
    }

    // MARK: Questions

    var members: [Member] { state.withLock { $0.machine.members } }
    func member(named name: String) -> Member? { state.withLock { $0.machine.member(named: name) } }
    var changes: [String: UInt64] { state.withLock { $0.machine.changes } }
    var identity: NodeIdentity { state.withLock { $0.machine.identity } }
    var twins: [String: String] { state.withLock { $0.machine.twins } }
    var facts: NodeFacts { state.withLock { $0.machine.facts } }
    var choice: ForwardingChoice { state.withLock { $0.choice } }
    /// Whether all nodes have one configuration.
    var agreement: ConfigurationAgreement { state.withLock { $0.agreement } }
    var gossipCounters: GossipCounters { state.withLock { $0.machine.counters } }
    /// By live peer, its clock minus this node's, milliseconds.
    var clockOffsets: [String: Int64] {
        let now = monotonicNanoseconds()
        return state.withLock { state in
            let live = Set(state.machine.members.filter { $0.isLive && $0.hasSpoken }.map(\.identity.name))
            return state.clocks.offsets(now: now).filter { live.contains($0.key) }
        }
    }

    // MARK: Orders

    func start() { step { machine, now in machine.tick(now: now) } }

    /// From now on nothing is done any more, and who waits for a reply gets none.
    func stop() {
        let waiting = state.withLock { state in
            state.isStopped = true
            let waiting = Array(state.replies.values)
            state.replies = [:]
            return waiting
        }
        for promise in waiting { promise.succeed(nil) }
    }

    func set(_ facts: NodeFacts) { step { machine, now in machine.setFacts(facts, now: now) } }

    func discovered(_ addresses: [String]) {
        step { machine, now in machine.discovered(addresses: addresses, now: now) }
    }

    /// Says goodbye; done when those to whom it was sent have answered, or did not.
    func leave(_ farewell: Farewell?) -> EventLoopFuture<Void> {
        loop.flatSubmit {
            let sends = self.take { machine, now in machine.leave(farewell: farewell, now: now) }
            return EventLoopFuture.andAllComplete(sends, on: self.loop)
        }
    }

    /// An operator orders that a node be counted on no longer. `nil`: it is so.
    func forget(_ name: String, by order: ForgetNodeOrder) async -> ForgetRefusal? {
        let result = loop.submit { () -> ForgetRefusal? in
            var refusal: ForgetRefusal?
            self.take { machine, now in
                switch machine.forget(name, by: order, now: now) {
                case .success(let actions): return actions
                case .failure(let found):
                    refusal = found
                    return GossipActions()
                }
            }
            return refusal
        }
        return (try? await result.get()) ?? nil
    }

    /// A peer's message; gives the reply to it, `nil` where it was dropped.
    func received(_ message: GossipMessage, from peer: String) async -> GossipMessage? {
        note(message.sentAt, of: peer)
        let message =
            message.carriesFarewell
            ? await message.withGenuineFarewells(by: tls.material) : message
        let promise = loop.makePromise(of: GossipMessage?.self)
        loop.execute {
            guard let ticket = self.await(promise) else { return promise.succeed(nil) }
            self.take { machine, now in
                switch machine.received(message, from: peer, ticket: ticket, now: now) {
                case .success(let actions): return actions
                case .failure:
                    promise.succeed(nil)
                    return GossipActions()
                }
            }
        }
        promise.futureResult.whenComplete { _ in self.forget(promise) }
        return try? await promise.futureResult.get()
    }

    private func await(_ promise: EventLoopPromise<GossipMessage?>) -> UInt64? {
        state.withLock { state in
            guard !state.isStopped, state.replies.count < Self.mostReplies else { return nil }
            state.lastReply += 1
            state.replies[state.lastReply] = promise
            return state.lastReply
        }
    }

    private func forget(_ promise: EventLoopPromise<GossipMessage?>) {
        state.withLock { state in
            guard let ticket = state.replies.first(where: { $0.value == promise })?.key else { return }
            state.replies[ticket] = nil
        }
    }

    // MARK: Steps

    /// Takes a step on the event loop.
    private func step(_ body: @escaping @Sendable (inout GossipMachine, UInt64) -> GossipActions) {
        loop.execute { self.take(body) }
    }

    /// On the event loop: one event, then all that follows from it. Returns what was sent, done when an answer has come
    /// or cannot come any more.
    @discardableResult
    private func take(_ body: (inout GossipMachine, UInt64) -> GossipActions) -> [EventLoopFuture<Void>] {
        let now = monotonicNanoseconds()
        let (actions, replies, due) = state.withLock { state -> (GossipActions, [Reply], UInt64?) in
            guard !state.isStopped else { return (GossipActions(), [], nil) }
            let actions = body(&state.machine, now)
            let edition = state.machine.edition
            if edition != state.choiceEdition || now &- state.choiceMadeAt > Self.choiceAge {
                state.choice = ForwardingChoice(state.machine)
                state.agreement = ConfigurationAgreement(
                    state.machine, isSought: isSeeking, age: now &- startedAt)
                state.choiceEdition = edition
                state.choiceMadeAt = now
            }
            let replies = actions.replies.compactMap { reply in
                state.replies.removeValue(forKey: reply.ticket).map { ($0, reply.message) }
            }
            let due = max(state.machine.nextDue, now &+ 1_000_000)
            guard due < state.armedFor else { return (actions, replies, nil) }
            state.armedFor = due
            return (actions, replies, due)
        }
        if let due { arm(due, now) }
        for (promise, message) in replies { promise.succeed(message.stamped) }
        for event in actions.events { sink(event) }
        return actions.sends.map(send)
    }

    /// Timers are not cancelled: one that comes when nothing is due does no harm.
    private func arm(_ due: UInt64, _ now: UInt64) {
        loop.scheduleTask(in: TimeAmount(clampingNanoseconds: due - now)) {
            let isLatest = self.state.withLock { state in
                guard state.armedFor == due else { return false }
                state.armedFor = .max
                return true
            }
            if isLatest { self.take { machine, now in machine.tick(now: now) } }
        }
    }

    private func note(_ sentAt: Int64?, of peer: String) {
        guard let sentAt else { return }
        let (wall, now) = (wallMilliseconds(), monotonicNanoseconds())
        state.withLock { $0.clocks.note(peer, sentAt: sentAt, wall: wall, now: now) }
    }

    private func answered(_ ticket: UInt64, _ message: GossipMessage, _ answer: PeerAnswer) {
        let (peer, roundTrip) = (answer.peer, answer.roundTrip)
        note(message.sentAt, of: peer)
        guard message.carriesFarewell else {
            take { machine, now in
                machine.answered(ticket: ticket, message: message, from: peer, roundTrip: roundTrip, now: now)
            }
            return
        }
        // Signatures are verified elsewhere than where peers wait for their answers.
        let material = tls.material
        Task {
            let message = await message.withGenuineFarewells(by: material)
            step { machine, now in
                machine.answered(ticket: ticket, message: message, from: peer, roundTrip: roundTrip, now: now)
            }
        }
    }

    private func note(_ send: GossipSend, _ problem: String?) {
        if send.destination.name == nil { contacted(send.destination.address, problem) }
    }

    private func send(_ send: GossipSend) -> EventLoopFuture<Void> {
        guard let body = try? ClusterJSON.encode(send.message.stamped) else {
            step { machine, now in machine.failed(ticket: send.ticket, now: now) }
            return loop.makeSucceededVoidFuture()
        }
        let call = PeerCall(path: .gossip, body: body, limit: limits.limit(.gossip))
        let answer = pool.perform(
            call, to: send.destination.address, name: send.destination.name, timeout: send.timeout)
        return answer.map { answer in
            guard answer.status == 200, let message = try? ClusterJSON.decode(GossipMessage.self, answer.body) else {
                if answer.status == 200 { self.counters.dropped(.malformed) }
                self.note(send, "it answers with HTTP status \(answer.status), and not as a node of this cluster")
                self.take { machine, now in machine.failed(ticket: send.ticket, now: now) }
                return
            }
            self.note(send, nil)
            self.answered(send.ticket, message, answer)
        }.flatMapErrorThrowing { error in
            self.note(send, "\(error)")
            self.take { machine, now in machine.failed(ticket: send.ticket, now: now) }
        }
    }
}

extension GossipMessage {
    /// With this node's clock.
    fileprivate var stamped: GossipMessage {
        var message = self
        message.sentAt = wallMilliseconds()
        return message
    }
}

extension ConfigurationAgreement {
    fileprivate init(_ machine: GossipMachine, isSought: Bool, age: UInt64) {
        self.init(
            members: machine.members, node: machine.identity.name, configuration: machine.facts.configuration,
            isSought: isSought, age: age)
    }
}

extension ForwardingChoice {
    fileprivate init(_ machine: GossipMachine) {
        self.init(
            members: machine.members, node: machine.identity.name, site: machine.identity.site,
            configuration: machine.facts.configuration)
    }
}
