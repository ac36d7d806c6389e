// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import NIOCore
import Synchronization
import XKSProtocol

/// What the listener has done so far and is doing now, for metrics.
package struct ListenerStatistics: Sendable, Equatable {
    /// Open connections, handshakes included.
    package var connections = 0
    /// Requests handed on and not answered yet.
    package var requestsInFlight = 0
    /// Bytes of request bodies held.
    package var bufferedBodyBytes = 0
    /// Connections taken since the start.
    package var connectionsAccepted = 0
    /// Connections closed at once: all that were open had authenticated, and were as many as may be.
    package var connectionsRefused = 0
    /// Connections that had not authenticated, closed to make room for others.
    package var connectionsEvicted = 0
    /// TLS handshakes that ended without a connection: no or wrong client certificate, old version, timeout.
    package var handshakesFailed = 0
    /// Connections closed for a timeout other than that of the handshake.
    package var connectionsTimedOut = 0
    /// Requests that the listener turned away itself, by cause.
    package var refusals: [Refusal: Int] = [:]
}

/// Counts what is shared by all connections, and says no when a limit is reached.
///
/// The two counters that every request touches are atomics; everything else happens once per connection or refusal
/// and is behind a lock.
final class Admission: Sendable {
    private struct Cold {
        var statistics = ListenerStatistics()
        var emptied: EventLoopPromise<Void>?
    }

    private let limits: ListenerLimits
    private let inFlight = Atomic<Int>(0)
    private let buffered = Atomic<Int>(0)
    private let cold = Mutex(Cold())

    /// Who may hold a connection.
    let budget: ConnectionBudget
    let refusals: RefusalCounter
    /// Hears of the requests that the listener refuses itself.
    let observer: (any RefusalObserver)?

    init(limits: ListenerLimits, refusals: RefusalCounter, observer: (any RefusalObserver)?) {
        self.limits = limits
        self.refusals = refusals
        self.observer = observer
        budget = ConnectionBudget(
            listener: .xks,
            share: ListenerShare(
                connections: limits.connections, bytes: limits.unauthenticatedBytes,
                connectionBytes: limits.connectionBytes, perAddress: limits.unauthenticatedPerAddress),
            refusals: refusals, clock: { monotonicNanoseconds() })
    }

    var statistics: ListenerStatistics {
        var current = cold.withLock { $0.statistics }
        current.requestsInFlight = inFlight.load(ordering: .relaxed)
        current.bufferedBodyBytes = buffered.load(ordering: .relaxed)
        let use = budget.use
        current.connectionsRefused = use.refusals
        current.connectionsEvicted = use.evictions
        return current
    }

    // MARK: Requests

    /// Counts a request as in flight, if there is room. Pair with `leave`.
    func enter() -> Bool {
        if inFlight.wrappingAdd(1, ordering: .relaxed).newValue <= limits.requestsInFlight { return true }
        inFlight.wrappingSubtract(1, ordering: .relaxed)
        return false
    }

    func leave() {
        inFlight.wrappingSubtract(1, ordering: .relaxed)
    }

    /// Counts bytes of body as held, if there is room. Pair with `release`.
    func reserve(bodyBytes: Int) -> Bool {
        let total = buffered.wrappingAdd(bodyBytes, ordering: .relaxed).newValue
        if total <= limits.bufferedBodyBytes { return true }
        buffered.wrappingSubtract(bodyBytes, ordering: .relaxed)
        return false
    }

    func release(bodyBytes: Int) {
        guard bodyBytes > 0 else { return }
        buffered.wrappingSubtract(bodyBytes, ordering: .relaxed)
    }

    func count(_ refusal: Refusal, of client: ClientConnection) {
        client.count(refusal.kind)
        cold.withLock { $0.statistics.refusals[refusal, default: 0] += 1 }
    }

    // MARK: Connections

    /// Counts a connection. Pair with `closed`.
    func opened() {
        cold.withLock { cold in
            cold.statistics.connections += 1
            cold.statistics.connectionsAccepted += 1
        }
    }

    func closed() {
        let emptied = cold.withLock { cold -> EventLoopPromise<Void>? in
            cold.statistics.connections -= 1
            guard cold.statistics.connections == 0 else { return nil }
            defer { cold.emptied = nil }
            return cold.emptied
        }
        emptied?.succeed()
    }

    func countFailedHandshake() {
        cold.withLock { $0.statistics.handshakesFailed += 1 }
    }

    func countTimeout() {
        cold.withLock { $0.statistics.connectionsTimedOut += 1 }
    }

    /// Succeeds `promise` when no connection is open, at once if that is so now.
    func whenEmpty(_ promise: EventLoopPromise<Void>) {
        let isEmpty = cold.withLock { cold in
            if cold.statistics.connections == 0 { return true }
            cold.emptied = promise
            return false
        }
        if isEmpty { promise.succeed() }
    }
}
