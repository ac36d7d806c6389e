// SPDX-License-Identifier: Apache-2.0

/// Something that a person should know of, as it is reported: in status, to peers, in the log. Which there are, and what
/// makes them, is decided in Conditions; docs/reference/conditions.md has a section for each code.
package struct Condition: Sendable, Equatable, Codable {
    package enum Severity: String, Sendable, Codable, CaseIterable, Comparable {
        /// Requests fail.
        case critical
        /// Somebody has to mend it, and requests are served.
        case warning
        /// Somebody may want to know it, and nobody has to mend it.
        case note

        /// Milder ones come before graver ones.
        package static func < (one: Severity, other: Severity) -> Bool { one.rank < other.rank }

        private var rank: Int {
            switch self {
            case .note: 0
            case .warning: 1
            case .critical: 2
            }
        }
    }

    /// Stable, for programs: `node-dead`. A later version has further ones.
    package var code: String
    package var severity: Severity
    /// The node that it is a state of.
    package var node: String
    /// What of the node it is about: `hsm luna-a`; empty where it is the node itself. One code and one subject of a node
    /// are one condition, whatever the text.
    package var subject: String
    /// A sentence. Names no key: it is shown to everybody who reaches the control listener.
    package var text: String
    /// What names keys: the first ones, a line each. Shown at the admin socket and in the log only.
    package var details: [String]?
    /// `nil` where nobody has observed when it began.
    package var sinceUnixSeconds: Int64?

    package init(
        code: String, severity: Severity, node: String, subject: String = "", text: String, details: [String] = [],
        sinceUnixSeconds: Int64? = nil
    ) {
        self.code = code
        self.severity = severity
        self.node = node
        self.subject = subject
        self.text = text
        self.details = details.isEmpty ? nil : details
        self.sinceUnixSeconds = sinceUnixSeconds
    }

    /// A severity of a later version is a warning: it was worth reporting.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            code: try values.decode(String.self, forKey: .code),
            severity: Severity(rawValue: try values.decode(String.self, forKey: .severity)) ?? .warning,
            node: try values.decode(String.self, forKey: .node),
            subject: try values.decodeIfPresent(String.self, forKey: .subject) ?? "",
            text: try values.decode(String.self, forKey: .text),
            details: try values.decodeIfPresent([String].self, forKey: .details) ?? [],
            sinceUnixSeconds: try values.decodeIfPresent(Int64.self, forKey: .sinceUnixSeconds))
    }

    /// Whether its node can answer no request for a key while it is so.
    package var stopsItsNode: Bool { Self.codesThatStop.contains(code) }

    /// Of those that nodes report of themselves; that no HSM serves, everybody sees.
    package static let codesThatStop: Set<String> = ["blocks-unknown", "no-key-served", "hsms-too-slow"]

    /// Without what names keys.
    package var withoutNames: Condition {
        var condition = self
        condition.details = nil
        return condition
    }
}
