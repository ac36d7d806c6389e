// SPDX-License-Identifier: Apache-2.0

/// What was looked at on a host and in a node, and what was found: as a tree for people, and as JSON.
package struct Diagnosis: Sendable, Equatable, Codable {
    package enum State: String, Sendable, Codable, CaseIterable {
        case ok
        /// Could not be looked at, and why stands in the text.
        case skipped
        case warning
        case failure
    }

    /// One thing that was looked at.
    package struct Finding: Sendable, Equatable, Codable {
        /// What it belongs to: `host`, `configuration`, `listeners`, `peers`, `HSMs`, `requests`, `traces`.
        package var group: String
        /// For example `open files`, `hsm a`.
        package var subject: String
        package var state: State
        package var text: String
        /// What mends it; left out where nothing is to be mended.
        package var advice: String?

        package init(_ group: String, _ subject: String, _ state: State, _ text: String, advice: String? = nil) {
            self.group = group
            self.subject = subject
            self.state = state
            self.text = text
            self.advice = advice
        }
    }

    package var node: String
    package var version: String
    /// The gravest of all.
    package private(set) var state: State
    package private(set) var findings: [Finding]

    package init(node: String, version: String, findings: [Finding] = []) {
        self.node = node
        self.version = version
        self.findings = findings
        state = Self.gravest(findings)
    }

    package mutating func add(_ new: [Finding]) {
        findings += new
        state = Self.gravest(findings)
    }

    private static func gravest(_ findings: [Finding]) -> State {
        [.failure, .warning].first { state in findings.contains { $0.state == state } } ?? .ok
    }

    // MARK: For people

    private static let words: [State: String] = [.ok: "ok  ", .skipped: "-   ", .warning: "warn", .failure: "FAIL"]

    package func text(on page: Page) -> String {
        var groups: [String] = []
        for finding in findings where !groups.contains(finding.group) { groups.append(finding.group) }
        let failures = findings.count { $0.state == .failure }
        let warnings = findings.count { $0.state == .warning }
        let sum = failures + warnings == 0 ? "nothing is wrong" : "\(failures) failed, \(warnings) warned"
        var lines = page.paragraph("node \(page.plain(node)), claviger \(page.plain(version)): \(sum)")
        for group in groups {
            lines += [""] + page.paragraph(page.plain(group))
            for finding in findings where finding.group == group { lines += self.lines(finding, page) }
        }
        return page.finished(lines.joined(separator: "\n"))
    }

    private func lines(_ finding: Finding, _ page: Page) -> [String] {
        var lines = page.item("\(page.plain(finding.subject)): \(page.plain(finding.text))", margin: 8, indent: 2)
        // In the margin of the first.
        if let first = lines.first { lines[0] = "  \(Self.words[finding.state] ?? "    ")  \(first.dropFirst(8))" }
        let arrow = page.isASCII ? "->" : "→"
        return lines + (finding.advice.map { page.item("\(arrow) \(page.plain($0))", margin: 8, indent: 2) } ?? [])
    }
}
