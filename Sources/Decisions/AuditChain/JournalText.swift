// SPDX-License-Identifier: Apache-2.0

/// What a journal's file holds: records that the kernel has and the log's segments have not, one in a line, after a first
/// line that says when the file's turn was, and which place in the chain the records were given.
///
///     claviger audit journal 2 chain=000001 turn=00000000000000000012 after=00000000000000004711
///
/// `after` is 0 until they have their places; a file of a higher `turn` has later records. Records stand there without number
/// and hash, as `RecordText` has them. A byte 0 is where they end: the file has room for more behind it.
package enum JournalText {
    private static let title = "claviger audit journal 2 chain="
    private static let chainDigits = 6
    private static let numberDigits = 20
    /// Of the first line, bytes, with its line feed.
    package static let headerSize = header(chain: 1, turn: 1, after: 0).count

    /// - Parameters:
    ///   - turn: grows each time that a file is emptied.
    ///   - seq: of the record in the chain that they follow; 0 where that is not known yet.
    package static func header(chain: Int, turn: UInt64, after seq: UInt64) -> [UInt8] {
        var bytes = Array(title.utf8)
        append(UInt64(clamping: chain), digits: chainDigits, to: &bytes)
        bytes.append(contentsOf: " turn=".utf8)
        append(turn, digits: numberDigits, to: &bytes)
        bytes.append(contentsOf: " after=".utf8)
        append(seq, digits: numberDigits, to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private static func append(_ number: UInt64, digits: Int, to bytes: inout [UInt8]) {
        let text = String(number)
        bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: max(digits - text.utf8.count, 0)))
        bytes.append(contentsOf: text.utf8)
    }

    /// Records of a chain's files that the chain does not have yet, in their order.
    ///
    /// - Parameters:
    ///   - files: each whole. A last line without its line feed is a record whose answer has not left.
    ///   - end: number of the chain's last record.
    /// - Returns: the records, and how many lines are none: another program's, or damaged.
    package static func left(
        of files: [[UInt8]], chain: Int, end: UInt64
    ) -> (records: [RecordText], damaged: Int) {
        var damaged = 0
        var found: [(turn: UInt64, records: [RecordText])] = []
        for bytes in files {
            var lines = bytes.prefix { $0 != 0 }.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            // What follows the last line feed.
            if !lines.isEmpty { lines.removeLast() }
            guard let first = lines.first else { continue }
            guard let (turn, after) = place(in: first, chain: chain) else {
                damaged += lines.count
                continue
            }
            let written = after == 0 || end <= after ? 0 : Int(clamping: end - after)
            let records = lines.dropFirst().dropFirst(written).map { RecordText(journaled: $0) }
            damaged += records.count { $0 == nil }
            found.append((turn, records.compactMap(\.self)))
        }
        found.sort { $0.turn < $1.turn }
        return (found.flatMap(\.records), damaged)
    }

    private static func place(in line: ArraySlice<UInt8>, chain: Int) -> (turn: UInt64, after: UInt64)? {
        let words = line.split(separator: UInt8(ascii: " "))
        guard words.count >= 2, let turn = number(words[words.count - 2]), let after = number(words[words.count - 1]),
            line.elementsEqual(header(chain: chain, turn: turn, after: after).dropLast())
        else { return nil }
        return (turn, after)
    }

    private static func number(_ word: ArraySlice<UInt8>) -> UInt64? {
        UInt64(String(decoding: word.suffix(numberDigits), as: UTF8.self))
    }
}
