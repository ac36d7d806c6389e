// SPDX-License-Identifier: Apache-2.0
import Logging

/// How much of the log's buffer may be full before a line of a kind is dropped: what strangers can cause finds no room
/// long before what shows who has done what with a key.
package enum LogRoom: String, Sendable, CaseIterable {
    /// Requests that were refused before it was known who asks.
    case refused
    /// What a node says of itself, for those who look after it.
    case ordinary
    /// Requests that were signed with a credential of a key store.
    case authenticated
    /// Orders and their effects, and what somebody must act on.
    case orders

    /// For an event that is no request.
    package init(_ level: Logger.Level) { self = level >= .notice && level != .warning ? .orders : .ordinary }

    /// Bytes of a buffer of so many.
    func share(of capacity: Int) -> Int {
        switch self {
        case .refused: capacity / 4
        case .ordinary: capacity / 2
        case .authenticated: capacity - capacity / 8
        case .orders: capacity
        }
    }
}

/// Numbers of lines by `LogRoom`.
package struct LogLineCounts: Sendable, Equatable {
    private var numbers: [LogRoom: Int] = [:]

    package init() {}

    package mutating func count(_ room: LogRoom) { numbers[room, default: 0] += 1 }

    package subscript(room: LogRoom) -> Int { numbers[room, default: 0] }

    package var isEmpty: Bool { numbers.isEmpty }

    package var sum: Int { numbers.values.reduce(0, +) }
}
