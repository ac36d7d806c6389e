// SPDX-License-Identifier: Apache-2.0

/// One thing that is wrong in a configuration file, reported so that it can be mended without looking anything up.
package struct ConfigurationProblem: Error, Sendable, Equatable {
    /// The line in the file, counted from 1; `nil` when the problem has no line in it (the file is missing).
    package var line: Int?
    /// Where in the settings, for example `hsm[1].token`; empty for the file as a whole.
    package var path: String
    /// The value as it stands in the file. Never set where the value could be a secret.
    package var value: String?
    /// What is wrong.
    package var message: String
    /// What mends it.
    package var fix: String
    /// It is the host that does not have what the file asks for: the file may be right.
    package var isOfHost = false

    package init(line: Int? = nil, path: String, value: String? = nil, message: String, fix: String) {
        self.line = line
        self.path = path
        self.value = value
        self.message = message
        self.fix = fix
    }

    /// One line of text: `claviger.toml:12: hsm[0].sessions = 5000: must be between 1 and 1024; choose …`.
    package func rendered(file: String) -> String {
        var text = file
        if let line { text += ":\(line)" }
        text += ": "
        if !path.isEmpty {
            text += path
            if let value { text += " = \(value)" }
            text += ": "
        }
        return text + message + "; " + fix
    }
}

/// Everything that is wrong in one configuration file, in the order of its lines.
package struct ConfigurationProblems: Error, Sendable, CustomStringConvertible {
    /// The file's name as it was given.
    package let file: String
    /// At least one.
    package let problems: [ConfigurationProblem]

    package init(file: String, problems: [ConfigurationProblem]) {
        self.file = file
        self.problems = problems
    }

    /// One line for each problem.
    package var description: String {
        problems.map { $0.rendered(file: file) }.joined(separator: "\n")
    }
}

/// Gathers problems while a file is read, and finds their lines.
package final class ProblemCollector {
    private let outline: TOMLOutline
    private var problems: [ConfigurationProblem] = []

    package init(outline: TOMLOutline) { self.outline = outline }

    package func add(_ path: String, value: String? = nil, _ message: String, fix: String) {
        problems.append(
            ConfigurationProblem(
                line: outline.line(of: path), path: path, value: value, message: message, fix: fix))
    }

    package var isEmpty: Bool { problems.isEmpty }

    /// The problems by line; those of one line stay in the order in which they were found.
    package var sorted: [ConfigurationProblem] {
        problems.enumerated()
            .sorted { ($0.element.line ?? 0, $0.offset) < ($1.element.line ?? 0, $1.offset) }
            .map(\.element)
    }
}
