// SPDX-License-Identifier: Apache-2.0
import CPlatform
import ConnectionLimits
import HummingbirdCore
import Logging
import NIOCore
import Synchronization

/// The connections of a server. There is always room for one more: it takes the place of the oldest that has asked for
/// nothing.
package final class OpenConnections: Sendable {
    private struct State {
        var queue: ConnectionQueue
        var channels: [ObjectIdentifier: any Channel] = [:]
        var evictions = 0
        var refusals = 0
    }

    /// What is open, and what became of the rest.
    package struct Use: Sendable, Equatable {
        package var connections: Int
        /// Of these, connections of which nothing whole has come.
        package var silent: Int
        /// Since the start.
        package var evictions: Int
        package var refusals: Int
    }

    package let limits: HTTPServerLimits
    private let state: Mutex<State>
    private let headTime: TimeAmount
    private let turnedAway: @Sendable (RefusalKind, SocketAddress?) -> Void

    init(limits: HTTPServerLimits, turnedAway: @escaping @Sendable (RefusalKind, SocketAddress?) -> Void) {
        let queue = ConnectionQueue(
            capacity: limits.connections, unknownCapacity: limits.unknownConnections,
            answerTime: UInt64(clamping: limits.answerTime.nanoseconds))
        self.limits = limits
        state = Mutex(State(queue: queue))
        headTime = limits.headTime
        self.turnedAway = turnedAway
    }

    package var use: Use {
        state.withLock {
            Use(
                connections: $0.queue.count, silent: $0.queue.silent, evictions: $0.evictions, refusals: $0.refusals)
        }
    }

    /// Counts a connection until it closes. Called on the connection's event loop.
    func opened(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        let (admission, victim) = state.withLock { state -> (ConnectionQueue.Admission, (any Channel)?) in
            let admission = state.queue.opened(id, now: claviger_monotonic_nanoseconds())
            switch admission {
            case .taken: break
            case .takenInPlace(let other):
                state.channels[id] = channel
                state.evictions += 1
                return (admission, state.channels.removeValue(forKey: other))
            case .refused:
                state.refusals += 1
                return (admission, nil)
            }
            state.channels[id] = channel
            return (admission, nil)
        }
        if admission == .refused {
            turnedAway(.connectionsFull, channel.remoteAddress)
            // It is not registered yet, and cannot be closed before.
            channel.eventLoop.execute { channel.close(promise: nil) }
            return
        }
        if let victim {
            turnedAway(.evicted, victim.remoteAddress)
            victim.close(promise: nil)
        }
        closeWhereNothingComes(channel, id)
    }

    /// Who is at its other end has been shown: it may stay, and ask later.
    package func introduced(_ channel: any Channel) {
        state.withLock { $0.queue.introduced(ObjectIdentifier(channel), now: claviger_monotonic_nanoseconds()) }
    }

    /// The head of a request has come; `answered` follows.
    func asked(_ channel: any Channel) {
        state.withLock { $0.queue.asked(ObjectIdentifier(channel), now: claviger_monotonic_nanoseconds()) }
    }

    func answered(_ channel: any Channel) {
        state.withLock { $0.queue.answered(ObjectIdentifier(channel), now: claviger_monotonic_nanoseconds()) }
    }

    private func closeWhereNothingComes(_ channel: any Channel, _ id: ObjectIdentifier) {
        let deadline = channel.eventLoop.scheduleTask(in: headTime) { [self] in
            guard state.withLock({ $0.queue.isSilent(id) }) else { return }
            turnedAway(.headerTimeout, channel.remoteAddress)
            channel.close(promise: nil)
        }
        channel.closeFuture.whenComplete { [self] _ in
            deadline.cancel()
            state.withLock { state in
                state.queue.closed(id)
                state.channels[id] = nil
            }
        }
    }
}

/// Reports each connection of a server to `OpenConnections`.
struct CountedChannel<Base: ServerChildChannel>: ServerChildChannel {
    let base: Base
    let connections: OpenConnections

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Base.Value> {
        connections.opened(channel)
        return base.setup(channel: channel, logger: logger)
    }

    func handle(value: Base.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}
