// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import TLSFacts
import TLSLinks

/// Requests to peers, over connections that are kept open between them.
///
/// A request has a connection to itself: one that waits for a lost packet holds up no other. AsyncHTTPClient, which
/// would do the same, does not show whose certificate a connection has shown, and that is what peers are known by
/// (docs/internals/decisions/0013-peers-by-certificate.md).
///
/// A request takes an idle connection. Where there is none it waits, within its own time, for whichever is free first:
/// one that comes back, or one that is opened for it. KMS requests have connections of their own, so that a flood of
/// them never makes this node late for gossip, and some of theirs are opened before they are needed (`keepWarm`): over
/// 80 ms of round trip a new one costs more than KMS waits.
///
/// Everything on one event loop; `perform` may be called on any thread.
final class PeerPool: Sendable {
    /// Connections to one address for one use, at work, idle or being opened.
    static let mostPerAddress = 96
    /// Requests to one address that wait for a connection. Further ones fail at once.
    static let mostWaiting = 512
    /// Idle connections that are kept for one address without a wish for more.
    private static let mostIdle = 8
    /// Idle connections to a peer that is kept warm, besides those that its recent use takes.
    private static let spare = 2
    /// Connections to one peer that are being opened at a time only to be there: handshakes of many at once would make this
    /// node late for gossip.
    private static let mostWarming = 8
    /// How long a connection stays idle, nanoseconds: drawn for each between these, so that those that were opened
    /// together do not end together. Less than the listener's patience with a silent connection (90 s): the side that
    /// closes should be this one.
    private static let idleTime: ClosedRange<UInt64> = 35_000_000_000...70_000_000_000
    /// How long connecting may take, name and handshake included, nanoseconds.
    private static let connectTime: UInt64 = 5_000_000_000
    /// After a connection that was to be kept warm could not be opened, the next is tried this much later, nanoseconds.
    private static let warmingPause: UInt64 = 1_000_000_000

    /// KMS requests, or everything else.
    private enum Use: Hashable { case forwarding, control }

    private struct Target: Hashable {
        var endpoint: HostAndPort
        var use: Use
    }

    /// A request that is on its way to a connection, or on one.
    private final class Waiter {
        let call: PeerCall
        /// Whose certificate it must be; `nil` takes any node's.
        let name: String?
        let end: UInt64
        let promise: EventLoopPromise<PeerAnswer>
        var hasRetried = false
        var isOver = false

        init(call: PeerCall, name: String?, end: UInt64, promise: EventLoopPromise<PeerAnswer>) {
            self.call = call
            self.name = name
            self.end = end
            self.promise = promise
        }
    }

    private struct Connections {
        var idle: [PeerConnection] = []
        /// At work, idle or being opened.
        var open = 0
        var connecting = 0
        var waiting: [Waiter] = []
        /// How many are to be open, and to whom.
        var wanted = 0
        var wantedName: String?
        var failedAt: UInt64?
    }

    private final class State {
        var targets: [Target: Connections] = [:]
        var isStopped = false
    }

    /// That some connections to a peer be there before they are needed.
    struct Warmth: Sendable, Equatable {
        var address: String
        var name: String
        var connections: Int
    }

    private let loop: any EventLoop
    private let tls: ClusterTLS
    private let book: AddressBook
    private let counters: ClusterCounters
    /// What the handshakes of live connections have agreed on.
    private let links: [Use: LinkTally] = [.forwarding: LinkTally(), .control: LinkTally()]
    private let state: NIOLoopBound<State>

    /// Made on its event loop, as what it holds is bound to it.
    static func make(
        loop: any EventLoop, tls: ClusterTLS, book: AddressBook, counters: ClusterCounters
    ) async -> PeerPool {
        await withCheckedContinuation { continuation in
            loop.execute {
                continuation.resume(returning: PeerPool(loop: loop, tls: tls, book: book, counters: counters))
            }
        }
    }

    private init(loop: any EventLoop, tls: ClusterTLS, book: AddressBook, counters: ClusterCounters) {
        self.loop = loop
        self.tls = tls
        self.book = book
        self.counters = counters
        state = NIOLoopBound(State(), eventLoop: loop)
    }

    /// Sends a request to whoever is at an address.
    ///
    /// - Parameters:
    ///   - name: whose certificate it must be; `nil` takes any node's.
    ///   - timeout: nanoseconds in all.
    /// - Returns: fails with a `PeerFailure`.
    func perform(_ call: PeerCall, to address: String, name: String?, timeout: UInt64) -> EventLoopFuture<PeerAnswer> {
        guard let endpoint = HostAndPort(address) else {
            return loop.makeFailedFuture(PeerFailure.badAddress(address))
        }
        let end = deadline(after: timeout)
        counters.note {
            $0.messagesOut += 1
            $0.bytesOut += UInt64(call.body.count)
        }
        let promise = loop.makePromise(of: PeerAnswer.self)
        let target = Target(endpoint: endpoint, use: call.path == .forward ? .forwarding : .control)
        loop.execute {
            let waiter = NIOLoopBound(Waiter(call: call, name: name, end: end, promise: promise), eventLoop: self.loop)
            // Who connects, or resolves a name, may take longer; what comes of it serves the next request.
            let timer = self.loop.scheduleTask(in: TimeAmount(clampingNanoseconds: timeout)) {
                self.finish(waiter.value, target, .failure(.timeout))
            }
            promise.futureResult.whenComplete { result in
                timer.cancel()
                guard case .success(let answer) = result else { return }
                self.counters.note { $0.bytesIn += UInt64(answer.body.count) }
            }
            self.submit(waiter.value, target)
        }
        return promise.futureResult
    }

