// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits

/// Decides when the log says that peers were turned away: for each listener, kind and address at once, and as long as it
/// goes on after a minute, two, four and so on up to an hour; at most so many lines in all, the rest as one sum.
///
/// Time is an argument, Unix seconds; a clock that is set back delays lines.
package struct RefusalReport: Sendable {
    /// One line of the log.
    package struct Line: Sendable, Equatable {
        package var listener: ListenerName
        package var kind: RefusalKind
        package var address: AddressPrefix?
        /// Since the last line of the same.
        package var count: Int
        /// Since the start of the node.
        package var total: Int
        package var detail: String?
    }

    /// What is said at a time.
    package struct Lines: Sendable, Equatable {
        package var lines: [Line] = []
        /// Peers that were turned away and of whom no line tells, because there would be too many lines.
        package var others = 0

        package init() {}
    }

    private struct Said {
        var total: Int
        var at: Int64
        /// Seconds to the next line, if it goes on.
        var interval: Int64
    }

    private static let shortest: Int64 = 60
    private static let longest: Int64 = 3_600
    /// Lines in one minute.
    package static let mostPerMinute = 20

    private var said: [RefusalCount.Key: Said] = [:]
    private var minute = Int64.min
    private var linesOfMinute = 0

    package init() {}

    /// What is to be said of these counts (`RefusalCounter.counts`) now.
    package mutating func lines(of counts: [RefusalCount], now: Int64) -> Lines {
        if now / 60 != minute {
            minute = now / 60
            linesOfMinute = 0
        }
        forgetRows(thatAreNotIn: counts)
        var result = Lines()
        for row in counts {
            let key = row.key
            let before = said[key]
            let new = row.count - (before?.total ?? 0)
            guard new > 0, before.map({ now - $0.at >= $0.interval || now < $0.at }) ?? true else { continue }
            // What has been quiet for an hour is new again.
            let wasQuiet = before.map { now - $0.at > Self.longest } ?? true
            let interval = wasQuiet ? Self.shortest : min((before?.interval ?? Self.shortest) * 2, Self.longest)
            said[key] = Said(total: row.count, at: now, interval: interval)
            guard linesOfMinute < Self.mostPerMinute else {
                result.others += new
                continue
            }
            linesOfMinute += 1
            result.lines.append(
                Line(
                    listener: row.listener, kind: row.kind, address: row.address, count: new, total: row.count,
                    detail: row.detail))
        }
        return result
    }

    /// A row that made room for another was counted to the one of its kind without address: what was said of it has been
    /// said.
    private mutating func forgetRows(thatAreNotIn counts: [RefusalCount]) {
        guard said.count > 0 else { return }
        let keys = Set(counts.map(\.key))
        for (key, row) in said where !keys.contains(key) {
            said[key] = nil
            let sum = key.withoutAddress
            said[sum, default: Said(total: 0, at: row.at, interval: Self.shortest)].total += row.total
        }
    }
}
