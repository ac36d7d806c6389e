// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The ledger of one listener behind a lock, with what closes each connection.
package final class ConnectionBudget: Sendable {
    private struct State {
        var ledger: ConnectionLedger
        var closers: [ConnectionID: @Sendable () -> Void] = [:]

        mutating func take(_ evicted: [ConnectionLedger.Evicted]) -> [Closing] {
            evicted.compactMap { one in
                closers.removeValue(forKey: one.id).map { Closing(address: one.address, close: $0) }
            }
        }
    }

    private struct Closing {
        let address: AddressPrefix?
        let close: @Sendable () -> Void
    }

    /// What is open, and what became of the rest.
    package struct Use: Sendable, Equatable {
        package var share: ListenerShare
        package var connections: Int
        package var silent: Int
        package var unauthenticated: Int
        package var authenticated: Int
        /// Held by those that have not authenticated.
        package var bytes: Int
        /// Since the start.
        package var evictions: Int
        package var refusals: Int
    }

    package let listener: ListenerName
    private let refusals: RefusalCounter
    private let clock: @Sendable () -> UInt64
    private let state: Mutex<State>

    /// - Parameter clock: nanoseconds of a clock that is never set back.
    package init(
        listener: ListenerName, share: ListenerShare, refusals: RefusalCounter,
        clock: @escaping @Sendable () -> UInt64
    ) {
        self.listener = listener
        self.refusals = refusals
        self.clock = clock
        state = Mutex(State(ledger: ConnectionLedger(share: share)))
    }

    package var use: Use {
        state.withLock { state in
            let ledger = state.ledger
            return Use(
                share: ledger.share, connections: ledger.connections, silent: ledger.silentConnections,
                unauthenticated: ledger.unauthenticatedConnections, authenticated: ledger.authenticatedConnections,
                bytes: ledger.bytes, evictions: ledger.evictions, refusals: ledger.refusals)
        }
    }

    /// A connection has come; nil: it has to be closed at once. Pair with `closed`.
    ///
    /// - Parameter close: closes the connection at once, on any thread, without waiting; called at most once, when it has
    ///   to make room for another one.
    package func opened(from address: AddressPrefix?, close: @escaping @Sendable () -> Void) -> ConnectionID? {
        let now = clock()
        let opening = state.withLock { state -> (ConnectionID, [Closing])? in
            guard case .admitted(let id, let evicted) = state.ledger.opened(from: address, now: now) else { return nil }
            let closing = state.take(evicted)
            state.closers[id] = close
            return (id, closing)
        }
        guard let (id, evicted) = opening else {
            refusals.count(.connectionsFull, at: listener, from: address)
            return nil
        }
        finish(evicted)
        return id
    }

    /// The connection, which came by way of a balancer, is one of `address`.
    package func moved(_ id: ConnectionID, to address: AddressPrefix?) {
        let now = clock()
        finish(
            state.withLock { state in
                let evicted = state.ledger.moved(id, to: address, now: now)
                return state.take(evicted)
            })
    }

    /// Its first bytes have come.
    package func spoke(_ id: ConnectionID) { state.withLock { $0.ledger.spoke(id) } }

    /// One of its requests was authenticated; for later ones, at most once a second.
    package func authenticated(_ id: ConnectionID) {
        let now = clock()
        state.withLock { $0.ledger.authenticated(id, now: now) }
    }

    /// Counts more bytes to it; false: there is no room, and they may not be taken.
    package func charge(_ id: ConnectionID, bytes: Int) -> Bool {
        let now = clock()
        let (hasRoom, evicted) = state.withLock { state in
            let (hasRoom, evicted) = state.ledger.charge(id, bytes: bytes, now: now)
            return (hasRoom, state.take(evicted))
        }
        finish(evicted)
        return hasRoom
    }

    /// Takes back what was counted by `charge`.
    package func release(_ id: ConnectionID, bytes: Int) { state.withLock { $0.ledger.release(id, bytes: bytes) } }

    /// It is closed.
    package func closed(_ id: ConnectionID) {
        state.withLock { state in
            state.ledger.closed(id)
            state.closers[id] = nil
        }
    }

    /// Outside the lock: closing may come back here.
    private func finish(_ evicted: [Closing]) {
        for closing in evicted {
            refusals.count(.evicted, at: listener, from: closing.address)
            closing.close()
        }
    }
}
