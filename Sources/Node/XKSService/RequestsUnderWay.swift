// SPDX-License-Identifier: Apache-2.0
import Routing
import Synchronization
import XKSProtocol

// What requests that have not been answered are at. Nothing is kept for it on a request's way: the pool holds what HSMs
// are asked for, and those that peers are asked for are noted where they are passed on.

/// A request that has not been answered, once it is known who sends it. Nothing secret is in it.
package struct RequestUnderWay: Sendable, Equatable {
    package enum Place: Sendable, Equatable {
        /// These HSMs are at it.
        case hsms([String])
        /// It waits for a lane of an HSM.
        case line
        /// Its ciphertext was refused, and that is being looked into; by these HSMs at the moment.
        case check([String])
        /// A peer has it; `nil` before one is chosen.
        case peer(String?)
    }

    package var operation: XKSOperation?
    /// Path prefix.
    package var keyStore: String
    package var externalKeyID: String?
    package var requestID: String?
    /// CLOCK_MONOTONIC, nanoseconds.
    package var receivedAt: UInt64
    /// The node that has passed it on to this one.
    package var forwardedBy: String?
    package var place: Place
    /// How many calls of HSMs were made for its present operation.
    package var attempts: Int

    init(_ exchange: Exchange, at place: Place, attempts: Int) {
        // Of the exchange what never changes once it is under way.
        let route = try? XKSRoute(target: exchange.request.target)
        operation = route?.operation
        keyStore = route?.prefix ?? ""
        externalKeyID = route?.externalKeyID
        requestID = exchange.requestID
        receivedAt = exchange.request.receivedAt
        forwardedBy = exchange.forwardedBy
        self.place = place
        self.attempts = attempts
    }
}

extension Exchange: OperationCaller {
    /// The pool asks whether the client is still there.
    var isGone: Bool { request.caller?.isGone ?? false }
}

extension XKSService {
    /// The requests that HSMs and peers are at, the oldest first.
    ///
    /// - Parameter operations: those of the pool.
    package func requestsUnderWay(_ operations: [OperationUnderWay]) -> [RequestUnderWay] {
        let here = operations.compactMap { operation -> RequestUnderWay? in
            guard let exchange = operation.caller as? Exchange else { return nil }
            let place: RequestUnderWay.Place =
                if operation.isChecked {
                    .check(operation.hsms)
                } else if operation.hsms.isEmpty, operation.isWaiting {
                    .line
                } else {
                    .hsms(operation.hsms)
                }
            return RequestUnderWay(exchange, at: place, attempts: operation.attempts)
        }
        return (here + passedOn.requests).sorted { $0.receivedAt < $1.receivedAt }
    }
}

/// The requests that peers have been asked for and not answered.
final class PassedOnRequests: Sendable {
    private struct Entry {
        var exchange: Exchange
        var peer: String?
    }

    private let entries = Mutex<[ObjectIdentifier: Entry]>([:])

    func add(_ exchange: Exchange) {
        entries.withLock { $0[ObjectIdentifier(exchange)] = Entry(exchange: exchange) }
    }

    func note(_ exchange: Exchange, askedOf peer: String) {
        entries.withLock { $0[ObjectIdentifier(exchange)]?.peer = peer }
    }

    func remove(_ exchange: Exchange) {
        entries.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(exchange)) }
    }

    /// In no order.
    var requests: [RequestUnderWay] {
        entries.withLock { Array($0.values) }.map { RequestUnderWay($0.exchange, at: .peer($0.peer), attempts: 0) }
    }
}
