// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// What a node keeps of the heads of one chain that it is told.
///
/// The last of each run is kept, and within a run one a minute: so who rewrites a chain needs the node's key, and its heads
/// of the same run, to leave no more than a minute unproven. What is told and does not fit what was told before is kept
/// beside it, and reported.
package struct HeadHistory: Sendable, Equatable {
    /// Between two heads of one run that are kept, seconds of the clock of who keeps them.
    package static let spacing: Int64 = 60

    /// What a head that was told is.
    package enum Verdict: Sendable, Equatable {
        /// Nothing new.
        case known
        /// It goes on from the last one. `replaces`: number of the head that is kept no longer.
        case news(replaces: UInt64?)
        /// It cannot be of the same chain as an earlier one: another hash under the same number.
        case rewritten(AuditHead)
        /// In a later run the chain is shorter than it was.
        case cut(AuditHead)
    }

    private struct Kept: Sendable, Equatable {
        var head: AuditHead
        var at: Int64
    }

    private var last: Kept?
    private var secondLast: Kept?

    package init() {}

    /// - Parameter kept: in the order of their numbers, with when they were told, Unix seconds.
    package init(_ kept: [(head: AuditHead, at: Int64)]) {
        if let newest = kept.last { last = Kept(head: newest.head, at: newest.at) }
        if let second = kept.dropLast().last { secondLast = Kept(head: second.head, at: second.at) }
    }

    package var newest: AuditHead? { last?.head }

    /// A head that is genuine was told at that moment, Unix seconds.
    package mutating func note(_ head: AuditHead, at now: Int64) -> Verdict {
        guard let last else {
            self.last = Kept(head: head, at: now)
            return .news(replaces: nil)
        }
        if head.seq == last.head.seq {
            return head.hash == last.head.hash ? .known : .rewritten(last.head)
        }
        if head.seq < last.head.seq {
            // Of the same run it was late on its way.
            return head.run > last.head.run ? .cut(last.head) : .known
        }
        var replaced: UInt64?
        if let second = secondLast, second.head.run == last.head.run, head.run == last.head.run,
            now >= second.at, now - second.at < Self.spacing
        {
            replaced = last.head.seq
        } else {
            secondLast = last
        }
        self.last = Kept(head: head, at: now)
        return .news(replaces: replaced)
    }
}