    /// From now on so many connections for KMS requests are to be open to these peers, and two to spare at least. To be
    /// called every second or so: what is missing is opened now.
    func keepWarm(_ wishes: [Warmth]) {
        loop.execute {
            for target in self.state.value.targets.keys where target.use == .forwarding {
                self.state.value.targets[target]?.wanted = 0
            }
            guard !self.state.value.isStopped else { return }
            for wish in wishes {
                guard let endpoint = HostAndPort(wish.address) else { continue }
                let target = Target(endpoint: endpoint, use: .forwarding)
                self.state.value.targets[target, default: Connections()].wanted = wish.connections
                self.state.value.targets[target]?.wantedName = wish.name
                self.warm(target)
            }
        }
    }

    /// Closes idle connections that are old, or of earlier TLS files. To be called now and then.
    func clean() {
        loop.execute {
            let (now, generation) = (monotonicNanoseconds(), self.tls.generation)
            self.closeIdle { $0.generation < generation || now > $0.idleUntil }
            self.state.value.targets = self.state.value.targets.filter {
                $0.value.open > 0 || $0.value.wanted > 0 || !$0.value.waiting.isEmpty
            }
        }
    }

    /// What the handshakes of connections that are open for KMS requests, or for everything else, have agreed on.
    func links(isForwarding: Bool) -> [HandshakeFacts: Int] {
        links[isForwarding ? .forwarding : .control]?.connections ?? [:]
    }

    func stop() {
        loop.execute {
            self.state.value.isStopped = true
            let waiting = self.state.value.targets.flatMap { target, connections in
                connections.waiting.map { (target, $0) }
            }
            for (target, waiter) in waiting { self.finish(waiter, target, .failure(.closed)) }
            self.closeIdle { _ in true }
        }
    }

    private func closeIdle(where isOld: (PeerConnection) -> Bool) {
        for connections in state.value.targets.values {
            for connection in connections.idle where isOld(connection) { connection.channel.close(promise: nil) }
        }
    }

    // MARK: Requests

    private func finish(_ waiter: Waiter, _ target: Target, _ result: Result<PeerAnswer, PeerFailure>) {
        guard !waiter.isOver else { return }
        waiter.isOver = true
        state.value.targets[target]?.waiting.removeAll { $0 === waiter }
        waiter.promise.completeWith(result.mapError { $0 as any Error })
    }

    private func submit(_ waiter: Waiter, _ target: Target) {
        guard !waiter.isOver else { return }
        guard !state.value.isStopped else { return finish(waiter, target, .failure(.closed)) }
        if let connection = takeIdle(target, waiter.name) { return start(waiter, on: connection, target) }
        guard state.value.targets[target]?.waiting.count ?? 0 < Self.mostWaiting else {
            return finish(waiter, target, .failure(.busy))
        }
        state.value.targets[target, default: Connections()].waiting.append(waiter)
        openForWaiting(target)
    }

    private func takeIdle(_ target: Target, _ name: String?) -> PeerConnection? {
        let generation = tls.generation
        while let connection = state.value.targets[target]?.idle.popLast() {
            let isFit =
                connection.channel.isActive && connection.generation == generation
                && (name == nil || connection.peer == name)
            if isFit { return connection }
            connection.channel.close(promise: nil)
        }
        return nil
    }

    private func start(_ waiter: Waiter, on connection: PeerConnection, _ target: Target) {
        let left = remaining(until: waiter.end)
        guard left > 0 else {
            finish(waiter, target, .failure(.timeout))
            return free(connection, target)
        }
        let bound = NIOLoopBound((waiter, connection), eventLoop: loop)
        connection.perform(waiter.call, timeout: TimeAmount(clampingNanoseconds: left)).whenComplete { result in
            let (waiter, connection) = bound.value
            switch result {
            case .success(let answer):
                self.finish(waiter, target, .success(answer))
                self.free(connection, target)
            case .failure(let error):
                let failure = PeerFailure(error)
                if failure == .oversized { self.counters.dropped(.oversized) }
                // The peer had closed it, or has just been started anew: a new connection shows it.
                guard failure == .closed, connection.isUsed, !waiter.hasRetried else {
                    return self.finish(waiter, target, .failure(failure))
                }
                waiter.hasRetried = true
                for other in self.state.value.targets[target]?.idle ?? [] { other.channel.close(promise: nil) }
                self.state.value.targets[target]?.idle = []
                self.submit(waiter, target)
            }
        }
    }

