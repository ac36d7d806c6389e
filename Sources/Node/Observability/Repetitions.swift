// SPDX-License-Identifier: Apache-2.0

/// Decides which lines are said of what happens again and again: the first, then one with a count after ten seconds, twenty,
/// forty and so on up to an hour, and one when it has ended.
///
/// Time is an argument, seconds of a clock that is never set back.
package struct Repetitions: Sendable {
    /// Something that has not happened for a while.
    package struct Ended: Sendable, Equatable {
        package var key: String
        /// How often it has happened in all, 2 or more.
        package var times: Int
        /// From the first to the last time, seconds.
        package var seconds: Int64
    }

    private struct Entry {
        var first: Int64
        var last: Int64
        var said: Int64
        /// Seconds to the next line, if it goes on.
        var interval = Repetitions.shortest
        var total = 1
        var unsaid = 0
    }

    static let shortest: Int64 = 10
    static let longest: Int64 = 3_600
    /// Seconds without it after which it has ended. Workers are started anew at least every minute.
    package static let quiet: Int64 = 120

    private let capacity: Int
    private var entries: [String: Entry] = [:]

    /// - Parameter capacity: how many things are told apart, at least 1. The one that is longest ago makes room for another.
    package init(capacity: Int = 256) { self.capacity = max(capacity, 1) }

    /// How often it has happened since the last line about it, if there is to be a line now; `nil`: there is none.
    package mutating func happened(_ key: String, now: Int64) -> Int? {
        guard var entry = entries[key], now < entry.last + Self.quiet else {
            if entries.count >= capacity, let oldest = entries.min(by: { $0.value.last < $1.value.last }) {
                entries[oldest.key] = nil
            }
            entries[key] = Entry(first: now, last: now, said: now)
            return 1
        }
        entry.total += 1
        entry.unsaid += 1
        entry.last = max(now, entry.last)
        defer { entries[key] = entry }
        guard now >= entry.said + entry.interval else { return nil }
        let times = entry.unsaid
        entry.unsaid = 0
        entry.said = now
        entry.interval = min(entry.interval * 2, Self.longest)
        return times
    }

    /// What has happened more than once, and not for `quiet` seconds: each once.
    package mutating func ended(now: Int64) -> [Ended] {
        let over = entries.filter { now >= $0.value.last + Self.quiet }
        for key in over.keys { entries[key] = nil }
        return over.filter { $0.value.total > 1 }
            .map { Ended(key: $0.key, times: $0.value.total, seconds: $0.value.last - $0.value.first) }
            .sorted { $0.key < $1.key }
    }
}
