// SPDX-License-Identifier: Apache-2.0
import GRDB

/// Another node of the cluster, as it was last known: where a restarted node looks for its cluster.
package struct StoredPeer: Sendable, Equatable, Codable {
    package var name: String
    /// Host and port.
    package var address: String
    package var site: String
    package var incarnation: Int
    package var lastSeenUnixSeconds: Int

    package init(name: String, address: String, site: String, incarnation: Int, lastSeenUnixSeconds: Int) {
        self.name = name
        self.address = address
        self.site = site
        self.incarnation = incarnation
        self.lastSeenUnixSeconds = lastSeenUnixSeconds
    }

    enum CodingKeys: String, CodingKey {
        case name, address, site, incarnation
        case lastSeenUnixSeconds = "last_seen_unix_seconds"
    }
}

/// Most changes of its block list that a node has reported, whether or not it is a peer at the moment: one that reports
/// fewer was put back to an earlier state.
package struct StoredPeerChanges: Sendable, Equatable, Codable {
    package var name: String
    package var changes: Int

    package init(name: String, changes: Int) {
        self.name = name
        self.changes = changes
    }
}

extension StoredPeerChanges: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "peer_change"
    package static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace, update: .replace)
}

/// An operator's order to forget a node of the cluster: it holds until the node speaks.
package struct StoredNodeForget: Sendable, Equatable {
    package var name: String
    /// Host and port, where the node was.
    package var address: String
    package var site: String
    /// Of the life that is forgotten.
    package var incarnation: Int
    /// `user@node`.
    package var author: String
    package var givenUnixSeconds: Int

    package init(
        name: String, address: String, site: String, incarnation: Int, author: String, givenUnixSeconds: Int
    ) {
        self.name = name
        self.address = address
        self.site = site
        self.incarnation = incarnation
        self.author = author
        self.givenUnixSeconds = givenUnixSeconds
    }
}

extension StoredNodeForget: FetchableRecord, PersistableRecord {
    package static let databaseTableName = "node_forget"
    package static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace, update: .replace)

    package init(row: Row) throws {
        self.init(
            name: try row.decode(forColumn: "name"), address: try row.decode(forColumn: "address"),
            site: try row.decode(forColumn: "site"), incarnation: try row.decode(forColumn: "incarnation"),
            author: try row.decode(forColumn: "author"),
            givenUnixSeconds: try row.decode(forColumn: "given_unix_seconds"))
        try checksum.check(row, "an order to forget a node")
    }

    package func encode(to container: inout PersistenceContainer) {
        container["name"] = name
        container["address"] = address
        container["site"] = site
        container["incarnation"] = incarnation
        container["author"] = author
        container["given_unix_seconds"] = givenUnixSeconds
        container["checksum"] = checksum.value
    }

    private var checksum: RowChecksum {
        var sum = RowChecksum()
        for field in [name, address, site, author] { sum.add(field) }
        sum.add(incarnation)
        sum.add(givenUnixSeconds)
        return sum
    }
}

extension Schema {
    @Sendable
    static func peerTables(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE peer_change (
                    name TEXT PRIMARY KEY NOT NULL, changes INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;

                CREATE TABLE node_forget (
                    name TEXT PRIMARY KEY NOT NULL, address TEXT NOT NULL, site TEXT NOT NULL,
                    incarnation INTEGER NOT NULL, author TEXT NOT NULL, given_unix_seconds INTEGER NOT NULL,
                    checksum INTEGER NOT NULL
                ) STRICT;
                """)
    }
}
