// SPDX-License-Identifier: Apache-2.0

/// What a journal's file holds: records that the kernel has and the log's segments have not, one in a line, after a first
/// line that says which place in the chain they were given.
///
///     claviger audit journal 1 chain=000001 after=00000000000000004711
///
/// `after` is 0 until they have their places. Records stand there without number and hash, as `RecordText` has them.
package enum JournalText {
    private static let title = "claviger audit journal 1 chain="
    private static let place = " after="
    private static let chainDigits = 6
    private static let seqDigits = 20

    /// - Parameter seq: of the record in the chain that they follow; 0 where that is not known yet.
    package static func header(chain: Int, after seq: UInt64) -> [UInt8] {
        var bytes = Array(title.utf8)
        append(UInt64(clamping: chain), digits: chainDigits, to: &bytes)
        bytes.append(contentsOf: place.utf8)
        append(seq, digits: seqDigits, to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private static func append(_ number: UInt64, digits: Int, to bytes: inout [UInt8]) {
        let text = String(number)
        bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: max(digits - text.utf8.count, 0)))
        bytes.append(contentsOf: text.utf8)
    }

    /// Records of a file that the chain does not have yet.
    ///
    /// - Parameters:
    ///   - bytes: the whole file. A last line without its line feed is a record whose answer has not left.
    ///   - end: number of the chain's last record.
    /// - Returns: the records, and how many lines are none: another program's, or damaged.
    package static func left(of bytes: [UInt8], chain: Int, end: UInt64) -> (records: [RecordText], damaged: Int) {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        // What follows the last line feed.
        if !lines.isEmpty { lines.removeLast() }
        guard let first = lines.first else { return ([], 0) }
        guard let after = seq(in: first, chain: chain) else { return ([], lines.count) }
        let entries = lines.dropFirst()
        let written = after == 0 || end <= after ? 0 : Int(clamping: end - after)
        let records = entries.dropFirst(written).map { RecordText(journaled: $0) }
        return (records.compactMap(\.self), records.count { $0 == nil })
    }

    private static func seq(in line: ArraySlice<UInt8>, chain: Int) -> UInt64? {
        let digits = line.suffix(seqDigits)
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let seq = UInt64(String(decoding: digits, as: UTF8.self)),
            line.elementsEqual(header(chain: chain, after: seq).dropLast())
        else { return nil }
        return seq
    }
}
