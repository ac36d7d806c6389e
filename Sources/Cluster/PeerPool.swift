// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix

/// Requests to peers, over connections that are kept open between them.
///
/// A request has a connection to itself: one that waits for a lost packet holds up no other. AsyncHTTPClient, which
/// would do the same, does not tell whose certificate a connection has shown, and that is what peers are known by
/// (docs/internals/decisions/0013-peers-by-certificate.md).
///
/// Everything on one event loop; `perform` may be called on any thread.
final class PeerPool: Sendable {
    /// Connections to one address, at work or idle. Further requests fail at once.
    static let mostPerAddress = 64
    /// Idle connections that are kept for one address.
    private static let mostIdle = 8
    /// Less than the listener's patience with a silent connection: the side that closes should be this one.
    private static let idleTime: UInt64 = 60_000_000_000

    private struct Place {
        var idle: [PeerConnection] = []
        var open = 0
    }

    private final class State {
        var places: [HostAndPort: Place] = [:]
        var isStopped = false
    }

    private let loop: any EventLoop
    private let tls: ClusterTLS
    private let book: AddressBook
    private let counters: ClusterCounters
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
        guard let place = HostAndPort(address) else {
            return loop.makeFailedFuture(PeerFailure.badAddress(address))
        }
        let end = deadline(after: timeout)
        counters.note {
            $0.messagesOut += 1
            $0.bytesOut += UInt64(call.body.count)
        }
        let promise = loop.makePromise(of: PeerAnswer.self)
        loop.execute {
            // Who connects, or resolves a name, may take longer; what comes of it serves the next request.
            let timer = self.loop.scheduleTask(in: TimeAmount(clampingNanoseconds: timeout)) {
                promise.fail(PeerFailure.timeout)
            }
            self.attempt(call, place, name, end).whenComplete { result in
                timer.cancel()
                if case .success(let answer) = result {
                    self.counters.note { $0.bytesIn += UInt64(answer.body.count) }
                }
                promise.completeWith(result)
            }
        }
        return promise.futureResult
    }

    /// Closes idle connections that are old, or of earlier TLS files. To be called now and then.
    func clean() {
        loop.execute {
            let (now, generation) = (monotonicNanoseconds(), self.tls.generation)
            self.closeIdle { $0.generation < generation || now &- $0.idleSince > Self.idleTime }
        }
    }

    func stop() {
        loop.execute {
            self.state.value.isStopped = true
            self.closeIdle { _ in true }
        }
    }

    private func closeIdle(where isOld: (PeerConnection) -> Bool) {
        for place in state.value.places.values {
            for connection in place.idle where isOld(connection) { connection.channel.close(promise: nil) }
        }
    }

    // MARK: On the event loop

    private func attempt(
        _ call: PeerCall, _ place: HostAndPort, _ name: String?, _ end: UInt64
    ) -> EventLoopFuture<PeerAnswer> {
        guard !state.value.isStopped else { return loop.makeFailedFuture(PeerFailure.closed) }
        if let connection = takeIdle(place, name) {
            return perform(call, on: connection, place, end).flatMapError { error in
                // The peer had closed it, or has just been started anew: a new connection tells.
                guard error as? PeerFailure == .closed, connection.value.isUsed else {
                    return self.loop.makeFailedFuture(error)
                }
                return self.performOnNew(call, place, name, end)
            }
        }
        return performOnNew(call, place, name, end)
    }

    private func takeIdle(_ place: HostAndPort, _ name: String?) -> NIOLoopBound<PeerConnection>? {
        let generation = tls.generation
        while let connection = state.value.places[place]?.idle.popLast() {
            let isFit =
                connection.channel.isActive && connection.generation == generation
                && (name == nil || connection.peer == name)
            if isFit { return NIOLoopBound(connection, eventLoop: loop) }
            connection.channel.close(promise: nil)
        }
        return nil
    }

    private func performOnNew(
        _ call: PeerCall, _ place: HostAndPort, _ name: String?, _ end: UInt64
    ) -> EventLoopFuture<PeerAnswer> {
        guard state.value.places[place]?.open ?? 0 < Self.mostPerAddress else {
            return loop.makeFailedFuture(PeerFailure.busy)
        }
        return connect(place, end).flatMap { bound in
            let connection = bound.value
            guard name == nil || connection.peer == name else {
                self.counters.dropped(.foreign)
                connection.channel.close(promise: nil)
                return self.loop.makeFailedFuture(PeerFailure.foreign(found: connection.peer))
            }
            return self.perform(call, on: bound, place, end)
        }
    }

    private func perform(
        _ call: PeerCall, on bound: NIOLoopBound<PeerConnection>, _ place: HostAndPort, _ end: UInt64
    ) -> EventLoopFuture<PeerAnswer> {
        let left = remaining(until: end)
        guard left > 0 else {
            giveBack(bound.value, place)
            return loop.makeFailedFuture(PeerFailure.timeout)
        }
        return bound.value.perform(call, timeout: TimeAmount(clampingNanoseconds: left)).map { answer in
            self.giveBack(bound.value, place)
            return answer
        }.flatMapErrorThrowing { error in
            if error as? PeerFailure == .oversized { self.counters.dropped(.oversized) }
            throw error
        }
    }

    private func giveBack(_ connection: PeerConnection, _ place: HostAndPort) {
        guard connection.channel.isActive, !state.value.isStopped, connection.generation == tls.generation,
            state.value.places[place]?.idle.count ?? 0 < Self.mostIdle
        else { return connection.channel.close(promise: nil) }
        connection.idleSince = monotonicNanoseconds()
        state.value.places[place]?.idle.append(connection)
    }

    // MARK: Connecting

    private func connect(_ place: HostAndPort, _ end: UInt64) -> EventLoopFuture<NIOLoopBound<PeerConnection>> {
        state.value.places[place, default: Place()].open += 1
        let opened = book.addresses(of: place.host, on: loop)
            .flatMapErrorThrowing { throw PeerFailure.unreachable("\($0)") }
            .flatMap { self.connect(place, $0[...], end) }
        opened.whenComplete { result in
            switch result {
            case .success(let bound):
                bound.value.channel.closeFuture.whenComplete { _ in self.closed(bound.value, place) }
            case .failure: self.forget(place)
            }
        }
        return opened
    }

    /// One address after the other: mostly there is one.
    private func connect(
        _ place: HostAndPort, _ addresses: ArraySlice<String>, _ end: UInt64
    ) -> EventLoopFuture<NIOLoopBound<PeerConnection>> {
        guard let first = addresses.first, let address = try? SocketAddress(ipAddress: first, port: place.port) else {
            return loop.makeFailedFuture(PeerFailure.badAddress(place.description))
        }
        // Each has its share of what is left.
        let share = remaining(until: end) / UInt64(addresses.count)
        guard share > 0 else { return loop.makeFailedFuture(PeerFailure.timeout) }
        let attempt = PeerConnection.open(
            to: address, host: place.description, material: tls.material,
            timeout: TimeAmount(clampingNanoseconds: share), on: loop)
        guard addresses.count > 1 else { return attempt }
        return attempt.flatMapError { _ in self.connect(place, addresses.dropFirst(), end) }
    }

    private func closed(_ connection: PeerConnection, _ place: HostAndPort) {
        state.value.places[place]?.idle.removeAll { $0 === connection }
        forget(place)
    }

    private func forget(_ place: HostAndPort) {
        guard var known = state.value.places[place] else { return }
        known.open -= 1
        state.value.places[place] = known.open > 0 ? known : nil
    }
}
