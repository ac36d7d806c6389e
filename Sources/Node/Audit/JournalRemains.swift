// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import Glibc

/// Records that runs before have answered for and that are in no segment: those processes were killed.
///
/// A run of the same directory may have written another chain (during an upgrade); its journal is looked at, too, where
/// nobody holds that chain any more. All come into the chain of this run, next after the first record of its first segment.
struct JournalRemains {
    let records: [RecordText]
    /// Lines that are no records, and are given up.
    let damaged: Int
    private let own: AuditJournal
    private let others: [(journal: AuditJournal, lock: Int32)]

    /// - Parameters:
    ///   - chain: whose lock this process holds.
    ///   - end: number of its last record.
    ///   - journals: the directory of the log's journals.
    init(
        of chain: Int, end: UInt64, in directory: AuditDirectory, journals: String
    ) throws(AuditFileError) {
        own = try AuditJournal(of: chain, in: journals)
        var (records, damaged) = try own.left(chain: chain, end: end)
        var others: [(journal: AuditJournal, lock: Int32)] = []
        for other in 1...AuditHead.mostChains where other != chain {
            guard access("\(journals)/chain-\(other).a", F_OK) == 0, let lock = try directory.take(other) else {
                continue
            }
            do throws(AuditFileError) {
                let journal = try AuditJournal(of: other, in: journals)
                let left = try journal.left(chain: other, end: directory.end(of: other).link.seq)
                records += left.records
                damaged += left.damaged
                others.append((journal, lock))
            } catch {
                for lock in others.map(\.lock) + [lock] { close(lock) }
                throw error
            }
        }
        (self.records, self.damaged, self.others) = (records, damaged, others)
    }

    /// All is in a segment. Returns the journal of this run.
    func clear() -> AuditJournal {
        for other in others {
            other.journal.empty()
            close(other.lock)
        }
        var journal = own
        journal.clear()
        return journal
    }
}
