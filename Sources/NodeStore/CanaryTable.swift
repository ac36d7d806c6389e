// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB

/// A canary's row bears a checksum: SQLite finds a damaged page by its structure, not by what its cells hold, and a
/// canary with one wrong bit would have every HSM look as if it held another key.
extension StoredCanary: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "canary"
    package static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace, update: .replace)

    package init(row: Row) throws {
        self.init(
            label: try row.decode(forColumn: "label"),
            iv: [UInt8](try row.decode(Data.self, forColumn: "iv")),
            ciphertext: [UInt8](try row.decode(Data.self, forColumn: "ciphertext")),
            digest: [UInt8](try row.decode(Data.self, forColumn: "digest")),
            hsm: try row.decode(forColumn: "hsm"),
            madeUnixSeconds: try row.decode(forColumn: "made_unix_seconds"),
            trustedByOperator: try row.decode(Int.self, forColumn: "trusted_by_operator") != 0,
            dispute: try row.decode(forColumn: "dispute"))
        guard try row.decode(Int64.self, forColumn: "checksum") == checksum else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a canary does not match its checksum")
        }
    }

    package func encode(to container: inout PersistenceContainer) {
        container["label"] = label
        container["iv"] = Data(iv)
        container["ciphertext"] = Data(ciphertext)
        container["digest"] = Data(digest)
        container["hsm"] = hsm
        container["made_unix_seconds"] = madeUnixSeconds
        container["trusted_by_operator"] = trustedByOperator ? 1 : 0
        container["dispute"] = dispute
        container["checksum"] = checksum
    }

    /// FNV-1a (64 bits) of all fields, each after its length. Against accidents, not against people.
    private var checksum: Int64 {
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ bytes: some Sequence<UInt8>) {
            for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        func add(_ number: Int) {
            withUnsafeBytes(of: Int64(number).littleEndian) { add($0) }
        }
        for field in [Array(label.utf8), iv, ciphertext, digest, Array(hsm.utf8)] {
            add(field.count)
            add(field)
        }
        add(madeUnixSeconds)
        add(trustedByOperator ? 1 : 0)
        add(dispute == nil ? 0 : 1)
        add((dispute ?? "").utf8)
        return Int64(bitPattern: sum)
    }
}
