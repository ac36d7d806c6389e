// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB

/// A canary's row bears a checksum (`RowChecksum`).
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
        try checksum.check(row, "a canary")
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
        container["checksum"] = checksum.value
    }

    private var checksum: RowChecksum {
        var sum = RowChecksum()
        for field in [Array(label.utf8), iv, ciphertext, digest, Array(hsm.utf8)] { sum.add(field) }
        sum.add(madeUnixSeconds)
        sum.add(trustedByOperator ? 1 : 0)
        sum.add(dispute)
        return sum
    }
}
