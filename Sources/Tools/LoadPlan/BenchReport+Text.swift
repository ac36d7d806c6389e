// SPDX-License-Identifier: Apache-2.0

extension BenchReport {
    /// For people: 80 columns, the sentences last.
    package var text: String {
        var lines = ["\(url)", "\(operations.joined(separator: ", ")); \(Self.explanation(mode, roundTrip))", ""]
        for finding in findings {
            lines += Self.table(finding) + [""]
            if let trial = finding.trials.last { lines += Self.details(trial) + [""] }
        }
        return (lines + sentences).joined(separator: "\n")
    }

    private static func explanation(_ mode: Mode, _ roundTrip: Double) -> String {
        let deadline = BenchText.number(AnswerDemand(roundTrip: roundTrip).deadline)
        let rule = "in time: within \(deadline) ms"
        return switch mode {
        case .search, .open: "times since a request was due; \(rule)"
        case .closed: "times since a request was sent; \(rule)"
        }
    }

    private static let heads = [
        "asked/s", "good/s", "in time", "p50 ms", "p99 ms", "p99.9 ms", "longest", "failed", "",
    ]

    private static func table(_ finding: Finding) -> [String] {
        var rows = [heads]
        for trial in finding.trials {
            rows.append([
                trial.offeredPerSecond.map(BenchText.rate) ?? "-", BenchText.rate(trial.goodPerSecond),
                BenchText.percent(trial.shareInTime), plain(trial.p50), plain(trial.p99), plain(trial.p999),
                trial.longest.map { plain($0) } ?? "-", BenchText.grouped(Int64(clamping: trial.requests - trial.good)),
                trial.holds ? "holds" : trial.verdict == .unsent ? "generator late" : "no",
            ])
        }
        let widths = heads.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let state = finding.lostHSM.map { "With HSM \($0) lost:" } ?? "With all HSMs:"
        return [state]
            + rows.map { row in
                row.indices.map { column in
                    let padding = String(repeating: " ", count: widths[column] - row[column].count)
                    return column == row.count - 1 ? row[column] : padding + row[column]
                }.joined(separator: "  ").trimmedAtEnd
            }
    }

    private static func plain(_ milliseconds: Double?) -> String {
        let text = BenchText.milliseconds(milliseconds)
        return text.hasSuffix(" ms") ? String(text.dropLast(3)) : text
    }

    private static func details(_ trial: TrialSummary) -> [String] {
        var lines: [String] = []
        if let sent = trial.sentBytesPerRequest, let received = trial.receivedBytesPerRequest {
            lines.append(
                "A request has \(BenchText.rate(sent)) bytes, its answer \(BenchText.rate(received)), TLS included, TCP and IP "
                    + "aside.")
            lines.append(
                "1,000 requests a second: \(megabits(trial.sentMegabitsPerThousand)) to the proxy, "
                    + "\(megabits(trial.receivedMegabitsPerThousand)) from it.")
        }
        let connections = trial.connections
        var line =
            "\(BenchText.grouped(Int64(clamping: connections.opened))) connections were opened (at most "
            + "\(connections.mostAtATime) at a time): TCP p50 \(BenchText.milliseconds(connections.connectP50)), p99 "
            + "\(BenchText.milliseconds(connections.connectP99))"
        if let p50 = connections.handshakeP50, let sent = connections.handshakeSentBytes,
            let received = connections.handshakeReceivedBytes
        {
            line +=
                "; TLS handshake p50 \(BenchText.milliseconds(p50)), p99 "
                + "\(BenchText.milliseconds(connections.handshakeP99)), \(BenchText.rate(sent)) bytes sent, "
                + "\(BenchText.rate(received)) received"
        }
        if connections.opened > 0 { lines.append(line + ".") }
        if connections.failed > 0 {
            lines.append("\(BenchText.grouped(Int64(clamping: connections.failed))) connections could not be opened.")
        }
        lines += trial.failures.prefix(10).map { failure in
            "Failed: \(BenchText.grouped(Int64(clamping: failure.requests))) × \(failure.what)."
        }
        return lines
    }

    private static func megabits(_ value: Double?) -> String { "\(BenchText.number(value ?? 0)) Mbit/s" }
}

extension String {
    fileprivate var trimmedAtEnd: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
