// SPDX-License-Identifier: Apache-2.0
import Logging

/// Builds one line of the log as bytes.
///
/// JSON: `timestamp`, `level`, `message` and `nodeID` first, then the fields; text: the same, with names for the fields
/// only. Only what is known when the program is written may name fields; their values may be anything at all.
package struct LogLine: ~Copyable {
    private var bytes = LineBuffer(capacity: 1024)
    private let format: LogFormat

    /// - Parameter node: the name of the node that says it; empty: left out.
    package init(level: Logger.Level, message: String, time: LogTime, format: LogFormat, node: String = "") {
        self.format = format
        switch format {
        case .json:
            bytes.append("{\"timestamp\":\"")
            time.append(to: &bytes)
            bytes.append("\",\"level\":\"")
            bytes.append(Self.name(level))
            bytes.append("\",\"message\":\"")
            append(escaped: message)
            bytes.append(UInt8(ascii: "\""))
            if !node.isEmpty { add("nodeID", node) }
        case .text, .ascii:
            time.append(to: &bytes)
            bytes.append(UInt8(ascii: " "))
            bytes.append(Self.label(level))
            bytes.append(UInt8(ascii: " "))
            if !node.isEmpty {
                append(escaped: node)
                bytes.append(": ")
            }
            append(escaped: message)
        }
    }

    /// Adds a field with a text, whatever is in it.
    package mutating func add(_ name: StaticString, _ value: String) {
        begin(name)
        append(value: value)
    }

    /// Adds a field with a text, or nothing.
    package mutating func add(_ name: StaticString, _ value: String?) {
        if let value { add(name, value) }
    }

    /// Adds a field with a number.
    package mutating func add(_ name: StaticString, _ value: some FixedWidthInteger) {
        begin(name)
        append(number: value)
    }

    /// Adds a field that is true or false.
    package mutating func add(_ name: StaticString, _ value: Bool) {
        begin(name)
        bytes.append(value ? "true" : "false")
    }

    /// Adds a field whose name is not known when the program is written.
    mutating func add(key: String, _ value: String) {
        begin(key: key)
        append(value: value)
    }

    /// Adds a field with a number whose name is not known when the program is written.
    mutating func add(key: String, _ value: Int) {
        begin(key: key)
        append(number: value)
    }

    /// Ends the line and shows it whole, with its line feed.
    package consuming func finish<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        if format == .json { bytes.append(UInt8(ascii: "}")) }
        bytes.append(UInt8(ascii: "\n"))
        return bytes.withBytes(body)
    }

    /// The line that says how many lines were dropped.
    package static func dropNotice(_ counts: LogLineCounts, style: LogStyle = LogStyle()) -> [UInt8] {
        var line = LogLine(
            level: .warning, message: "log lines were dropped: their reader did not keep up", time: .now,
            format: style.format, node: style.node)
        line.add("dropped", counts.sum)
        for room in LogRoom.allCases where counts[room] > 0 { line.add(key: "dropped_\(room.rawValue)", counts[room]) }
        return line.finish { Array($0) }
    }

    // MARK: - Fields

    private mutating func begin(_ name: StaticString) {
        switch format {
        case .json:
            bytes.append(",\"")
            bytes.append(name)
            bytes.append("\":")
        case .text, .ascii:
            bytes.append(UInt8(ascii: " "))
            bytes.append(name)
            bytes.append(UInt8(ascii: "="))
        }
    }

    private mutating func begin(key: String) {
        switch format {
        case .json:
            bytes.append(",\"")
            append(escaped: key)
            bytes.append("\":")
        case .text, .ascii:
            bytes.append(UInt8(ascii: " "))
            append(escaped: key)
            bytes.append(UInt8(ascii: "="))
        }
    }

    private mutating func append(value: String) {
        let isQuoted = format == .json || value.isEmpty || value.utf8.contains(where: Self.asksForQuotes)
        if isQuoted { bytes.append(UInt8(ascii: "\"")) }
        append(escaped: value)
        if isQuoted { bytes.append(UInt8(ascii: "\"")) }
    }

    /// What would make a bare value look like two, or like another: blanks, `=`, and what is written with a backslash.
    private static func asksForQuotes(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "="), UInt8(ascii: "\""), UInt8(ascii: "\\"): true
        default: byte <= 0x20 || byte == 0x7F
        }
    }

    private mutating func append(number: some FixedWidthInteger) {
        var rest = number.magnitude
        var digits: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)
        withUnsafeMutableBytes(of: &digits) { buffer in
            var start = buffer.count
            repeat {
                start -= 1
                buffer[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0 && start > 0
            if number < 0 { bytes.append(UInt8(ascii: "-")) }
            bytes.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[start...]))
        }
    }

    /// Escapes as RFC 8259, 7 demands, and besides what terminals obey or do not show: DEL, the C1 controls, marks that
    /// turn the direction of writing, line separators, and characters that mean nothing to everybody (private use,
    /// unassigned).
    private mutating func append(escaped text: String) {
        var text = text
        let isPlain = text.withUTF8 { source in
            // Nearly always there is nothing to escape. Without an early exit the compiler checks many bytes at a time.
            var specials: UInt8 = 0
            for byte in source {
                specials |= byte < 0x20 ? 1 : 0
                specials |= byte == UInt8(ascii: "\"") ? 1 : 0
                specials |= byte == UInt8(ascii: "\\") ? 1 : 0
                specials |= byte >= 0x7F ? 1 : 0
            }
            if specials == 0 { bytes.append(UnsafeRawBufferPointer(source)) }
            return specials == 0
        }
        if !isPlain { appendEscaping(text) }
    }

    private mutating func appendEscaping(_ text: String) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\":
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            case "\n": bytes.append("\\n")
            case "\r": bytes.append("\\r")
            case "\t": bytes.append("\\t")
            default:
                if Self.isShown(scalar), scalar.isASCII || format != .ascii {
                    for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { bytes.append(byte) }
                } else {
                    // Beyond U+FFFF a pair of surrogates.
                    for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter { append(escape: unit) }
                }
            }
        }
    }

    private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value != 0x7F }
        return switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
        default: true
        }
    }

    private mutating func append(escape unit: UInt16) {
        bytes.append("\\u")
        for shift: UInt16 in [12, 8, 4, 0] {
            let digit = UInt8(truncatingIfNeeded: unit >> shift & 0xF)
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    private static func name(_ level: Logger.Level) -> StaticString {
        switch level {
        case .trace: "trace"
        case .debug: "debug"
        case .info: "info"
        case .notice: "notice"
        case .warning: "warning"
        case .error: "error"
        case .critical: "critical"
        }
    }

    /// The level, all of one width.
    private static func label(_ level: Logger.Level) -> StaticString {
        switch level {
        case .trace: "TRACE "
        case .debug: "DEBUG "
        case .info: "INFO  "
        case .notice: "NOTICE"
        case .warning: "WARN  "
        case .error: "ERROR "
        case .critical: "CRIT  "
        }
    }
}
