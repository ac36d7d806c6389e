// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// Conditions as text for people, with the code by which docs/reference/conditions.md knows them.
enum ConditionLines {
    /// - Parameter conditions: the gravest first.
    static func lines(_ conditions: [Condition], on page: Page) -> [String] {
        func item(_ mark: String, _ text: String, margin: Int = 2) -> [String] {
            page.item(mark + page.plain(text), margin: margin, indent: 2)
        }
        let wrong = conditions.filter { $0.severity != .note }
        let notes = conditions.filter { $0.severity == .note }
        func all(_ mark: String, _ condition: Condition) -> [String] {
            item(mark, text(condition)) + (condition.details ?? []).flatMap { item("", $0, margin: 4) }
        }
        var lines = wrong.flatMap { all("- ", $0) }
        if !lines.isEmpty { lines.insert("what is wrong, the gravest first", at: 0) }
        return lines + notes.flatMap { all("note: ", $0) }
    }

    private static func text(_ condition: Condition) -> String { "\(condition.text) [\(condition.code)]" }
}
