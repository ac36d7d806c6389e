// SPDX-License-Identifier: Apache-2.0
import GRDB

/// How often the processes of this state directory have used a key, since the directory was made.
package struct StoredKeyUses: Sendable, Equatable, Codable {
    package var label: String
    package var encrypts: Int
    package var decrypts: Int

    package init(label: String, encrypts: Int, decrypts: Int) {
        self.label = label
        self.encrypts = encrypts
        self.decrypts = decrypts
    }
}

extension StoredKeyUses: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "key_use"

    /// Two processes may count beside one another, during an upgrade for example: what is written is added.
    func add(to db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO key_use (label, encrypts, decrypts) VALUES (?, ?, ?)
                ON CONFLICT (label) DO UPDATE
                SET encrypts = encrypts + excluded.encrypts, decrypts = decrypts + excluded.decrypts
                """, arguments: [label, encrypts, decrypts])
    }
}

extension Schema {
    @Sendable
    static func keyUses(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE key_use (
                    label TEXT PRIMARY KEY NOT NULL, encrypts INTEGER NOT NULL, decrypts INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID
                """)
    }
}

/// The uses of keys, and the part of them that the file lacks.
struct KeyUseMemory: Sendable {
    /// By the label's bytes: Strings compare by canonical equivalence, and labels do not.
    private(set) var totals: [[UInt8]: StoredKeyUses] = [:]
    private var unsaved: [[UInt8]: StoredKeyUses] = [:]

    mutating func add(_ uses: [StoredKeyUses]) {
        for use in uses {
            Self.add(use, to: &totals)
            Self.add(use, to: &unsaved)
        }
    }

    mutating func take() -> [StoredKeyUses] {
        defer { unsaved = [:] }
        return Array(unsaved.values)
    }

    /// The write failed.
    mutating func giveBack(_ uses: [StoredKeyUses]) { for use in uses { Self.add(use, to: &unsaved) } }

    /// Takes over what the file says. With `restoring`, the file is another than before: what it lacks is to be written
    /// again.
    mutating func adopt(_ fresh: [StoredKeyUses], restoring: Bool) {
        var next: [[UInt8]: StoredKeyUses] = [:]
        for use in fresh { Self.add(use, to: &next) }
        for use in unsaved.values { Self.add(use, to: &next) }
        if restoring {
            for (label, known) in totals {
                let (encrypts, decrypts) = (next[label]?.encrypts ?? 0, next[label]?.decrypts ?? 0)
                let lost = StoredKeyUses(
                    label: known.label, encrypts: max(known.encrypts &- encrypts, 0),
                    decrypts: max(known.decrypts &- decrypts, 0))
                guard lost.encrypts > 0 || lost.decrypts > 0 else { continue }
                Self.add(lost, to: &next)
                Self.add(lost, to: &unsaved)
            }
        }
        totals = next
    }

    private static func add(_ use: StoredKeyUses, to uses: inout [[UInt8]: StoredKeyUses]) {
        let label = Array(use.label.utf8)
        var sum = uses[label] ?? StoredKeyUses(label: use.label, encrypts: 0, decrypts: 0)
        sum.encrypts &+= use.encrypts
        sum.decrypts &+= use.decrypts
        uses[label] = sum
    }
}
