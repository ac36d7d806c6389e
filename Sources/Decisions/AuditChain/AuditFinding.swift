// SPDX-License-Identifier: Apache-2.0

/// Something about a chain that does not hold.
package struct AuditFinding: Sendable, Equatable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        case changed, missing, moved, added, unreadable, torn, foreign, cut, rewritten, unsigned
    }

    package var kind: Kind
    /// Name of the file; empty where it is of the chain as a whole.
    package var file: String
    /// From 1; 0 where it is of no line.
    package var line: Int
    /// The record that is meant, or the first of those; 0 where it is of none.
    package var seq: UInt64
    /// In words.
    package var text: String

    package init(_ kind: Kind, file: String = "", line: Int = 0, seq: UInt64 = 0, _ text: String) {
        self.kind = kind
        self.file = file
        self.line = line
        self.seq = seq
        self.text = text
    }

    package var description: String {
        let place = file.isEmpty ? "" : line > 0 ? "\(file), line \(line): " : "\(file): "
        return "\(place)\(text)"
    }
}

/// What a chain holds, as far as it was read.
package struct AuditCounts: Sendable, Equatable {
    package var records: UInt64 = 0
    /// Requests of KMS, each once: without those of other nodes.
    package var requests: UInt64 = 0
    /// Of these, those that got an error.
    package var failures: UInt64 = 0
    /// Requests that other nodes have passed on to this one; they have records there, too.
    package var forwarded: UInt64 = 0
    package var orders: UInt64 = 0
    package var gaps: UInt64 = 0
    package var late: UInt64 = 0
    package var lost: UInt64 = 0
    package var refused: UInt64 = 0
}

/// What was found of one chain.
package struct AuditReport: Sendable, Equatable {
    /// Most findings that are kept: of a file that is something else each line is one.
    package static let mostFindings = 100

    package var node: String
    package var chain: Int
    /// Numbers of the first and the last record that is there; 0 where none is.
    package var first: UInt64 = 0
    package var last: ChainLink
    /// The times of the two.
    package var firstTime = ""
    package var lastTime = ""
    package var counts = AuditCounts()
    /// In the order in which they were found.
    package var findings: [AuditFinding] = []
    /// How many there are, also those that are not kept.
    package var findingCount = 0
    /// Heads that the chain agrees with, and those that are of records that are no longer, or not given, here.
    package var agreeing = 0
    package var beyond = 0
    /// The last record up to which a head agrees; 0 where none does.
    package var provenUpTo: UInt64 = 0

    package var isGood: Bool { findingCount == 0 }
}
