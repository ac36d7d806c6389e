// SPDX-License-Identifier: Apache-2.0
import GRDB

/// FNV-1a (64 bits) of a row's fields, each after its length. Against accidents, not against people.
///
/// SQLite finds a damaged page by its structure, not by what its cells hold. Rows that decide something bear this sum:
/// a canary with one wrong bit would have every HSM look as if it held another key, a block with one would block
/// nothing.
struct RowChecksum {
    private var sum: UInt64 = 0xcbf2_9ce4_8422_2325

    var value: Int64 { Int64(bitPattern: sum) }

    mutating func add(_ field: some Collection<UInt8>) {
        add(field.count)
        mix(field)
    }

    mutating func add(_ text: String) { add(Array(text.utf8)) }

    mutating func add(_ number: Int) {
        withUnsafeBytes(of: Int64(number).littleEndian) { mix($0) }
    }

    /// A missing one differs from every other.
    mutating func add(_ text: String?) {
        add(text == nil ? 0 : 1)
        mix((text ?? "").utf8)
    }

    mutating func add(_ number: Int?) {
        add(number == nil ? 0 : 1)
        add(number ?? 0)
    }

    private mutating func mix(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }

    /// Throws what sets the file aside, unless `row` bears this sum.
    func check(_ row: Row, _ name: String) throws {
        guard try row.decode(Int64.self, forColumn: "checksum") == value else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "\(name) does not match its checksum")
        }
    }
}
