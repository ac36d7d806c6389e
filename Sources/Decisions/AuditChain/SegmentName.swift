// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// The name of a segment's file: `audit-1-000000000000042.jsonl` is of chain 1 and begins with record 42.
package struct SegmentName: Sendable, Hashable, Comparable {
    package let chain: Int
    package let first: UInt64

    package init(chain: Int, first: UInt64) {
        self.chain = chain
        self.first = first
    }

    /// `nil` for the name of any other file.
    package init?(file: String) {
        let parts = file.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "audit", parts[2].hasSuffix(".jsonl"),
            let chain = Int(parts[1]), (1...AuditHead.mostChains).contains(chain),
            let first = UInt64(parts[2].dropLast(6)), first > 0
        else { return nil }
        self.init(chain: chain, first: first)
        guard self.file == file else { return nil }
    }

    package var file: String {
        let digits = String(first)
        return "audit-\(chain)-\(String(repeating: "0", count: max(15 - digits.count, 0)))\(digits).jsonl"
    }

    package static func < (left: SegmentName, right: SegmentName) -> Bool {
        (left.chain, left.first) < (right.chain, right.first)
    }
}

/// When a segment is closed, and when it has been kept long enough.
package struct SegmentRules: Sendable, Equatable {
    /// Bytes.
    package var size: Int
    /// Nanoseconds.
    package var age: UInt64
    /// Seconds that a closed segment is kept after its last record.
    package var keep: Int64
    /// Bytes that the segments of a chain may have in all; `nil`: as many as come.
    package var most: Int?

    package init(size: Int, age: UInt64, keep: Int64, most: Int? = nil) {
        self.size = size
        self.age = age
        self.keep = keep
        self.most = most
    }

    /// Why the segment is to be closed before the next record; `nil` while it is not.
    ///
    /// - Parameters:
    ///   - written: bytes in it.
    ///   - records: in it; one that has its first only is not closed for its age.
    ///   - age: since it was begun, nanoseconds.
    package func cause(written: Int, records: UInt64, age: UInt64) -> SegmentCause? {
        if written >= size { return .size }
        return age >= self.age && records > 1 ? .time : nil
    }

    /// A segment that lies on the disk.
    package struct Kept {
        package var name: SegmentName
        /// When it was last written, Unix seconds.
        package var written: Int64
        package var bytes: Int

        package init(_ name: SegmentName, written: Int64, bytes: Int) {
            (self.name, self.written, self.bytes) = (name, written, bytes)
        }
    }

    /// Those of one chain that have been kept long enough, or for which there is to be no room: the oldest in a row, never
    /// the last.
    ///
    /// - Parameter segments: of one chain in order.
    package func expired(_ segments: [Kept], now: Int64) -> [SegmentName] {
        var total = segments.reduce(0) { $0 &+ $1.bytes }
        return segments.dropLast().prefix { segment in
            let isTooMuch = most.map { total > $0 } ?? false
            total &-= segment.bytes
            return isTooMuch || now &- segment.written > keep
        }.map(\.name)
    }
}
