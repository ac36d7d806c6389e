// SPDX-License-Identifier: Apache-2.0
import PrivateFiles
import QuotedText

/// A configuration as it may be given to others: no file holds a secret, but the environment of a library, the text for its
/// C_Initialize and the words of a command may say more than is theirs to know.
package enum RedactedConfiguration {
    /// What stands in place of a value.
    package static let mark = "(not shown)"

    /// The file's values as JSON, with those marked that are not shown. Throws `ConfigurationProblem`.
    package static func json(file: String) throws -> String {
        let bytes: [UInt8]
        do throws(FileReading.Failure) {
            bytes = try FileReading.read(file, as: .plain, atMost: TOMLLimits.size + 1).withUnsafeBytes(Array.init)
        } catch {
            throw ConfigurationProblem(path: "", message: error.message, fix: error.fix)
        }
        return text(redacted(.table(try TOMLDocument.parse(bytes).root), key: ""), indent: "") + "\n"
    }

    private static func redacted(_ node: TOMLNode, key: String) -> TOMLNode {
        switch (key, node) {
        case ("env", .table(let values)): .table(values.mapValues { _ in .string(mark) })
        case ("command", .list(let words)): .list(words.prefix(1) + (words.count > 1 ? [.string(mark)] : []))
        case ("initialize_arguments", .string): .string(mark)
        case (_, .table(let values)):
            .table(Dictionary(uniqueKeysWithValues: values.map { ($0, redacted($1, key: $0)) }))
        case (_, .list(let items)): .list(items.map { redacted($0, key: "") })
        default: node
        }
    }

    private static func text(_ node: TOMLNode, indent: String) -> String {
        let inner = indent + "  "
        switch node {
        case .string(let text): return text.quoted
        case .integer(let number): return "\(number)"
        case .boolean(let isSo): return "\(isSo)"
        case .other(let kind): return "(\(kind))".quoted
        case .list(let items):
            guard !items.isEmpty else { return "[]" }
            return "[\n" + items.map { inner + text($0, indent: inner) }.joined(separator: ",\n") + "\n\(indent)]"
        case .table(let values):
            guard !values.isEmpty else { return "{}" }
            let members = values.sorted { $0.key < $1.key }.map { key, value in
                "\(inner)\(key.quoted): \(text(value, indent: inner))"
            }
            return "{\n" + members.joined(separator: ",\n") + "\n\(indent)}"
        }
    }
}
