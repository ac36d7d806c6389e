// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain

/// What an audit log is written by.
package struct AuditSettings: Sendable, Equatable {
    /// Absolute path; made where it is missing (0700).
    package var directory: String
    /// Where journals of this host lie: absolute path, in memory (tmpfs); made where it is missing (0700).
    package var journals: String
    package var rules: SegmentRules
    package var backlog: AuditBacklog.Settings
    /// Of the node that writes.
    package var node: String
    package var version: String
    /// Grows with each start.
    package var run: UInt64

    package init(
        directory: String, journals: String, rules: SegmentRules, backlog: AuditBacklog.Settings, node: String,
        version: String, run: UInt64
    ) {
        self.directory = directory
        self.journals = journals
        self.rules = rules
        self.backlog = backlog
        self.node = node
        self.version = version
        self.run = run
    }
}

/// By what heads and records are signed.
package struct AuditKey: Sendable {
    package let signer: AuditSigner
    private let make: @Sendable ([UInt8]) -> String?

    /// - Parameter make: the signature, in hexadecimal digits; `nil` where it cannot be made.
    package init(signer: AuditSigner, make: @escaping @Sendable ([UInt8]) -> String?) {
        self.signer = signer
        self.make = make
    }

    func sign(_ text: [UInt8]) -> String? { make(text) }

    /// `nil` where it cannot be signed.
    func sign(_ head: AuditHead) -> SignedAuditHead? {
        make(Array(head.signedText.utf8)).map { SignedAuditHead(head: head, signer: signer, signature: $0) }
    }
}

/// How a log is.
package struct AuditFacts: Sendable, Equatable {
    /// Why records are not written; `nil` while they are.
    package var trouble: String?
    /// Since when, CLOCK_MONOTONIC, nanoseconds.
    package var troubledSince: UInt64?
    package var isRefusing = false
    package var chain = 0
    /// Of the last record that is with the kernel.
    package var seq: UInt64 = 0
    /// Since the start.
    package var records: UInt64 = 0
    package var bytes: UInt64 = 0
    package var gaps: UInt64 = 0
    package var late: UInt64 = 0
    package var lost: UInt64 = 0
    package var refused: UInt64 = 0
    /// For how long the oldest record waits to be on the disk itself, nanoseconds; 0 where none does.
    package var unsynced: UInt64 = 0
    /// Bytes of records that are in no segment yet.
    package var waitingBytes = 0
}
