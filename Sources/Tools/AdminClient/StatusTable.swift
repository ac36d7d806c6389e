// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Foundation
import StatusVocabulary

/// A node's status as text for people: pure functions of values. No line is longer than `columns`.
package enum StatusTable {
    package static let columns = 100
    /// Changes of state that are shown; JSON has more.
    static let transitionsShown = 10
    /// Keys that are shown, those with trouble first; JSON has all.
    static let keysShown = 40
    private static let nameColumns = 24

    /// - Parameter nowUnixSeconds: what ages are counted to.
    package static func text(_ status: AdminStatus, nowUnixSeconds: Int64) -> String {
        let hsms = status.status.hsms
        let names = hsms.map { Terminal.shortened(Terminal.plain($0.name), to: nameColumns) }
        let sections = [
            heading(status), hsmLines(hsms, names: names, nowUnixSeconds), HSMWorkTable.lines(hsms, names: names),
            ListenerTable.connections(status.status.limits), transitionLines(status.transitions),
            KeyMatrix.lines(status.status.keys, hsms: hsms.map(\.name)),
            ListenerTable.refusals(status.status.refusals, nowUnixSeconds: nowUnixSeconds),
        ]
        return sections.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    // MARK: Heading

    private static func heading(_ status: AdminStatus) -> [String] {
        var lines: [String] = []
        if !status.running { lines.append("node is not running; as of \(time(status.asOfUnixSeconds))") }
        let node = status.status
        var line = "node \(Terminal.plain(node.node))"
        if !node.version.isEmpty { line += ", version \(Terminal.plain(node.version))" }
        if status.running { line += ": \(status.verdict.rawValue)" }
        if node.draining { line += ", ending: it takes no new requests" }
        lines += Terminal.wrapped(line, columns: columns, indent: 2)
        if let reason = node.blocksUnknown {
            lines += paragraph("every request is refused by this node: \(BlockListing.mend(Terminal.plain(reason)))")
        }
        if status.running, !node.hasUsableHSM, node.canForward {
            lines.append("no HSM here can serve: requests are passed on to other nodes")
        }
        if case .failing(let reason) = node.store { lines += paragraph("store: failing: \(Terminal.plain(reason))") }
        lines += logLines(node.log)
        if let text = node.overload { lines += paragraph(Terminal.plain(text)) }
        for text in node.disagreements { lines += paragraph(Terminal.plain(text)) }
        return lines
    }

    /// What is missing in the log, and a level that shows or hides more than usual.
    private static func logLines(_ log: LogStatus?) -> [String] {
        guard let log else { return [] }
        var lines: [String] = []
        let dropped = log.dropped.filter { $0.value > 0 }.sorted { $0.key < $1.key }
        if !dropped.isEmpty {
            let counts = dropped.map { "\($0.value) \(Terminal.plain($0.key))" }.joined(separator: ", ")
            lines += paragraph("log: lines dropped, because their reader did not keep up: \(counts)")
        }
        if log.withheld > 0 {
            lines += paragraph(
                "log: \(log.withheld) refused requests of unknown clients have no line of their own: too many came")
        }
        if log.level != "info" { lines.append("log: level \(Terminal.shortened(Terminal.plain(log.level), to: 12))") }
        return lines
    }

    /// A sentence under the heading.
    static func paragraph(_ text: String) -> [String] { Terminal.wrapped(text, columns: columns, indent: 2) }

    // MARK: HSMs

    private static func hsmLines(_ hsms: [HSMStatus], names: [String], _ now: Int64) -> [String] {
        let width = max(names.map(Terminal.width).max() ?? 0, 3)
        let head =
            Terminal.right("#", 2) + "  " + Terminal.left("HSM", width) + "  tier  " + Terminal.left("state", 20)
            + "  since  " + "p50 ms  p99 ms  open  busy  overdue"
        return zip(hsms, names).enumerated().reduce(into: [head]) { lines, row in
            let (index, (hsm, name)) = row
            var line = Terminal.right("\(index + 1)", 2) + "  " + Terminal.left(name, width) + "  "
            line += Terminal.right(hsm.tier.map { "\($0)" } ?? "-", 4) + "  "
            line += Terminal.left(hsm.state.rawValue + (hsm.drained ? ", drained" : ""), 20) + "  "
            line += Terminal.right(age(now, since: hsm.sinceUnixSeconds), 5)
            let latency = hsm.latencyMicroseconds
            for value in [latency?.p50, latency?.p99] {
                line += "  " + Terminal.right(value.map(milliseconds) ?? "-", 6)
            }
            line += "  " + Terminal.right("\(hsm.lanes.open)", 4) + "  " + Terminal.right("\(hsm.lanes.inUse)", 4)
            line += "  " + Terminal.right("\(hsm.lanes.overdue)", 7)
            lines.append(line)
            for text in [hsm.reason, hsm.compartment?.complaint].compactMap(\.self) where !text.isEmpty {
                lines += Terminal.wrapped(Terminal.plain(text), columns: columns - 6, indent: 2).map { "      " + $0 }
            }
        }
    }

    // MARK: Changes

    private static func transitionLines(_ transitions: [HSMTransition]) -> [String] {
        guard !transitions.isEmpty else { return [] }
        return transitions.prefix(transitionsShown).reduce(into: ["last changes"]) { lines, change in
            var line = "\(time(change.atUnixSeconds)) "
            line += Terminal.shortened(Terminal.plain(change.hsm), to: nameColumns)
            line += ": \(change.from.rawValue) -> \(change.to.rawValue)"
            if let reason = change.reason, !reason.isEmpty { line += ": \(Terminal.plain(reason))" }
            lines += Terminal.wrapped(line, columns: columns - 2, indent: 4).map { "  " + $0 }
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

/// What each HSM does, and what it could, for people: pure. A part of the node's status; no line is longer than that.
enum HSMWorkTable {
    /// Nothing where no HSM's work is known. HSMs keep the numbers that they have in the table of states.
    static func lines(_ hsms: [HSMStatus], names: [String]) -> [String] {
        guard hsms.contains(where: { $0.work != nil }) else { return [] }
        let width = max(names.map(Terminal.width).max() ?? 0, 3)
        let head =
            Terminal.right("#", 2) + "  " + Terminal.left("HSM", width)
            + "  calls/s  can do/s  at a time  longest wait ms  thrown away"
        return zip(hsms, names).enumerated().reduce(into: [head]) { lines, row in
            let (index, (hsm, name)) = row
            guard let work = hsm.work else { return }
            lines.append(
                Terminal.right("\(index + 1)", 2) + "  " + Terminal.left(name, width)
                    + "  " + Terminal.right("\(work.callsPerSecond)", 7)
                    + "  " + Terminal.right(hsm.learned?.callsPerSecond.map { "\($0)" } ?? "-", 8)
                    + "  " + Terminal.right(hsm.learned.map { "\($0.usefulCalls)" } ?? "-", 9)
                    + "  " + Terminal.right(work.longestWaitMicroseconds.map(StatusTable.milliseconds) ?? "-", 15)
                    + "  " + Terminal.right("\(work.thrownAway)", 11))
        }
    }
}
