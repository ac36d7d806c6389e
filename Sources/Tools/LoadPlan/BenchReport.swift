// SPDX-License-Identifier: Apache-2.0

/// What a measurement of a proxy has found: as JSON, and as text for people. No secret is in it.
package struct BenchReport: Sendable, Equatable, Codable {
    /// What was found of one state of the proxy.
    package struct Finding: Sendable, Equatable, Codable {
        /// The HSM that was lost meanwhile.
        package var lostHSM: String?
        /// Requests a second that hold the demand; `nil` where none does, and where one rate alone was asked for.
        package var carried: Double?
        /// More was not tried, or could not be sent.
        package var isAtLeast: Bool
        /// Rates held for a while, and none for longer.
        package var isUnsteady: Bool
        /// In the order in which they were made; the last one is what `carried` stands on.
        package var trials: [TrialSummary]

        package init(lostHSM: String? = nil, trials: [TrialSummary], outcome: RateSearch.Outcome? = nil) {
            self.lostHSM = lostHSM
            self.trials = trials
            carried = outcome?.rate
            isAtLeast = outcome?.isGeneratorsLimit ?? false
            isUnsteady = outcome?.isUnsteady ?? false
        }
    }

    package enum Mode: String, Sendable, Codable {
        /// The highest rate was looked for.
        case search
        case open
        case closed
    }

    package var version: String
    package var url: String
    package var mode: Mode
    package var operations: [String]
    /// Milliseconds.
    package var roundTrip: Double
    package var findings: [Finding]
    /// What one can act on, a sentence each; the last one is the conclusion.
    package var sentences: [String]
    /// It was ended before its time: what follows from it is no more than its trials.
    package var wasStopped: Bool

    package init(
        version: String, url: String, mode: Mode, operations: [String], roundTrip: Double, findings: [Finding],
        wasStopped: Bool
    ) {
        self.version = version
        self.url = url
        self.mode = mode
        self.operations = operations
        self.roundTrip = roundTrip
        self.findings = findings
        self.wasStopped = wasStopped
        sentences = BenchSentences.all(mode: mode, findings: findings, wasStopped: wasStopped)
    }

    /// Whether what was demanded held: of a search, that a rate was found; else, that the trial held.
    package var isGood: Bool {
        guard !wasStopped, let last = findings.last else { return false }
        return mode == .search ? findings.allSatisfy { $0.carried != nil } : last.trials.last?.holds ?? false
    }
}

