// SPDX-License-Identifier: Apache-2.0

/// What is looked for in a log: all of it must fit.
package struct AuditFilter: Sendable {
    /// By member, its whole text.
    private let texts: [(field: AuditField, text: String)]
    /// Texts of times: not before, and before.
    private let since: String?
    private let until: String?

    package init(texts: [AuditField: String], since: String? = nil, until: String? = nil) {
        self.texts = texts.map { ($0.key, $0.value) }.sorted { $0.field.rawValue < $1.field.rawValue }
        self.since = since
        self.until = until
    }

    package func fits(_ record: AuditLine) -> Bool {
        for (field, text) in texts {
            if field == .kind {
                guard record.kind?.rawValue == text else { return false }
            } else if record.text(field) != text {
                return false
            }
        }
        guard since != nil || until != nil else { return true }
        guard let time = record.text(.time) else { return false }
        return since.map { time >= $0 } ?? true && until.map { time < $0 } ?? true
    }
}
