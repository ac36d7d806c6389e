// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// Cuts what a library prints into lines that a log can bear: of bounded length and number, without what a terminal obeys,
/// and without the PIN.
package struct OutputLines: Sendable {
    /// A longer line is cut, bytes.
    package static let longest = 1_024
    /// Lines in a second; the others are counted.
    package static let perSecond = 20

    /// What is to be said.
    package enum Said: Sendable, Equatable {
        case line(String)
        /// So many lines were left out before this.
        case omitted(Int)
    }

    private let secret: SecretBytes?
    private var pending: [UInt8] = []
    /// The rest of this line is left out.
    private var isCut = false
    private var second: UInt64 = 0
    private var saidInSecond = 0
    private var omitted = 0

    /// - Parameter secret: replaced where it stands in a line; nothing when it is shorter than four bytes.
    package init(secret: SecretBytes? = nil) { self.secret = secret.flatMap { $0.count >= 4 ? $0 : nil } }

    /// Takes what was printed, and returns what is to be said of it.
    ///
    /// - Parameter seconds: of any clock that goes on.
    package mutating func take(_ bytes: some Sequence<UInt8>, seconds: UInt64) -> [Said] {
        var said: [Said] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                endLine(seconds: seconds, &said)
            } else if pending.count < Self.longest {
                pending.append(byte)
            } else {
                isCut = true
            }
        }
        return said
    }

    /// Nothing more comes: what stands without the end of a line is one.
    package mutating func finish(seconds: UInt64) -> [Said] {
        var said: [Said] = []
        if !pending.isEmpty { endLine(seconds: seconds, &said) }
        if omitted > 0 { said.append(.omitted(omitted)) }
        omitted = 0
        return said
    }

    private mutating func endLine(seconds: UInt64, _ said: inout [Said]) {
        defer { (pending, isCut) = ([], false) }
        if seconds != second { (second, saidInSecond) = (seconds, 0) }
        let text = Self.clean(masked(pending))
        guard !text.isEmpty else { return }
        guard saidInSecond < Self.perSecond else {
            omitted += 1
            return
        }
        if omitted > 0 { said.append(.omitted(omitted)) }
        omitted = 0
        saidInSecond += 1
        said.append(.line(isCut ? text + "…" : text))
    }

    private func masked(_ line: [UInt8]) -> [UInt8] {
        guard let secret, line.count >= secret.count else { return line }
        return secret.withUnsafeBytes { secret in
            var result: [UInt8] = []
            var rest = line[...]
            while !rest.isEmpty {
                if rest.starts(with: secret) {
                    result += Array("[PIN]".utf8)
                    rest = rest.dropFirst(secret.count)
                } else {
                    result.append(rest.removeFirst())
                }
            }
            return result
        }
    }

    /// Without controls, and what else a terminal or a log reader obeys; blanks at the end are no text.
    private static func clean(_ line: [UInt8]) -> String {
        var text = String.UnicodeScalarView()
        for scalar in String(decoding: line, as: UTF8.self).unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control where scalar == "\t": text.append(" ")
            case .control where scalar == "\r": continue
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                text.append("\u{FFFD}")
            default: text.append(scalar)
            }
        }
        while let last = text.last, last == " " { text.removeLast() }
        return String(text)
    }
}
