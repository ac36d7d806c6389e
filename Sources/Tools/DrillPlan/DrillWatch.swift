// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

/// Leads a drill in which an HSM is lost: what comes next follows from what the node shows. Pure: samples come in, orders go
/// out; time is that of the samples.
package struct DrillWatch: Sendable {
    package struct Settings: Sendable {
        package var hsm: String
        /// Seconds that are watched before, with the HSM out, and after it is back.
        package var before: Double
        package var out: Double
        package var after: Double
        /// The HSM is put back at once when more than this part, 0 to 1, of the requests of `window` fail.
        package var stopShare: Double

        package init(hsm: String, before: Double, out: Double, after: Double, stopShare: Double) {
            self.hsm = hsm
            self.before = before
            self.out = out
            self.after = after
            self.stopShare = stopShare
        }
    }

    /// Seconds of the stop rule, and the fewest requests that have to fail in them: one of three proves nothing.
    package static let window = 5.0
    package static let fewestFailures = 5.0
    /// How long the HSM may take to serve again, seconds.
    package static let longestReturn = 60.0
    /// Samples in a row that may be missing while the HSM is out.
    package static let mostMissing = 3

    package enum Order: Sendable, Equatable {
        case goOn
        case takeOut
        case giveBack
        case finish
    }

    /// Why it did not go to its planned end.
    package enum Stop: String, Sendable, Codable, Equatable {
        /// Requests failed before anything was done.
        case failingBefore
        /// The stop rule.
        case failing
        /// A critical condition began.
        case critical
        /// The node did not answer.
        case silent
        /// The node was started anew.
        case restarted
        /// Somebody, or the node, has put the HSM back, or drained it for good.
        case takenBack
        /// A person ended it.
        case interrupted
        /// It did not serve again in time.
        case notBack
    }

    enum Phase: Sendable, Equatable { case before, out, returning, after, done }

    package let settings: Settings
    private(set) var phase = Phase.before
    /// Of each phase, as far as it has come: the last one of a phase is the first of the next.
    private(set) var before: [DrillSample] = []
    private(set) var out: [DrillSample] = []
    private(set) var after: [DrillSample] = []
    private(set) var stop: Stop?
    /// For people.
    private(set) var stopText: String?
    /// When it was ordered to be put back, and served again: seconds since the beginning.
    private(set) var givenBackAt: Double?
    private(set) var servesAgainAt: Double?
    private(set) var conditions = DrillConditions()
    private var missing = 0

    package init(_ settings: Settings) { self.settings = settings }

    /// A person has ended it.
    package var isInterrupted: Bool { stop == .interrupted }

    /// Where it stands, in one line.
    package var progress: String {
        let (name, samples, planned): (String, [DrillSample], Double) =
            switch phase {
            case .before: ("before", before, settings.before)
            case .out: ("\(settings.hsm) is out", out, settings.out)
            case .returning: ("\(settings.hsm) comes back", after, 0)
            case .after, .done: ("after", after, settings.after)
            }
        guard let first = samples.first, let last = samples.last else { return name }
        let period = DrillPeriod(from: first, to: last)
        let of = planned > 0 ? " of \(DrillText.number(planned))" : ""
        return "\(name): \(Int(period.seconds))\(of) s, \(period.requests) requests, \(period.unreliable) failed"
    }

    // MARK: Events

    package mutating func add(_ sample: DrillSample) -> Order {
        missing = 0
        let known = (before + out + after).last
        conditions.note(sample.conditions, at: sample.at)
        if let known, known.startTime != sample.startTime {
            return halt(.restarted, "the node was started anew, and has all its HSMs", at: sample.at)
        }
        switch phase {
        case .before: return addBefore(sample)
        case .out: return addOut(sample)
        case .returning: return addReturning(sample)
        case .after:
            after.append(sample)
            return sample.at - (after.first?.at ?? 0) >= settings.after ? finish() : .goOn
        case .done: return .finish
        }
    }

    /// The node did not answer.
    package mutating func missed(at now: Double, _ reason: String) -> Order {
        missing += 1
        guard missing >= Self.mostMissing else { return .goOn }
        return halt(.silent, "the node does not answer: \(reason)", at: now)
    }

    /// Something else ends it.
    package mutating func halt(_ reason: Stop, _ text: String, at now: Double) -> Order {
        guard phase != .done else { return .finish }
        if stop == nil { (stop, stopText) = (reason, text) }
        switch phase {
        case .before, .after, .done: return finish()
        case .out:
            phase = .returning
            givenBackAt = now
            return .giveBack
        case .returning:
            // What was to be done has been ordered.
            return reason == .interrupted || reason == .silent || reason == .restarted ? finish() : .goOn
        }
    }

    private mutating func finish() -> Order {
        phase = .done
        return .finish
    }

    // MARK: Phases

    private mutating func addBefore(_ sample: DrillSample) -> Order {
        before.append(sample)
        guard let first = before.first, sample.at - first.at >= settings.before else { return .goOn }
        if let text = failing(before) {
            return halt(
                .failingBefore, "\(text) before anything was done, and \(settings.hsm) was left in use", at: sample.at)
        }
        phase = .out
        out = [sample]
        return .takeOut
    }

    private mutating func addOut(_ sample: DrillSample) -> Order {
        out.append(sample)
        if let text = failing(out) {
            return halt(.failing, text, at: sample.at)
        }
        // The first sample may be older than the order.
        if out.count > 2, !sample.isDrained {
            return halt(.takenBack, "\(settings.hsm) is in use again, by somebody else's order", at: sample.at)
        }
        let known = Set(before.flatMap { $0.conditions.map(DrillConditions.key) })
        let critical = sample.conditions.first {
            $0.severity == .critical && !known.contains(DrillConditions.key($0))
        }
        if let critical { return halt(.critical, critical.text, at: sample.at) }
        guard sample.at - (out.first?.at ?? 0) >= settings.out else { return .goOn }
        phase = .returning
        givenBackAt = sample.at
        return .giveBack
    }

    private mutating func addReturning(_ sample: DrillSample) -> Order {
        let begin = givenBackAt ?? sample.at
        if after.isEmpty, let last = out.last { after = [last] }
        after.append(sample)
        if sample.serves, !sample.isDrained {
            servesAgainAt = sample.at
            // What a stop was for is known; whoever waits for the terminal need not wait longer.
            if stop == .interrupted { return finish() }
            phase = .after
            return sample.at - (after.first?.at ?? 0) >= settings.after ? finish() : .goOn
        }
        // Somebody has drained it for good: it is theirs, and nobody waits for it.
        if stop == .takenBack, sample.isDrained { return finish() }
        guard sample.at - begin >= Self.longestReturn else { return .goOn }
        if stop == nil {
            (stop, stopText) = (
                .notBack, "\(settings.hsm) does not serve again \(Int(Self.longestReturn)) s after it was put back"
            )
        }
        return finish()
    }

    /// That more fail than may, in words.
    private func failing(_ samples: [DrillSample]) -> String? {
        guard let last = samples.last,
            let begin = samples.last(where: { last.at - $0.at >= Self.window }) ?? samples.first
        else { return nil }
        let period = DrillPeriod(from: begin, to: last)
        guard Double(period.unreliable) >= Self.fewestFailures,
            Double(period.unreliable) > settings.stopShare * Double(period.requests)
        else { return nil }
        return "\(period.unreliable) of \(period.requests) requests failed within \(DrillText.number(period.seconds)) s"
    }
}

