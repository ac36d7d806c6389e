// SPDX-License-Identifier: Apache-2.0
import Conditions
import Foundation
import StatusVocabulary
import Testing

/// Several nodes that are one cluster.
protocol NodeGroup {
    func node(_ name: String) -> Node
    func op(_ name: String) -> Operator
    func report(_ name: String) throws -> ClusterReport
}

extension Trio: NodeGroup {}
extension Pair: NodeGroup {}

/// A condition that a test has brought about.
struct Trouble: CustomStringConvertible {
    let code: ConditionCode
    /// The node that it is a state of; `nil` where each node is to say it of itself.
    let node: String?
    let subject: String
    /// As its node says it. To the others nothing of a single node is critical.
    let severity: Condition.Severity
    /// Other nodes, which have to say it, too.
    let others: [String]

    init(
        _ code: ConditionCode, of node: String? = nil, _ subject: String = "", severity: Condition.Severity? = nil,
        by others: [String]
    ) {
        (self.code, self.node, self.subject, self.others) = (code, node, subject, others)
        self.severity = severity ?? code.severity
    }

    var description: String {
        "\(code.rawValue)\(subject.isEmpty ? "" : " of \(subject)")\(node.map { " of \($0)" } ?? "")"
    }

    /// Those in whose log it stands.
    fileprivate var loggers: [String] { code.origin == .seen ? others : [node].compactMap(\.self) }

    /// - Parameter teller: who says it.
    fileprivate func isTold(as condition: ClusterReport.Condition, by teller: String) -> Bool {
        // To others an HSM has its serial number beside its name.
        condition.code == code.rawValue && condition.node == node ?? teller && condition.subject.hasPrefix(subject)
    }

    fileprivate func isLogged(_ entry: LogEntry, by teller: String) -> Bool {
        let other = node == teller ? nil : node
        return entry["code"] == code.rawValue && entry["subject"] ?? "" == subject && entry["node"] == other
    }
}

// What is so must be seen wherever people look: in the status of its node, in that of every other, in the log, and in the
// exit statuses of both commands.

extension NodeGroup {
    /// Waits until somebody who looks sees a trouble, wherever that is.
    ///
    /// - Parameters:
    ///   - isBrief: it may be over before a command has asked for it; then the nodes alone are asked.
    ///   - isOwnAsked: whether a command reaches its node.
    func begins(
        _ trouble: Trouble, isBrief: Bool = false, isOwnAsked: Bool = true, within seconds: Double = 20
    ) throws {
        if let node = trouble.node, trouble.code.origin != .seen, isOwnAsked {
            try isOwn(trouble, of: node, within: seconds)
        }
        try isTold(trouble, isBrief: isBrief, within: seconds)
        for name in trouble.loggers {
            let entry = try eventually("the log of \(name) begins \(trouble)", within: seconds, every: 0.1) {
                // Where it began with another severity, that has changed since.
                conditionLines(of: name).last {
                    ["condition began", "condition changed"].contains($0.message) && trouble.isLogged($0, by: name)
                        && $0["severity"] == trouble.severity.rawValue
                }
            }
            #expect(entry["mend"] == trouble.code.mend && entry["reason"]?.isEmpty == false, "\(entry.line)")
            let levels: [Condition.Severity: String] = [.critical: "error", .warning: "warning", .note: "info"]
            #expect(entry["level"] == levels[trouble.severity], "\(entry.line)")
        }
    }

    /// `claviger status` of the node itself.
    private func isOwn(_ trouble: Trouble, of name: String, within seconds: Double) throws {
        try eventually("\(name) says of itself: \(trouble)", within: seconds, every: 0.1) {
            let (report, end) = try status(of: name)
            let told = report.conditions?.first { trouble.isTold(as: $0, by: name) && $0.sinceUnixSeconds != nil }
            // What it cannot know yet may make it graver at first.
            guard let told, told.severity == trouble.severity.rawValue else { return false }
            expect(report.verdict, of: report.conditions ?? [], end)
            return true
        }
    }

