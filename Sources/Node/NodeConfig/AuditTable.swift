// SPDX-License-Identifier: Apache-2.0

/// `[audit]`: the audit log.
package struct AuditTableSettings: Sendable, Equatable {
    /// What is done with requests whose records cannot be written.
    package enum FullRule: String, Sendable, CaseIterable {
        case `continue`, refuse
    }

    /// Absolute path; `nil`: `audit` in the state directory.
    package var directory: String?
    package var onFull: FullRule
    /// Absolute path; `nil`: `/dev/shm/claviger-UID`.
    package var journalDirectory: String?
    /// How long a write to a segment may take.
    package var patience: Duration
    /// Bytes after which a segment is closed.
    package var segmentBytes: Int
    /// Time after which it is closed.
    package var segmentTime: Duration
    /// Days that closed segments are kept.
    package var keepDays: Int
    /// Bytes of segments that are kept; 0: as many as come.
    package var keepBytes: Int
    /// How much may wait to be written, bytes.
    package var queueBytes: Int

    package init(
        directory: String? = nil, onFull: FullRule = .continue, journalDirectory: String? = nil,
        patience: Duration = .milliseconds(500),
        segmentBytes: Int = 67_108_864, segmentTime: Duration = .seconds(86_400), keepDays: Int = 400,
        keepBytes: Int = 0,
        queueBytes: Int = 33_554_432
    ) {
        self.directory = directory
        self.onFull = onFull
        self.journalDirectory = journalDirectory
        self.patience = patience
        self.segmentBytes = segmentBytes
        self.segmentTime = segmentTime
        self.keepDays = keepDays
        self.keepBytes = keepBytes
        self.queueBytes = queueBytes
    }

    /// Where it is.
    package func directory(under stateDirectory: String) -> String { directory ?? stateDirectory + "/audit" }

    /// Where its journal is. Every Linux has that directory, in memory, and everybody may write there.
    package func journals(ofUser user: UInt32) -> String { journalDirectory ?? "/dev/shm/claviger-\(user)" }
}

enum AuditKeys {
    static let directory = ConfigurationKey(
        "directory", "path", standard: "`audit` in `state_dir`",
        "Where the segments lie; made (0700) where it is missing. The directory above it must exist.",
        cost: "On the disk of `state_dir` it can fill that; a file system of its own is better.")
    static let onFull = ConfigurationKey(
        "on_full", "`\"continue\"` or `\"refuse\"`", standard: "\"continue\"",
        "What is done where records cannot be written, or a write takes longer than `patience`. `continue`: requests are "
            + "answered, records are written as soon as they can be, and a signed gap record says how many came late and how many "
            + "were lost. `refuse`: requests get InternalException until records can be written; orders that weaken "
            + "(lift a block, trust or forget a key, forget a node, bootstrap) are refused too, all others are carried out.",
        cost: "With `refuse` a full disk stops the node's requests.")
    static let patience = DurationKey(
        "patience", .milliseconds(10)...(.seconds(10)), standard: .milliseconds(500),
        "How long a write to a segment may take before that counts as a full disk. Answers do not wait for it.",
        cost: "With `refuse`, what is answered meanwhile is in memory only: a loss of power loses so much more.")
    static let journalDirectory = ConfigurationKey(
        "journal_dir", "path", standard: "`/dev/shm/claviger-UID`",
        "Where records are from the moment that their answers may leave until they are in a segment, some milliseconds "
            + "later: a directory in memory (tmpfs) that outlives the process, made (0700) where it is missing. What a "
            + "process that was killed has left there, the next start brings into the log.",
        cost: "On a disk, requests wait for that disk. What is removed there while the node is down is lost.")
    static let segmentBytes = IntegerKey(
        "segment_bytes", 65_536...4_294_967_296, standard: 67_108_864, unit: "bytes",
        "A segment is closed when it is as large.", cost: "Larger segments take longer to copy and to verify.")
    static let segmentTime = DurationKey(
        "segment_time", .seconds(60)...(.seconds(31 * 86_400)), standard: .seconds(86_400),
        "A segment is closed when it is as old, unless it is empty.",
        cost: "What is archived as whole segments is archived so much later.")
    static let keepDays = IntegerKey(
        "keep_days", 1...3_660, standard: 400, unit: "days",
        "How long closed segments are kept after their last record. Then they are removed, and a record says so. 400 days: "
            + "the twelve months that PCI DSS asks for (10.5.1), and a month to spare.",
        cost: "About 800 bytes of disk for each request.")
    static let keepBytes = IntegerKey(
        "keep_bytes", 0...(1 << 50), standard: 0, unit: "bytes",
        "How much the segments may have in all before the oldest are removed, though `keep_days` are not over; a record says "
            + "so. 0: as much as comes. The one that is written to is never removed.",
        cost:
            "Who can make many requests can have old records removed sooner: prefer `keep_days` and a disk of its own.")
    static let queueBytes = IntegerKey(
        "queue_bytes", 1_048_576...4_294_967_296, standard: 33_554_432, unit: "bytes",
        "How much of records is kept in memory, and in `journal_dir`, while they cannot be written. What is beyond it is "
            + "lost, and counted.",
        cost: "As much memory, twice.")
    static let all = [
        directory, onFull, journalDirectory, patience.key, segmentBytes.key, segmentTime.key, keepDays.key,
        keepBytes.key,
        queueBytes.key,
    ]
}

extension TableReader {
    func audit(resolve: (String) -> String) -> AuditTableSettings {
        let rules = AuditTableSettings.FullRule.allCases.map(\.rawValue)
        let rule = text(
            AuditKeys.onFull, required: nil, "must be one of \(rules.joined(separator: ", "))",
            fix: "take \"continue\", or leave it out", accepts: rules.contains)
        return AuditTableSettings(
            directory: filePath(AuditKeys.directory, resolve: resolve),
            onFull: rule.flatMap(AuditTableSettings.FullRule.init) ?? .continue,
            journalDirectory: filePath(AuditKeys.journalDirectory, resolve: resolve),
            patience: duration(AuditKeys.patience), segmentBytes: integer(AuditKeys.segmentBytes),
            segmentTime: duration(AuditKeys.segmentTime), keepDays: integer(AuditKeys.keepDays),
            keepBytes: integer(AuditKeys.keepBytes),
            queueBytes: integer(AuditKeys.queueBytes))
    }
}
