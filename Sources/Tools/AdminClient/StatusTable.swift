// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Foundation
import StatusVocabulary

/// A node's status as text for people: pure functions of values. No line is wider than the page.
package enum StatusTable {
    /// Changes of state that are shown; JSON has more.
    static let transitionsShown = 10
    /// Keys that are shown, those with trouble first; JSON has all.
    static let keysShown = 40

    /// - Parameter nowUnixSeconds: what ages are counted to.
    package static func text(_ status: AdminStatus, nowUnixSeconds: Int64, on page: Page) -> String {
        let (node, hsms) = (status.status, status.status.hsms)
        let sections = [
            heading(status, page), conditionLines(node.conditions, page), hsmLines(hsms, nowUnixSeconds, page),
            HSMWorkTable.lines(hsms, on: page),
            ListenerTable.connections(node.limits, on: page), transitionLines(status.transitions, page),
            KeyMatrix.lines(node.keys, hsms: hsms.map(\.name), on: page),
            CredentialTable.several(node.credentials, nowUnixSeconds: nowUnixSeconds, on: page),
            ListenerTable.quotas(node.quotas, on: page),
            ListenerTable.refusals(node.refusals, nowUnixSeconds: nowUnixSeconds, on: page),
        ]
        return page.finished(
            sections.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }.joined(separator: "\n\n"))
    }

    // MARK: Heading

    private static func heading(_ status: AdminStatus, _ page: Page) -> [String] {
        var lines: [String] = []
        if !status.running { lines.append("node is not running; as of \(time(status.asOfUnixSeconds))") }
        let node = status.status
        var line = "node \(page.plain(node.node))"
        if !node.version.isEmpty { line += ", version \(page.plain(node.version))" }
        if status.running { line += ": \(status.verdict.rawValue)" }
        if node.draining { line += ", ending: it takes no new requests" }
        lines += page.paragraph(line)
        lines += logLines(node.log, page)
        return lines
    }

    /// What is missing in the log, and a level that shows or hides more than usual.
    private static func logLines(_ log: LogStatus?, _ page: Page) -> [String] {
        guard let log else { return [] }
        var lines: [String] = []
        let dropped = log.dropped.filter { $0.value > 0 }.sorted { $0.key < $1.key }
        if !dropped.isEmpty {
            let counts = dropped.map { "\($0.value) \(page.plain($0.key))" }.joined(separator: ", ")
            lines += page.paragraph("log: lines dropped, because their reader did not keep up: \(counts)")
        }
        if log.withheld > 0 {
            lines += page.paragraph(
                "log: \(log.withheld) refused requests of unknown clients have no line of their own: too many came")
        }
        if log.level != "info" { lines.append("log: level \(Terminal.shortened(page.plain(log.level), to: 12))") }
        return lines
    }

    /// The table of HSMs has their states and reasons, the table of keys most of what names keys.
    private static func conditionLines(_ conditions: [Condition], _ page: Page) -> [String] {
        let others = conditions.filter { !shownWithHSMs.contains($0.code) }
        return ConditionLines.lines(
            others.map { condition in
                // What is odd about a token, of which its HSM is the subject, stands in no table.
                let isOfToken = condition.code == "key-odd" && !condition.subject.isEmpty
                let isTold = condition.code == "key-contested" || isOfToken
                return isTold ? condition : condition.withoutNames
            }, on: page)
    }

    private static let shownWithHSMs: Set<String> = [
        "hsm-unavailable", "hsm-probing", "hsm-starting", "hsm-drained", "hsm-degraded", "library-not-confined",
    ]

    // MARK: HSMs

    private static func hsmLines(_ hsms: [HSMStatus], _ now: Int64, _ page: Page) -> [String] {
        var table = Table(columns: [
            .right("#", padded: 2), .left("HSM", least: 10), .right("tier", rank: 2), .left("state", padded: 20),
            .right("since", padded: 5, rank: 3), .right("p50 ms", short: "p50", padded: 6, rank: 1),
            .right("p99 ms", short: "p99", padded: 6, rank: 6), .right("open", rank: 4), .right("busy", rank: 5),
            .right("overdue", rank: 7),
        ])
        for (index, hsm) in hsms.enumerated() {
            let latency = hsm.latencyMicroseconds
            table.rows.append(
                Table.Row(
                    cells: [
                        "\(index + 1)", page.plain(hsm.name), hsm.tier.map { "\($0)" } ?? "-",
                        hsm.state.rawValue + (hsm.drained ? ", drained" : ""),
                        age(now, since: hsm.sinceUnixSeconds), latency.map { milliseconds($0.p50) } ?? "-",
                        latency.map { milliseconds($0.p99) } ?? "-", "\(hsm.lanes.open)", "\(hsm.lanes.inUse)",
                        "\(hsm.lanes.overdue)",
                    ],
                    notes: [hsm.reason, hsm.compartment?.complaint].compactMap(\.self).filter { !$0.isEmpty }
                        .map(page.plain)))
        }
        return table.lines(on: page)
    }

    // MARK: Changes

    private static func transitionLines(_ transitions: [HSMTransition], _ page: Page) -> [String] {
        guard !transitions.isEmpty else { return [] }
        let shown = transitions.prefix(transitionsShown)
        let names = page.names(shown.map { page.plain($0.hsm) })
        return zip(shown, names).reduce(into: ["last changes"]) { lines, row in
            let (change, name) = row
            var line = "\(time(change.atUnixSeconds)) \(name): \(change.from.rawValue) -> \(change.to.rawValue)"
            if let reason = change.reason, !reason.isEmpty { line += ": \(page.plain(reason))" }
            lines += page.item(line, margin: 2, indent: 4)
        }
    }

    // MARK: Numbers

    /// How long ago, in the largest unit of which there are at least two; at most five columns.
    static func age(_ now: Int64, since: Int64) -> String {
        let (difference, overflow) = now.subtractingReportingOverflow(since)
        let seconds = overflow ? 0 : max(difference, 0)
        switch seconds {
        case ..<120: return "\(seconds) s"
        case ..<7200: return "\(seconds / 60) m"
        case ..<172_800: return "\(seconds / 3600) h"
        default: return "\(min(seconds / 86_400, 999)) d"
        }
    }

    /// Microseconds as milliseconds: one decimal place, from a hundred on none; at most six columns.
    static func milliseconds(_ microseconds: UInt64) -> String {
        if microseconds >= 99_950 { return "\(min((microseconds - 500) / 1000 + 1, 999_999))" }
        let tenths = (microseconds + 50) / 100
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// RFC 3339, in UTC. What that cannot express is reported as its nearest end.
    static func time(_ unixSeconds: Int64) -> String {
        let endOfYear9999: Int64 = 253_402_300_799
        return Date(timeIntervalSince1970: TimeInterval(min(max(unixSeconds, 0), endOfYear9999))).formatted(.iso8601)
    }
}

/// What each HSM does, and what it could, for people: pure. A part of the node's status.
enum HSMWorkTable {
    /// Nothing where no HSM's work is known. HSMs keep the numbers that they have in the table of states.
    static func lines(_ hsms: [HSMStatus], on page: Page) -> [String] {
        guard hsms.contains(where: { $0.work != nil }) else { return [] }
        var table = Table(columns: [
            .right("#", padded: 2), .left("HSM", least: 10), .right("calls/s"), .right("can do/s"),
            .right("at a time", short: "at once", rank: 1), .right("longest wait ms", short: "wait ms"),
            .right("thrown away", short: "thrown"),
        ])
        for (index, hsm) in hsms.enumerated() {
            guard let work = hsm.work else { continue }
            table.rows.append(
                Table.Row(cells: [
                    "\(index + 1)", page.plain(hsm.name), "\(work.callsPerSecond)",
                    hsm.learned?.callsPerSecond.map { "\($0)" } ?? "-",
                    hsm.learned.map { "\($0.usefulCalls)" } ?? "-",
                    work.longestWaitMicroseconds.map(StatusTable.milliseconds) ?? "-", "\(work.thrownAway)",
                ]))
        }
        return table.lines(on: page)
    }
}