    /// `claviger cluster status` and `GET /cluster/health` of others.
    private func isTold(_ trouble: Trouble, isBrief: Bool, within seconds: Double) throws {
        var waiting = trouble.others
        try eventually("all but \(waiting) say: \(trouble)", within: seconds, every: 0.03) {
            waiting = try waiting.filter { name in
                let conditions = try report(name).conditions ?? []
                guard let told = conditions.first(where: { trouble.isTold(as: $0, by: name) }) else { return true }
                let isMilder = trouble.code.origin != .seen && trouble.severity == .critical
                #expect(told.severity == (isMilder ? "warning" : trouble.severity.rawValue), "\(told)")
                return false
            }
            return waiting.isEmpty
        }
        guard !isBrief, let name = trouble.others.first else { return }
        // Since when it is so, who looks once a second may know a second later.
        try eventually("\(name) shows \(trouble), and since when", within: seconds, every: 0.1) {
            let (report, end) = try clusterStatus(of: name)
            expect(report.verdict, of: report.conditions ?? [], end)
            return report.conditions?.contains { trouble.isTold(as: $0, by: name) && $0.sinceUnixSeconds != nil }
                == true
        }
    }

    /// The verdict follows from the conditions, and the exit status from the verdict.
    private func expect(_ verdict: String, of conditions: [ClusterReport.Condition], _ end: ProcessEnd) {
        let severities = Set(conditions.map(\.severity))
        let mild = severities.contains("warning") ? "DEGRADED" : "ACTIVE"
        let due = severities.contains("critical") ? "UNAVAILABLE" : mild
        #expect(verdict == due && end == .exited(due == "UNAVAILABLE" ? 1 : 0), "\(verdict), \(end): \(conditions)")
    }

    func status(of name: String) throws -> (StatusReport, ProcessEnd) {
        let result = try op(name).call("status", "--json")
        return (try JSONDecoder().decode(StatusReport.self, from: Data(result.output.utf8)), result.end)
    }

    func clusterStatus(of name: String) throws -> (ClusterReport, ProcessEnd) {
        let result = try op(name).call("cluster", "status", "--json")
        return (try JSONDecoder().decode(ClusterReport.self, from: Data(result.output.utf8)), result.end)
    }

    // MARK: The end

    /// Waits until nobody says any of them, and looks whether the log has each of their beginnings and ends once.
    func end(_ troubles: [Trouble], within seconds: Double = 40) throws {
        for trouble in troubles {
            for name in trouble.others + [trouble.node].compactMap(\.self) where node(name).process.isRunning {
                try eventually("\(name) does not say any more: \(trouble)", within: seconds, every: 0.05) {
                    try report(name).conditions?.contains { trouble.isTold(as: $0, by: name) } == false
                }
            }
        }
        for trouble in troubles {
            for name in trouble.loggers {
                // Ten seconds later at the earliest.
                let messages = try eventually("the log of \(name) ends \(trouble)", within: seconds, every: 0.1) {
                    let messages = self.messages(of: trouble, in: name)
                    return messages.last == "condition ended" ? messages : nil
                }
                let due = messages.indices.map { $0.isMultiple(of: 2) ? "condition began" : "condition ended" }
                #expect(messages == due, "\(name): \(trouble)")
            }
        }
    }

    /// Waits until nothing is wrong with any of these nodes, as they see it.
    func whole(_ names: [String], within seconds: Double = 30) throws {
        for name in names {
            var reasons: [String] = []
            do {
                try eventually("\(name) says that all is well", within: seconds, every: 0.1) {
                    let report = try report(name)
                    reasons = report.reasons
                    return report.verdict == "ACTIVE"
                }
            } catch {
                throw HarnessError("\(error): \(reasons)\(names.map(keysOutOfOrder).joined())")
            }
        }
    }

    /// Keys that a node does not serve, or not by all of its HSMs, by name: what is told to all leaves names out.
    private func keysOutOfOrder(of name: String) -> String {
        guard let report = try? status(of: name).0 else { return "\n\(name) does not say how its keys are" }
        let keys = report.keys.filter { key in
            key.disputed != nil || key.cells.values.contains { $0 != "proven" }
        }
        return keys.map { key in
            let cells = key.cells.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
            return "\n\(name): key \(key.label): \(cells)" + (key.disputed.map { "; disputed: \($0)" } ?? "")
        }.joined()
    }

    /// What the log says of the beginnings and ends of a trouble.
    private func messages(of trouble: Trouble, in name: String) -> [String] {
        conditionLines(of: name).filter { trouble.isLogged($0, by: name) && $0.message != "condition changed" }
            .map(\.message)
    }

    /// Among all lines of requests they are few, and only they are read as JSON.
    private func conditionLines(of name: String) -> [LogEntry] {
        node(name).process.errorLines.filter { $0.contains("\"condition ") }.compactMap(LogEntry.init)
    }
}
