// SPDX-License-Identifier: Apache-2.0
import AccessControl
import GRDB

/// Reads a store without a node, for the CLI. Changes nothing, and may read while a node writes. Blocks.
package struct StoreReader: Sendable {
    private let database: DatabaseQueue
    private let files: StoreFiles

    /// Opens and checks the store of a state directory. The sentence in the error is meant for an operator.
    package static func open(
        directory: String, settings: StoreSettings = StoreSettings()
    ) throws(StoreError) -> StoreReader {
        let files = StoreFiles(directory: directory)
        guard try files.identity() != nil else { throw .notThere(path: files.path) }
        do {
            let database = try DatabaseQueue(
                path: files.path, configuration: StoreConnection.configuration(settings, readOnly: true))
            try StoreConnection.check(database, files)
            guard try database.read(Schema.migrator.hasCompletedMigrations) else {
                throw StoreError.olderSchema(path: files.path)
            }
            return StoreReader(database: database, files: files)
        } catch {
            throw StoreError(error, path: files.path)
        }
    }

    package func hsms() throws(StoreError) -> [StoredHSM] {
        try read { try StoredHSM.fetchAll($0, sql: "SELECT * FROM hsm ORDER BY name") }
    }

    /// The last `limit` changes of state, oldest first.
    package func transitions(limit: Int) throws(StoreError) -> [StoredTransition] {
        try read { try StoredTransition.latest($0, limit: limit) }
    }

    package func keys() throws(StoreError) -> [StoredKey] {
        try read { try StoredKey.fetchAll($0, sql: "SELECT * FROM key ORDER BY label, hsm") }
    }

    package func nodes() throws(StoreError) -> [StoredNode] {
        try read { try StoredNode.fetchAll($0, sql: "SELECT * FROM node ORDER BY id") }
    }

    /// The HSMs that an operator has drained.
    package func drained() throws(StoreError) -> Set<String> {
        Set(try read { try DrainedRow.fetchAll($0, sql: "SELECT * FROM drained") }.map(\.hsm))
    }

    /// The block list as the file has it.
    package func blocks() throws(StoreError) -> BlockList {
        try read { try BlockTables($0).contents().file.list }
    }

    /// What a node that is started in this directory would know of its block list. Changes nothing. Blocks.
    package static func outlook(
        onBlocksIn directory: String, isClustered: Bool, now: Int64, settings: StoreSettings = StoreSettings()
    ) -> BlockKnowledge {
        let files = StoreFiles(directory: directory)
        var register = BlockRegister(isClustered: isClustered)
        if files.neverHadOne {
            _ = register.failed("", .nothing)
            return register.list.knowledge
        }
        let marker = (try? files.marker()) ?? .present(changes: nil)
        do throws(StoreError) {
            let reader = try open(directory: directory, settings: settings)
            let file = try reader.read { try BlockTables($0).contents().file }
            _ = register.adopt(file, marker: marker, behind: files.lossByAge, now: now)
            return register.list.knowledge
        } catch {
            // As on a full or read-only disk.
            if let (contents, marker) = StoreCopy.contents(of: files, settings) {
                _ = register.adopt(contents.blocks.file, marker: marker, behind: files.lossByAge, now: now)
                return register.list.knowledge
            }
            if case .notThere = error {
                return register.beginning(marker, lost: files.lossByMarker, corrupt: nil)
            }
            return .unknown(error.description)
        }
    }

    func read<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
        do {
            return try database.read(body)
        } catch {
            throw StoreError(error, path: files.path)
        }
    }
}
