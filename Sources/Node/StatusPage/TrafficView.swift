// SPDX-License-Identifier: Apache-2.0
import Charts

/// The two charts of the last quarter of an hour.
struct TrafficView {
    let history: TrafficHistory

    var charts: [Fields] {
        let steps = history.steps
        return [requests(steps), latency(steps)]
    }

    private func requests(_ steps: [TrafficHistory.Step?]) -> Fields {
        let rates = steps.map { $0?.rate }
        let failed = steps.map { $0?.unreliableRate }
        let chart = Chart(of: rates, least: 10)
        let known = rates.compactMap(\.self)
        let bad = failed.compactMap(\.self).reduce(0) { $0 + $1 * Double(TrafficHistory.stepSeconds) }
        let words =
            known.isEmpty
            ? "Nothing is known yet."
            : "Now \(PageText.rate(known.last ?? 0)), at most \(PageText.rate(known.max() ?? 0)), at least "
                + "\(PageText.rate(known.min() ?? 0)) requests a second; about \(PageText.grouped(Int64(min(bad, 1e15).rounded()))) of "
                + "all were unreliable by AWS's rule."
        var paths: [Fields] = [
            ["style": "area", "path": chart.area(rates)], ["style": "main", "path": chart.line(rates)],
        ]
        let hasFailed = failed.contains { ($0 ?? 0) > 0 }
        if hasFailed { paths.append(["style": "failed", "path": chart.area(failed.map { ($0 ?? 0) > 0 ? $0 : nil })]) }
        return [
            "id": "requests", "name": "Requests a second", "now": PageText.rate(history.current?.rate ?? 0),
            "unit": "requests a second", "most": PageText.rate(chart.most), "description": words, "paths": paths,
            "legend": [
                ["style": "main", "text": "requests"] as Fields,
                ["style": "failed", "text": hasFailed ? "unreliable by AWS's rule" : "unreliable by AWS's rule: none"],
            ],
        ]
    }

    private func latency(_ steps: [TrafficHistory.Step?]) -> Fields {
        let (medians, slowest) = (steps.map { $0?.median }, steps.map { $0?.p99 })
        let chart = Chart(of: medians + slowest, least: 5)
        let last = steps.compactMap(\.self).last { $0.median != nil }
        let words =
            last.map { step in
                "Now half of the answers take at most \(PageText.milliseconds(step.median ?? 0)) ms, and 99 % at most "
                    + "\(PageText.milliseconds(step.p99 ?? 0)) ms; the slowest 1 % took at most "
                    + "\(PageText.milliseconds(slowest.compactMap(\.self).max() ?? 0)) ms at its worst."
            } ?? "Nothing has been answered yet."
        return [
            "id": "latency", "name": "Time to the answer, milliseconds",
            "now": history.current?.p99.map(PageText.milliseconds) ?? "–", "unit": "ms for 99 % of the answers",
            "most": "\(PageText.milliseconds(chart.most)) ms", "description": words,
            "paths": [
                ["style": "main", "path": chart.line(slowest)] as Fields,
                ["style": "second", "path": chart.line(medians)],
            ],
            "legend": [
                ["style": "main", "text": "99 % are faster (p99)"] as Fields,
                ["style": "second", "text": "half are faster (p50)"],
            ],
        ]
    }
}
