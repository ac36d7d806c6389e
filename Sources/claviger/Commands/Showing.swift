// SPDX-License-Identifier: Apache-2.0
import AdminClient
import Foundation

/// A value as programs read it.
enum JSONLine {
    /// On one line, its members in the order of their names.
    static func text(_ value: some Encodable) throws(AdminClientError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else {
            throw .unusable("the node's answer cannot be written as JSON")
        }
        return String(decoding: data, as: UTF8.self)
    }
}

/// What `--watch` shows again and again.
enum Picture {
    /// Over the last one on a terminal (ECMA-48: cursor home, erase to the end), below it in a file.
    static func show(_ text: String, isForPrograms: Bool) {
        let isTerminal = isatty(STDOUT_FILENO) == 1 && !isForPrograms
        printLine(
            isTerminal ? "\u{1B}[H\u{1B}[2J\(text)" : isForPrograms ? text : text + "\n", isForPrograms: isForPrograms)
    }
}
