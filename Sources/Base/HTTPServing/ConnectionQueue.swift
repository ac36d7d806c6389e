// SPDX-License-Identifier: Apache-2.0

/// Which connection of a server makes room when one more comes than there is room for, in all or among those of whom
/// nothing is known: of those that have not sent a whole
/// request head yet the oldest, else of those that wait for a next request the one that has waited longest. One whose
/// request is in work is cut off only when its answer takes longer than an answer may: its client does not read it.
package struct ConnectionQueue {
    package enum Admission: Equatable {
        case taken
        /// There was no room; this connection is to be closed, and is not counted any more.
        case takenInPlace(of: ObjectIdentifier)
        /// Every connection has a request in work.
        case refused
    }

    private enum Phase: Comparable {
        /// Nothing whole has come of it, and nobody knows who it is.
        case silent
        /// It has no request in work.
        case waiting
        case working
    }

    private struct Entry {
        var phase: Phase
        /// Counts up with each change of any entry.
        var order: UInt64
        var since: UInt64
    }

    private let capacity: Int
    private let unknownCapacity: Int
    private let answerTime: UInt64
    private var entries: [ObjectIdentifier: Entry] = [:]
    private var changes: UInt64 = 0
    /// Connections of which nothing whole has come.
    package private(set) var silent = 0

    /// - Parameters:
    ///   - capacity: connections at a time, at least 1.
    ///   - unknownCapacity: of these, connections at a time of which nothing whole has come, at least 1.
    ///   - answerTime: how long a request may be in work before its connection may be cut off, nanoseconds.
    package init(capacity: Int, unknownCapacity: Int = .max, answerTime: UInt64) {
        self.capacity = max(capacity, 1)
        self.unknownCapacity = max(unknownCapacity, 1)
        self.answerTime = answerTime
    }

    package var count: Int { entries.count }

    /// Times are nanoseconds of one clock that is never set back.
    package mutating func opened(_ id: ObjectIdentifier, now: UInt64) -> Admission {
        guard entries.count >= capacity || silent >= unknownCapacity else {
            set(id, .silent, now)
            return .taken
        }
        let next = entries.min { ($0.value.phase, $0.value.order) < ($1.value.phase, $1.value.order) }
        guard let next, next.value.phase != .working || isOverdue(next.value, now) else { return .refused }
        remove(next.key)
        set(id, .silent, now)
        return .takenInPlace(of: next.key)
    }

    /// Who is at its other end has been shown: it may stay, and ask later.
    package mutating func introduced(_ id: ObjectIdentifier, now: UInt64) {
        if isSilent(id) { set(id, .waiting, now) }
    }

    /// A request head has come.
    package mutating func asked(_ id: ObjectIdentifier, now: UInt64) {
        if entries[id] != nil { set(id, .working, now) }
    }

    /// Its answer has been given.
    package mutating func answered(_ id: ObjectIdentifier, now: UInt64) {
        if entries[id] != nil { set(id, .waiting, now) }
    }

    package mutating func closed(_ id: ObjectIdentifier) { remove(id) }

    package func isSilent(_ id: ObjectIdentifier) -> Bool { entries[id]?.phase == .silent }

    private func isOverdue(_ entry: Entry, _ now: UInt64) -> Bool {
        now > entry.since && now - entry.since > answerTime
    }

    private mutating func set(_ id: ObjectIdentifier, _ phase: Phase, _ now: UInt64) {
        changes += 1
        remove(id)
        entries[id] = Entry(phase: phase, order: changes, since: now)
        if phase == .silent { silent += 1 }
    }

    private mutating func remove(_ id: ObjectIdentifier) {
        if entries.removeValue(forKey: id)?.phase == .silent { silent -= 1 }
    }
}
