// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import LoadGenerator
import LoadPlan

/// Makes the trials of a measurement, one after another.
struct BenchRun: Sendable {
    struct Result: Sendable {
        var findings: [BenchReport.Finding] = []
        /// Of the trials that the conclusion stands on.
        var lines: [BenchChart.Line] = []
        var wasStopped = false
    }

    let generator: LoadGenerator
    let calls: BenchCalls
    let options: BenchOptions
    /// The node of this host whose HSM is lost in the second part.
    let admin: AdminClient?
    /// Its name; `nil`: any.
    let hsm: String?

    private var demand: AnswerDemand { AnswerDemand(roundTrip: options.roundTripMilliseconds) }

    func run() async throws -> Result {
        var result = Result()
        // What stands in its way is said before the first half is measured.
        var lost: String?
        if let admin { lost = try await HSMOutage.choose(hsm, admin).name }
        try await measure(lost: nil, &result)
        guard let lost, let admin, !result.wasStopped else { return result }
        let outage = try await HSMOutage.begin(lost, admin)
        do {
            try await measure(lost: lost, &result)
        } catch {
            await outage.end()
            throw error
        }
        if let reason = outage.isTakenBack {
            throw failure("\(lost) did not stay out, so that nothing is known: \(reason)", status: ExitStatus.notDone)
        }
        if let trouble = await outage.end() { throw failure(trouble, status: ExitStatus.notDone) }
        return result
    }

    private func measure(lost: String?, _ result: inout Result) async throws {
        let finding: (BenchReport.Finding, BenchChart.Line?)
        switch options.mode {
        case .search: finding = try await search(lost: lost)
        case .open:
            let rate = options.rate ?? 1
            let trial = try await trial(options.settings(rate: rate), "\(BenchText.rate(rate))/s")
            finding = (
                .init(lostHSM: lost, trials: [TrialSummary(trial, offered: rate, demand: demand)]),
                .init(name: name("\(BenchText.rate(rate))/s", lost), trial: trial)
            )
        case .closed:
            let trial = try await trial(options.closedSettings, "closed loop")
            finding = (
                .init(lostHSM: lost, trials: [TrialSummary(trial, offered: nil, demand: demand)]),
                .init(name: name("closed loop, \(trial.mostConnections) connections", lost), trial: trial)
            )
        }
        result.findings.append(finding.0)
        if let line = finding.1 { result.lines.append(line) }
        result.wasStopped = result.wasStopped || Task.isCancelled
    }

    private func search(lost: String?) async throws -> (BenchReport.Finding, BenchChart.Line?) {
        var search = RateSearch(first: options.from, most: options.most)
        var trials: [TrialSummary] = []
        var last: BenchChart.Line?
        while !Task.isCancelled {
            let (rate, isLong): (Double, Bool)
            switch search.step {
            case .attempt(let next): (rate, isLong) = (next, false)
            case .confirm(let next): (rate, isLong) = (next, true)
            case .done(let outcome):
                return (.init(lostHSM: lost, trials: trials, outcome: outcome), last)
            }
            let words = name("\(BenchText.rate(rate))/s", lost)
            let trial = try await trial(options.settings(rate: rate, isLong: isLong), words)
            let summary = TrialSummary(trial, offered: rate, demand: demand)
            trials.append(summary)
            last = .init(name: words, trial: trial)
            search.add(summary.verdict)
        }
        return (.init(lostHSM: lost, trials: trials), last)
    }

    private func trial(_ settings: LoadSettings, _ name: String) async throws -> Trial {
        let progress = LoadProgress()
        let (generator, calls) = (generator, calls)
        return try await ProgressBar().during(name, seconds: settings.warmUp + settings.seconds, progress) {
            try await generator.run(settings, source: calls, progress: progress)
        }
    }

    private func name(_ words: String, _ lost: String?) -> String { lost.map { "\(words), \($0) lost" } ?? words }
}
