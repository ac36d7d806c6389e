// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// Remembers since when each condition has been so, and decides what the log says of it: once when it begins, once when
/// it has been gone for a while, and in between when it has another severity. One that comes and goes in seconds is one
/// condition.
package struct ConditionBook: Sendable {
    package enum News: Sendable, Equatable {
        case began(Condition)
        /// It is graver, or has been milder for a while.
        case changed(Condition, from: Condition.Severity)
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
        /// As the log was told.
        var told: Condition.Severity
        var milderSince: Int64?

        init(_ condition: Condition, since: Int64, now: Int64) {
            (self.condition, self.since, lastSeen, told) = (condition, since, now, condition.severity)
        }

        /// It is still so, or again.
        mutating func see(_ condition: Condition, now: Int64, isEnding: Bool) -> News? {
            if !isPresent { times += 1 }
            guard !isEnding else {
                (lastSeen, isPresent) = (now, true)
                return nil
            }
            (self.condition, lastSeen, isPresent) = (condition, now, true)
            guard condition.severity < told else {
                milderSince = nil
                return tell(condition)
            }
            let since = milderSince ?? now
            milderSince = since
            return now - since >= ConditionBook.grace ? tell(condition) : nil
        }

        private mutating func tell(_ condition: Condition) -> News? {
            guard condition.severity != told else { return nil }
            defer { (told, milderSince) = (condition.severity, nil) }
            return .changed(condition, from: told)
        }
    }

    /// How long one must be gone to have ended, or milder to be called so, seconds.
    package static let grace: Int64 = 10
    /// Most that are remembered: subjects come from the configuration and from peers.
    static let most = 1_000

    private var entries: [Identity: Entry] = [:]
    private var isEnding = false

    package init() {}

    /// The node has been told to end: what it does for that looks like trouble (nothing serves, the audit log is closed), and
    /// was wanted. From now on no condition begins or changes, but that a node ends; those that have begun may end.
    package mutating func end() { isEnding = true }

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
            if entries[identity] != nil {
                if let change = entries[identity]?.see(condition, now: now, isEnding: isEnding) {
                    news.append(change)
                }
            } else if mayBegin(condition), entries.count < Self.most {
                entries[identity] = Entry(
                    condition, since: condition.sinceUnixSeconds ?? unixSeconds, now: now)
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

    private func mayBegin(_ condition: Condition) -> Bool { !isEnding || condition.known == .nodeEnding }

    /// Those of them that are conditions: in a node that ends, those that had begun, as they were, and that it ends.
    package func standing(_ conditions: [Condition]) -> [Condition] {
        guard isEnding else { return conditions }
        return conditions.compactMap { condition in
            entries[Identity(condition)].map { entry in
                var standing = condition
                standing.severity = entry.condition.severity
                standing.text = entry.condition.text
                return standing
            } ?? (mayBegin(condition) ? condition : nil)
        }
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
