// SPDX-License-Identifier: Apache-2.0

/// How a node's audit log is. Counts are since the node's start.
package struct AuditStatus: Sendable, Equatable, Codable {
    /// Why records are not written in time; `nil` while they are.
    package var trouble: String?
    /// Why records are not signed by the key that the configuration names; `nil` where they are.
    package var unsigned: String?
    /// Requests are refused for want of records.
    package var refusing: Bool
    package var directory: String
    /// The number of the chain, and of its last record.
    package var chain: Int
    package var seq: Int
    package var records: Int
    package var bytes: Int
    package var gaps: Int
    package var late: Int
    package var lost: Int
    package var refused: Int
    /// For how long the oldest record waits to be on the disk itself.
    package var unsyncedMicroseconds: Int
    /// Bytes of records in memory.
    package var waitingBytes: Int

    package init(
        trouble: String? = nil, unsigned: String? = nil, refusing: Bool = false, directory: String, chain: Int = 0,
        seq: Int = 0,
        records: Int = 0, bytes: Int = 0, gaps: Int = 0, late: Int = 0, lost: Int = 0, refused: Int = 0,
        unsyncedMicroseconds: Int = 0, waitingBytes: Int = 0
    ) {
        self.trouble = trouble
        self.unsigned = unsigned
        self.refusing = refusing
        self.directory = directory
        self.chain = chain
        self.seq = seq
        self.records = records
        self.bytes = bytes
        self.gaps = gaps
        self.late = late
        self.lost = lost
        self.refused = refused
        self.unsyncedMicroseconds = unsyncedMicroseconds
        self.waitingBytes = waitingBytes
    }
}
