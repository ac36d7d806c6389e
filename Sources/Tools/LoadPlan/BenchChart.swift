// SPDX-License-Identifier: Apache-2.0
import Charts

/// A measurement as one SVG file: the time to the answer by percentile, and over time, of what the conclusion stands on.
package struct BenchChart {
    /// One trial with what it is called.
    package struct Line {
        package var name: String
        package var trial: Trial

        package init(name: String, trial: Trial) {
            self.name = name
            self.trial = trial
        }
    }

    private static let colours = ["#1f6feb", "#c2410c", "#15803d", "#7e22ce"]
    private static let left = 70.0
    private static let stepsPerDecade = 20

    private let lines: [Line]
    private let deadline: Double
    private let title: String

    /// - Parameter lines: at most four; their trials have the histograms that a report's figures come from.
    package init(title: String, lines: [Line], deadline: Double) {
        self.title = title
        self.lines = Array(lines.prefix(Self.colours.count))
        self.deadline = deadline
    }

    package var svg: String {
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 \(470 + 18 * lines.count)" role="img" font-family="sans-serif" \
        font-size="12">
        <title>\(Self.escaped(title))</title>
        <style>svg{background:#fff;color:#1c1c1c}text{fill:currentColor}.grid{stroke:#8886;stroke-width:1}\
        .line{fill:none;stroke-width:2;vector-effect:non-scaling-stroke}.soft{stroke-dasharray:4 3}\
        @media (prefers-color-scheme:dark){svg{background:#14171a;color:#e6e6e6}}</style>
        <text x="16" y="24" font-size="15">\(Self.escaped(title))</text>
        \(percentiles(top: 60))
        \(overTime(top: 270))
        \(legend(top: 445))
        </svg>

        """
    }

    // MARK: By percentile

    private func percentiles(top: Double) -> String {
        let spectra = lines.map { Self.spectrum($0.trial) }
        let decades = max(spectra.map { $0.count / Self.stepsPerDecade + 1 }.max() ?? 1, 2)
        let chart = Chart(of: spectra.flatMap { $0 }, least: 1)
        let steps = decades * Self.stepsPerDecade
        let paths = spectra.enumerated().map { number, spectrum in
            path(
                chart.line(through: spectrum.enumerated().map { (Double($0.offset) / Double(steps), $0.element) }),
                number)
        }
        let names = ["0", "90", "99", "99.9", "99.99", "99.999", "99.9999", "99.99999"]
        let ticks = (0...decades).map { decade in
            (Double(decade) / Double(decades), names.indices.contains(decade) ? names[decade] : "")
        }
        return panel("Time to the answer, ms, by percentile", top, chart, ticks, paths + [demand(chart)])
    }

    /// Milliseconds at 1 − 10^(−step ÷ stepsPerDecade), as far as there are requests: a percentile of which nothing is known is
    /// not drawn, and one at which a request failed neither.
    static func spectrum(_ trial: Trial) -> [Double] {
        // The twentieth root of a tenth.
        let factor = 0.891_250_938_133_745_5
        var rest = 1.0
        var values: [Double] = []
        while values.count <= 7 * stepsPerDecade, rest * Double(trial.requests) >= 0.999,
            let value = trial.latency.milliseconds(atShare: 1 - rest, unfinished: trial.failed)
        {
            values.append(value)
            rest *= factor
        }
        return values
    }

    private func demand(_ chart: Chart) -> String {
        guard deadline <= chart.most else { return "" }
        let y = Chart.height * (1 - deadline / chart.most)
        return
            "<line x1=\"0\" x2=\"\(Chart.width)\" y1=\"\(y)\" y2=\"\(y)\" stroke=\"#b91c1c\" stroke-dasharray=\"6 4\"/>"
    }

    // MARK: Over time

    private func overTime(top: Double) -> String {
        let series = lines.map { line in
            (
                line.trial.intervals.map { $0.latency.milliseconds(atShare: 0.99, unfinished: $0.failed) },
                line.trial.intervals.map { $0.latency.milliseconds(atShare: 0.5, unfinished: $0.failed) }
            )
        }
        let chart = Chart(of: series.flatMap { $0.0 + $0.1 }, least: 1)
        let longest = max(series.map(\.0.count).max() ?? 1, 1)
        let seconds = lines.map { $0.trial.intervalSeconds }.max() ?? 1
        let paths = series.enumerated().flatMap { number, lines in
            [
                path(chart.line(padded(lines.0, to: longest)), number),
                path(chart.line(padded(lines.1, to: longest)), number, isSoft: true),
            ]
        }
        let end = BenchText.number(Double(max(longest - 1, 1)) * seconds)
        return panel(
            "ms over time: p99, and p50 (dashed); gaps where requests failed", top, chart,
            [(0, "0 s"), (1, "\(end) s")],
            paths + [demand(chart)])
    }

    private func padded(_ values: [Double?], to count: Int) -> [Double?] {
        values + Array(repeating: nil, count: max(count - values.count, 0))
    }

    // MARK: Parts

    private func path(_ data: String, _ number: Int, isSoft: Bool = false) -> String {
        "<path class=\"line\(isSoft ? " soft" : "")\" stroke=\"\(Self.colours[number % Self.colours.count])\" d=\"\(data)\"/>"
    }

    private func panel(
        _ name: String, _ top: Double, _ chart: Chart, _ ticks: [(Double, String)], _ content: [String]
    ) -> String {
        let grid = [0.0, 0.5, 1.0].map { part in
            let y = Chart.height * (1 - part)
            return "<line class=\"grid\" x1=\"0\" x2=\"\(Chart.width)\" y1=\"\(y)\" y2=\"\(y)\"/>"
                + "<text x=\"-8\" y=\"\(y + 4)\" text-anchor=\"end\">\(BenchText.number(chart.most * part))</text>"
        }
        let places = ticks.map { part, text in
            "<text x=\"\(Chart.width * part)\" y=\"\(Chart.height + 18)\" text-anchor=\"middle\">\(text)</text>"
        }
        return "<g transform=\"translate(\(Self.left) \(top))\"><text x=\"0\" y=\"-12\">\(Self.escaped(name))</text>"
            + (grid + places + content).joined() + "</g>"
    }

    private func legend(top: Double) -> String {
        let demanded =
            "<line x1=\"16\" x2=\"40\" y1=\"\(top - 4)\" y2=\"\(top - 4)\" stroke=\"#b91c1c\" stroke-dasharray=\"6 4\"/>"
            + "<text x=\"48\" y=\"\(top)\">\(BenchText.number(deadline)) ms: KMS's patience without the round trip</text>"
        return lines.enumerated().reduce(demanded) { text, line in
            let y = top + 18 * Double(line.offset + 1)
            return text + "<line x1=\"16\" x2=\"40\" y1=\"\(y - 4)\" y2=\"\(y - 4)\" stroke-width=\"2\" "
                + "stroke=\"\(Self.colours[line.offset % Self.colours.count])\"/>"
                + "<text x=\"48\" y=\"\(y)\">\(Self.escaped(line.element.name))</text>"
        }
    }

    /// For text and attributes of XML; what XML cannot hold is left out.
    static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF: break
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
}
