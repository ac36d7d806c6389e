// SPDX-License-Identifier: Apache-2.0

/// What was noticed of a drill: as JSON, and as text for people.
package struct DrillReport: Sendable, Equatable, Codable {
    package var version: String
    package var node: String
    package var hsm: String
    /// Unix seconds.
    package var beganUnixSeconds: Int64
    /// Seconds for which the HSM was to be out, and was.
    package var plannedSeconds: Double
    package var outSeconds: Double
    /// `nil` where it went to its planned end.
    package var stopped: DrillWatch.Stop?
    package var stopReason: String?
    package var before: DrillPeriod?
    package var during: DrillPeriod?
    package var after: DrillPeriod?
    /// From the order to put it back until it served again, seconds.
    package var servesAgainAfterSeconds: Double?
    package var conditions: [DrillConditions.Entry]
    /// What one can act on, a sentence each.
    package var sentences: [String]

    package init(_ watch: DrillWatch, version: String, node: String, beganUnixSeconds: Int64) {
        self.version = version
        self.node = node
        self.beganUnixSeconds = beganUnixSeconds
        hsm = watch.settings.hsm
        plannedSeconds = watch.settings.out
        (stopped, stopReason) = (watch.stop, watch.stopText)
        func period(_ samples: [DrillSample]) -> DrillPeriod? {
            guard samples.count > 1, let first = samples.first, let last = samples.last else { return nil }
            return DrillPeriod(from: first, to: last)
        }
        (before, during, after) = (period(watch.before), period(watch.out), period(watch.after))
        let taken = watch.out.first?.at
        outSeconds = taken.map { (watch.givenBackAt ?? watch.out.last?.at ?? $0) - $0 } ?? 0
        if let given = watch.givenBackAt, let serves = watch.servesAgainAt {
            servesAgainAfterSeconds = max(serves - given, 0)
        }
        conditions = watch.conditions.changes
        sentences = []
        sentences = DrillText.sentences(self)
    }

    /// Requests came, they were served as if nothing had happened, and the HSM serves again.
    package var isGood: Bool {
        guard stopped == nil, servesAgainAfterSeconds != nil, let share = during?.servedShare else { return false }
        return share >= DrillText.goodShare
    }
}

/// What a drill says: pure.
package enum DrillText {
    /// Of the requests while the HSM was out.
    package static let goodShare = 0.999

    package static func number(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        let tenths = Int64((min(max(value, 0), 1e15) * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }

    static func sentences(_ report: DrillReport) -> [String] {
        var sentences: [String] = []
        if let reason = report.stopReason { sentences.append("It was stopped: \(reason).") }
        guard let during = report.during else {
            return sentences + ["\(report.hsm) was not out: nothing follows from it."]
        }
        sentences.append("HSM \(report.hsm) of node \(report.node) was out for \(number(report.outSeconds)) s.")
        if let share = during.servedShare {
            let failed = during.unreliable
            sentences.append(
                failed == 0
                    ? "All \(during.requests) requests were answered reliably meanwhile: callers noticed nothing."
                    : "\(failed) of \(during.requests) requests failed meanwhile, by AWS's rule: \(percent(share)) were served."
            )
        } else {
            sentences.append(
                "No request came meanwhile: what callers would have noticed is not known. Do it again under load, or make "
                    + "some: claviger bench.")
        }
        sentences.append(end(report))
        return sentences
    }

    private static func end(_ report: DrillReport) -> String {
        if let seconds = report.servesAgainAfterSeconds {
            return "\(report.hsm) served again \(number(seconds)) s after it was put back."
        }
        return "Whether \(report.hsm) serves again was not seen: look at claviger status."
    }

    private static func percent(_ share: Double) -> String {
        let thousandths = Int64((share * 100_000).rounded(.down))
        let fraction = "\(thousandths % 1_000)"
        return "\(thousandths / 1_000)." + String(repeating: "0", count: 3 - fraction.count) + fraction + " %"
    }
}

extension DrillReport {
    /// For people; the sentences last.
    package var text: String {
        let heads = ["", "seconds", "requests", "/s", "failed", "p50 ms", "p99 ms", "failovers", "hedges", "passed on"]
        var rows = [heads]
        for (name, period) in [("before", before), ("out", during), ("after", after)] {
            guard let period else { continue }
            rows.append([
                name, DrillText.number(period.seconds), "\(period.requests)", DrillText.number(period.perSecond),
                "\(period.unreliable)", period.p50.map(DrillText.number) ?? "-",
                period.p99.map(DrillText.number) ?? "-",
                "\(period.failovers)", "\(period.hedges)", "\(period.forwarded)",
            ])
        }
        let widths = heads.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        var lines = rows.map { row in
            row.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return column == 0 ? row[column] + padding : padding + row[column]
            }.joined(separator: "  ")
        }
        if let failures = during?.failures, !failures.isEmpty {
            lines += ["", "Not answered with 200 while it was out:"]
            lines += failures.map { "  \($0.requests)  \($0.what)" }
        }
        if !conditions.isEmpty {
            lines += ["", "Conditions:"]
            lines += conditions.map { condition in
                let began = condition.began.map { "from \(DrillText.number($0)) s" } ?? "from before"
                let ended = condition.ended.map { " to \(DrillText.number($0)) s" } ?? ""
                return "  \(began)\(ended)  \(condition.code): \(condition.text)"
            }
        }
        return (lines + [""] + sentences).joined(separator: "\n")
    }
}
