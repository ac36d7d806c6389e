// SPDX-License-Identifier: Apache-2.0
import AdminClient
import Glibc

/// What this process's terminal is, for `Page` to decide by.
enum Terminals {
    static var showsUnicode: Bool { Page.showsUnicode(variable) }

    /// The text as this process's locale can show it.
    static func shown(_ text: String) -> String { Page(columns: nil, isASCII: !showsUnicode).finished(text) }

    /// Of standard output, as it is now: a terminal's width changes.
    static var page: Page {
        var size = winsize()
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let isTold = isTerminal && ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0
        return Page.of(
            isTerminal: isTerminal, terminalColumns: isTold ? Int(size.ws_col) : 0, environment: variable)
    }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