/// What follows from figures: pure.
package enum BenchSentences {
    /// Requests a second of a key store that AWS grants by default (AWS KMS developer guide, "Request quotas").
    package static let defaultQuota = 1_800.0

    /// 3 % less, and two digits: a quota that is asked for is a round number below what is carried.
    package static func quota(for carried: Double) -> Double {
        let most = carried * 0.97
        guard most >= 10 else { return max(most.rounded(.down), 1) }
        var unit = 1.0
        while most / unit >= 100 { unit *= 10 }
        return (most / unit).rounded(.down) * unit
    }

    static func all(
        mode: BenchReport.Mode, findings: [BenchReport.Finding], wasStopped: Bool
    ) -> [String] {
        if wasStopped { return ["It was stopped before its time: nothing follows from it."] }
        guard mode == .search else { return findings.flatMap { trial($0, mode) } }
        return findings.compactMap(carried) + [conclusion(findings)].compactMap(\.self)
    }

    private static func trial(_ finding: BenchReport.Finding, _ mode: BenchReport.Mode) -> [String] {
        guard let trial = finding.trials.last else { return [] }
        let share = BenchText.percent(trial.shareInTime)
        let lost = finding.lostHSM.map { " with HSM \($0) lost" } ?? ""
        let rate = trial.offeredPerSecond.map { "At \(BenchText.rate($0))/s" } ?? "In a closed loop"
        var sentences = [
            "\(rate)\(lost) \(share) of the requests are answered well within \(BenchText.number(trial.deadline)) ms: "
                + (trial.holds ? "that holds p99.9." : "that does not hold p99.9.")
        ]
        if mode == .closed {
            sentences.append(
                "It answers \(BenchText.rate(trial.goodPerSecond)) requests a second with \(trial.connections.mostAtATime) "
                    + "connections. KMS does not wait for answers before it sends: what is carried, the open loop tells."
            )
        }
        if let late = trial.generatorLatenessP99, late > TrialSummary.lateGenerator {
            sentences.append(
                "The generator itself came late (p99 \(BenchText.number(late)) ms): measure from another host, or with "
                    + "more --threads.")
        }
        return sentences
    }

    private static func carried(_ finding: BenchReport.Finding) -> String? {
        let state = finding.lostHSM.map { "with HSM \($0) lost" } ?? "with all HSMs"
        guard let rate = finding.carried, let trial = finding.trials.last else {
            return finding.isUnsteady
                ? "\(capitalized(state)) rates hold for a while, and none for longer."
                : "Not even \(BenchText.rate(RateSearch.least)) request a second is carried \(state)."
        }
        let least = finding.isAtLeast ? "at least " : ""
        return
            "\(capitalized(state)) it carries \(least)\(BenchText.rate(rate))/s: \(BenchText.percent(trial.shareInTime)) of "
            + "the answers within \(BenchText.number(trial.deadline)) ms, p99.9 \(BenchText.milliseconds(trial.p999))."
    }

    /// The last sentence.
    private static func conclusion(_ findings: [BenchReport.Finding]) -> String? {
        guard let worst = findings.last else { return nil }
        guard let rate = worst.carried else {
            return worst.isUnsteady
                ? "Nothing can be said: measure again while nothing else runs here or there, or longer (--for)."
                : "It cannot serve a key store as it is."
        }
        let quota = quota(for: rate)
        let least = worst.isAtLeast ? "at least " : ""
        let ask =
            quota < defaultQuota
            ? "ask AWS for quota \(BenchText.rate(quota)), in place of the default of \(BenchText.rate(defaultQuota))"
            : "ask AWS for quota \(BenchText.rate(quota))"
        guard worst.lostHSM != nil else {
            return
                "Carries \(least)\(BenchText.rate(rate))/s with all HSMs; what it carries with one lost is not known, and "
                + "is what a quota should be asked for by: point this at a node's admin socket (--config or --state-dir)."
        }
        return "Carries \(least)\(BenchText.rate(rate))/s with one HSM lost; \(ask)."
    }

    private static func capitalized(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }
}

/// Numbers as people read them.
package enum BenchText {
    /// `3,100`, and `8.5` below ten.
    package static func rate(_ value: Double) -> String {
        guard value.isFinite, value >= 0 else { return "–" }
        return value < 9.95 ? number(value) : grouped(Int64(min(value, 1e15).rounded()))
    }

    /// One decimal place where it says something.
    package static func number(_ value: Double) -> String {
        guard value.isFinite else { return "–" }
        let tenths = Int64((min(max(value, 0), 1e15) * 10).rounded())
        return tenths % 10 == 0 ? grouped(tenths / 10) : "\(grouped(tenths / 10)).\(tenths % 10)"
    }

    /// `nil`: a request that failed stands at that place.
    package static func milliseconds(_ value: Double?) -> String {
        guard let value else { return "failed" }
        guard value < 9.995 else { return "\(number(value)) ms" }
        let hundredths = Int64((max(value, 0) * 100).rounded())
        let digits = "\(hundredths % 100)"
        return "\(hundredths / 100).\(digits.count < 2 ? "0" + digits : digits) ms"
    }

    /// Never 100 % where one is missing: 99.97 %, 99.9996 %.
    package static func percent(_ share: Double) -> String {
        guard share.isFinite, share > 0 else { return "0 %" }
        guard share < 1 else { return "100 %" }
        var (scale, digits) = (100.0, 0)
        while digits < 6, (share * scale).rounded(.down) == scale - 1 || digits < 2 {
            scale *= 10
            digits += 1
        }
        let value = Int64((share * scale).rounded(.down))
        let divisor = Int64(scale / 100)
        let fraction = "\(value % divisor)"
        return "\(value / divisor)." + String(repeating: "0", count: max(digits - fraction.count, 0)) + fraction + " %"
    }

    package static func grouped(_ value: Int64) -> String {
        let digits = String(value.magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return (value < 0 ? "-" : "") + text
    }
}