/// Which conditions began and ended while somebody watched.
package struct DrillConditions: Sendable {
    package struct Entry: Sendable, Equatable, Codable {
        package var code: String
        package var severity: Condition.Severity
        package var subject: String
        package var text: String
        /// Seconds since the drill began; `nil`: before it.
        package var began: Double?
        /// `nil`: it has not.
        package var ended: Double?
    }

    private var entries: [(key: String, entry: Entry)] = []
    private var isBegun = false

    /// Those that began or ended while the drill was watching, in the order in which they began.
    package var changes: [Entry] { entries.map(\.entry).filter { $0.began != nil || $0.ended != nil } }

    static func key(_ condition: Condition) -> String { "\(condition.code)|\(condition.node)|\(condition.subject)" }

    mutating func note(_ conditions: [Condition], at now: Double) {
        let keys = Set(conditions.map(Self.key))
        for index in entries.indices where entries[index].entry.ended == nil && !keys.contains(entries[index].key) {
            entries[index].entry.ended = now
        }
        for condition in conditions {
            let key = Self.key(condition)
            guard !entries.contains(where: { $0.key == key && $0.entry.ended == nil }), entries.count < 500 else {
                continue
            }
            entries.append(
                (
                    key,
                    Entry(
                        code: condition.code, severity: condition.severity, subject: condition.subject,
                        text: condition.text, began: isBegun ? now : nil, ended: nil)
                ))
        }
        isBegun = true
    }
}
