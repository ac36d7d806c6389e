// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// Remembers since when each condition has been so, and decides what the log says of it: once when it begins, and once when
/// it has been gone for a while. One that comes and goes in seconds is one condition.
package struct ConditionBook: Sendable {
    package enum News: Sendable, Equatable {
        case began(Condition)
        /// - Parameters:
        ///   - seconds: from its beginning until it was last seen.
        ///   - times: how often it came in that time.
        case ended(Condition, seconds: Int64, times: Int)
    }

    private struct Identity: Hashable {
        var code: String
        var node: String
        var subject: String

        init(_ condition: Condition) {
            (code, node, subject) = (condition.code, condition.node, condition.subject)
        }
    }

    private struct Entry {
        var condition: Condition
        var since: Int64
        var lastSeen: Int64
        var times = 1
        var isPresent = true
    }

    /// How long one must be gone to have ended, seconds.
    package static let grace: Int64 = 10
    /// Most that are remembered: subjects come from the configuration and from peers.
    static let most = 1_000

    private var entries: [Identity: Entry] = [:]

    package init() {}

    /// What is so now.
    ///
    /// - Parameter now: seconds of a clock that does not jump; only differences count.
    /// - Parameter unixSeconds: what people are told of the time.
    package mutating func update(_ current: [Condition], now: Int64, unixSeconds: Int64) -> [News] {
        var news: [News] = []
        var present: Set<Identity> = []
        for condition in current {
            let identity = Identity(condition)
            guard present.insert(identity).inserted else { continue }
            if var entry = entries[identity] {
                if !entry.isPresent { entry.times += 1 }
                // It has become graver: people are told anew.
                if entry.condition.severity == .warning && condition.severity == .critical {
                    news.append(.began(condition))
                }
                entry.condition = condition
                entry.lastSeen = now
                entry.isPresent = true
                entries[identity] = entry
            } else if entries.count < Self.most {
                entries[identity] = Entry(
                    condition: condition, since: condition.sinceUnixSeconds ?? unixSeconds, lastSeen: now)
                news.append(.began(condition))
            }
        }
        for (identity, entry) in entries where !present.contains(identity) {
            entries[identity]?.isPresent = false
            guard now - entry.lastSeen >= Self.grace else { continue }
            entries[identity] = nil
            let gone = now - entry.lastSeen
            news.append(
                .ended(entry.condition, seconds: max(unixSeconds - gone - entry.since, 0), times: entry.times))
        }
        return news
    }

    /// The same conditions, with since when each has been so.
    package func dated(_ conditions: [Condition]) -> [Condition] {
        conditions.map { condition in
            guard condition.sinceUnixSeconds == nil, let entry = entries[Identity(condition)] else { return condition }
            var dated = condition
            dated.sinceUnixSeconds = entry.since
            return dated
        }
    }
}
