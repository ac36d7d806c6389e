// SPDX-License-Identifier: Apache-2.0

/// The blocks of a PEM file (RFC 7468): every line that begins one counts, so that none is lost unseen.
package struct PEMText {
    /// From its BEGIN line to its END line.
    package struct Block: Sendable, Equatable {
        /// For example `CERTIFICATE`.
        package var label: String
        /// Of its BEGIN line, from 1.
        package var line: Int
        /// Its bytes in the text.
        package var range: Range<Int>
    }

    /// What is wrong with the text as a whole.
    package struct Flaw: Error, Sendable, Equatable, CustomStringConvertible {
        /// From 1.
        package var line: Int
        package var message: String

        package var description: String { "line \(line): \(message)" }
    }

    package let blocks: [Block]

    private static let begin = Array("-----BEGIN ".utf8)
    private static let end = Array("-----END ".utf8)
    private static let dashes = Array("-----".utf8)
    /// Editors of some systems begin a file by it, and so stands it before each file of those that were put together.
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// Finds the blocks. Lines end with LF or CR LF; blanks at a line's end, byte-order marks of UTF-8 and text between
    /// blocks do not count.
    ///
    /// - Throws: `Flaw` where the text is UTF-16, or a block has no end.
    package init(_ bytes: [UInt8]) throws(Flaw) {
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw Flaw(line: 1, message: "the file is UTF-16")
        }
        var blocks: [Block] = []
        var open: (label: String, line: Int, start: Int)?
        var (start, number) = (0, 0)
        while start < bytes.count {
            let lineEnd = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
            number += 1
            var line = bytes[start..<lineEnd]
            while line.starts(with: Self.byteOrderMark) { line = line.dropFirst(3) }
            while let last = line.last, last == 0x0D || last == 0x20 || last == 0x09 { line = line.dropLast() }
            if let label = Self.label(of: line, after: Self.begin) {
                if let open { throw Self.unended(open.line, label: open.label) }
                open = (label, number, line.startIndex)
            } else if let begun = open, Self.label(of: line, after: Self.end) == begun.label {
                blocks.append(Block(label: begun.label, line: begun.line, range: begun.start..<line.endIndex))
                open = nil
            }
            start = lineEnd + 1
        }
        if let open { throw Self.unended(open.line, label: open.label) }
        self.blocks = blocks
    }

    /// Blocks that hold a certificate.
    package var certificates: [Block] {
        blocks.filter { ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"].contains($0.label) }
    }

    /// The first block that holds a private key.
    package var privateKey: Block? { blocks.first { $0.label.hasSuffix("PRIVATE KEY") } }

    private static func unended(_ line: Int, label: String) -> Flaw {
        Flaw(line: line, message: "what begins there has no line -----END \(label)-----")
    }

    private static func label(of line: ArraySlice<UInt8>, after mark: [UInt8]) -> String? {
        guard line.starts(with: mark), line.count > mark.count + dashes.count,
            line.suffix(dashes.count).elementsEqual(dashes)
        else { return nil }
        return String(decoding: line.dropFirst(mark.count).dropLast(dashes.count), as: UTF8.self)
    }
}
