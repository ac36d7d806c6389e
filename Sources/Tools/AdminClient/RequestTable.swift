// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// What a node is at, and what took longest lately, for people: pure.
package enum RequestTable {
    /// Requests under way that are shown, the oldest first; JSON has more.
    static let underWayShown = 40

    package static func text(_ report: RequestsReport, on page: Page) -> String {
        let count = report.inFlight == 1 ? "1 request" : "\(report.inFlight) requests"
        var sections = [page.paragraph("node \(page.plain(report.node)): \(count) in flight")]
        sections.append(underWay(report.underWay, page))
        sections.append(
            report.slowest.isEmpty
                ? page.paragraph("no request of the last minute") : slowest(report.slowest, page))
        return page.finished(
            sections.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }.joined(separator: "\n\n"))
    }

    private static func underWay(_ requests: [RequestsReport.UnderWay], _ page: Page) -> [String] {
        guard !requests.isEmpty else { return [] }
        var table = Table(columns: [
            .right("for ms", padded: 6), .left("operation", rank: 4), .left("at", least: 10),
            .right("calls", rank: 1), .left("key", least: 8, rank: 3), .left("key store", least: 8, rank: 2),
            .left("kmsRequestId"),
        ])
        table.rows = requests.prefix(underWayShown).map { request in
            Table.Row(cells: [
                StatusTable.milliseconds(request.ageMicroseconds), page.plain(request.operation ?? "-"),
                page.plain(place(request)), "\(request.attempts)", page.plain(request.key ?? "-"),
                page.plain(request.keyStore.isEmpty ? "-" : request.keyStore),
                page.plain(request.kmsRequestId ?? "-"),
            ])
        }
        var lines = ["under way, the oldest first"] + table.lines(on: page)
        if requests.count > underWayShown {
            lines.append("and \(requests.count - underWayShown) more: `claviger status --requests --json`")
        }
        return lines
    }

    private static func place(_ request: RequestsReport.UnderWay) -> String {
        let hsms = request.hsms.joined(separator: " + ")
        switch request.place {
        case .hsm: return hsms.isEmpty ? "(between two HSMs)" : hsms
        case .waiting: return "(waits for a lane)"
        case .checking: return hsms.isEmpty ? "(ciphertext is checked)" : "\(hsms) (checks ciphertext)"
        case .peer: return "peer \(request.peer ?? "(being chosen)")"
        }
    }

    private static func slowest(_ requests: [RequestsReport.Slow], _ page: Page) -> [String] {
        var table = Table(columns: [
            .right("ms"), .right("waited"), .right("HSM", padded: 5), .right("peer", rank: 3),
            .right("other", rank: 5), .left("operation", rank: 6), .left("at", least: 10), .right("calls", rank: 4),
            .right("ago", rank: 2), .left("outcome", rank: 1), .left("kmsRequestId"),
        ])
        table.rows = requests.map { request in
            Table.Row(cells: [
                StatusTable.milliseconds(request.totalMicroseconds),
                StatusTable.milliseconds(request.waitedMicroseconds),
                StatusTable.milliseconds(request.hsmMicroseconds), StatusTable.milliseconds(request.peerMicroseconds),
                StatusTable.milliseconds(request.otherMicroseconds), page.plain(request.operation ?? "-"),
                page.plain(request.forwardedTo.map { "peer \($0)" } ?? request.hsm ?? "-"),
                "\(request.attempts)\(request.hedged ? "h" : "")", "\(request.endedMicrosecondsAgo / 1_000_000) s",
                page.plain(request.outcome), page.plain(request.kmsRequestId ?? "-"),
            ])
        }
        return ["slowest of the last minute; times in ms"] + table.lines(on: page)
    }
}