    // MARK: Connections

    /// A connection has nothing to do: the request that waits longest has it, or it is kept.
    private func free(_ connection: PeerConnection, _ target: Target) {
        guard connection.channel.isActive, !state.value.isStopped, connection.generation == tls.generation else {
            return connection.channel.close(promise: nil)
        }
        while let waiter = state.value.targets[target]?.waiting.first {
            guard waiter.name == nil || waiter.name == connection.peer else {
                counters.dropped(.foreign)
                finish(waiter, target, .failure(.foreign(found: connection.peer)))
                continue
            }
            state.value.targets[target]?.waiting.removeFirst()
            return start(waiter, on: connection, target)
        }
        guard let connections = state.value.targets[target],
            connections.idle.count < max(Self.mostIdle, connections.wanted)
        else { return connection.channel.close(promise: nil) }
        connection.idleUntil = monotonicNanoseconds() &+ UInt64.random(in: Self.idleTime)
        state.value.targets[target]?.idle.append(connection)
    }

    private func openForWaiting(_ target: Target) {
        guard !state.value.isStopped else { return }
        while let connections = state.value.targets[target], connections.connecting < connections.waiting.count,
            connections.open < Self.mostPerAddress
        { open(target) }
    }

    private func warm(_ target: Target) {
        while let connections = state.value.targets[target], connections.open < Self.mostPerAddress,
            connections.connecting < connections.waiting.count + Self.mostWarming,
            connections.open < connections.wanted
                || connections.idle.count + connections.connecting < connections.waiting.count + Self.spare
        {
            let now = monotonicNanoseconds()
            if let failed = connections.failedAt, now &- failed < Self.warmingPause { return }
            open(target)
        }
    }

    private func open(_ target: Target) {
        state.value.targets[target, default: Connections()].open += 1
        state.value.targets[target]?.connecting += 1
        let end = deadline(after: Self.connectTime)
        book.addresses(of: target.endpoint.host, on: loop)
            .flatMapErrorThrowing { throw PeerFailure($0) }
            .flatMap { self.connect(target, $0[...], end) }
            .whenComplete { result in
                self.state.value.targets[target]?.connecting -= 1
                switch result {
                case .success(let bound): self.opened(bound.value, target)
                case .failure(let error): self.refused(PeerFailure(error), target)
                }
            }
    }

    private func opened(_ connection: PeerConnection, _ target: Target) {
        let bound = NIOLoopBound(connection, eventLoop: loop)
        let weight = target.use == .forwarding ? 1 : 0
        counters.note { $0.forwardConnections += weight }
        connection.channel.closeFuture.whenComplete { _ in
            self.counters.note { $0.forwardConnections -= weight }
            self.state.value.targets[target]?.idle.removeAll { $0 === bound.value }
            self.state.value.targets[target]?.open -= 1
            self.openForWaiting(target)
        }
        let connections = state.value.targets[target]
        // Nobody waits, and another node than the one that is to be kept warm answers at its address.
        if connections?.waiting.isEmpty ?? true, let name = connections?.wantedName, connection.peer != name {
            counters.dropped(.foreign)
            state.value.targets[target]?.failedAt = monotonicNanoseconds()
            return connection.channel.close(promise: nil)
        }
        free(connection, target)
    }

    /// Of the requests that wait the oldest learns of it, unless an attempt is still under way for it.
    private func refused(_ failure: PeerFailure, _ target: Target) {
        state.value.targets[target]?.open -= 1
        state.value.targets[target]?.failedAt = monotonicNanoseconds()
        guard let connections = state.value.targets[target], connections.connecting < connections.waiting.count,
            let waiter = connections.waiting.first
        else { return }
        finish(waiter, target, .failure(failure))
    }

    /// One address after the other: mostly there is one.
    private func connect(
        _ target: Target, _ addresses: ArraySlice<String>, _ end: UInt64
    ) -> EventLoopFuture<NIOLoopBound<PeerConnection>> {
        let endpoint = target.endpoint
        guard let first = addresses.first, let address = try? SocketAddress(ipAddress: first, port: endpoint.port)
        else {
            return loop.makeFailedFuture(PeerFailure.badAddress(endpoint.description))
        }
        // Each has its share of what is left, and all but the last a second at most: requests wait.
        let share = min(
            remaining(until: end) / UInt64(addresses.count), addresses.count > 1 ? 1_000_000_000 : .max)
        guard share > 0 else { return loop.makeFailedFuture(PeerFailure.timeout) }
        let attempt = PeerConnection.open(
            to: address, host: endpoint.description, tls: tls, tally: links[target.use] ?? LinkTally(),
            timeout: TimeAmount(clampingNanoseconds: share), on: loop)
        guard addresses.count > 1 else { return attempt }
        return attempt.flatMapError { _ in self.connect(target, addresses.dropFirst(), end) }
    }
}
