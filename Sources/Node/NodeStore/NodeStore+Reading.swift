// SPDX-License-Identifier: Apache-2.0
import Dispatch
import GRDB

// Reading blocks for the time of a write and a read, for a second at most: not for event loops.
extension NodeStore {
    /// The canaries, by label. While the store fails, those that memory knows; so do all readers.
    package func canaries() -> [StoredCanary] {
        known().proof.canaries.values.sorted { $0.label < $1.label }
    }

    package func hsms() -> [StoredHSM] {
        known().hsms.values.values.sorted { $0.name < $1.name }
    }

    package func keys() -> [StoredKey] {
        known().keys.values.values.sorted { ($0.label, $0.hsm) < ($1.label, $1.hsm) }
    }

    /// The uses of keys, by label.
    package func keyUses() -> [StoredKeyUses] {
        known().keyUses.totals.values.sorted { $0.label.utf8.lexicographicallyPrecedes($1.label.utf8) }
    }

    /// What is known of access keys, by their ids.
    package func accessKeys() -> [StoredAccessKey] {
        known().accessKeys.values.values.sorted { $0.accessKeyID < $1.accessKeyID }
    }

    /// What other nodes have told of the uses of keys, in no order.
    package func keyUsesElsewhere() -> [StoredUsesElsewhere] { Array(known().usesElsewhere.values.values) }

    package func nodes() -> [StoredNode] {
        known().nodes.values.values.sorted { $0.id < $1.id }
    }

    /// The HSMs that an operator has drained.
    package func drained() -> Set<String> { Set(known().drained.values.keys) }

    /// Since when an HSM is drained, Unix seconds; `nil` where it is not. By what this process knows: never asks the file, and
    /// never waits.
    package func drainedSince(_ hsm: String) -> Int? {
        state.withLock { $0.memory.drained.values[hsm]?.sinceUnixSeconds }
    }

    /// The last `limit` changes of state (at most `StoreSettings.transitionsInMemory`), oldest first.
    package func transitions(limit: Int) -> [StoredTransition] {
        Array(known().transitions.entries.suffix(max(0, limit)))
    }

    /// As `transitions`, by what this process knows of them: never asks the file, and never waits.
    package func knownTransitions(limit: Int) -> [StoredTransition] {
        state.withLock { Array($0.memory.transitions.entries.suffix(max(0, limit))) }
    }

    /// Everything known: what the file says, and what it lacks.
    func known() -> StoreMemory {
        let read = onQueue { [self] in
            if health.isOK, flush(durable: false, evenIfEmpty: false) {
                let limit = settings.transitionsInMemory
                let news = attempt { () throws(StoreError) in
                    try self.writer.read { db in
                        (try Schema.rows(of: db, transitions: limit), try self.refreshBlocks(db))
                    }
                }
                if let (contents, blocks) = news {
                    state.withLock { $0.memory.adopt(contents) }
                    if let blocks { adopt(blocks, marker: .present(changes: nil)) }
                }
            }
            return state.withLock { $0.memory }
        }
        return read ?? state.withLock { $0.memory }
    }
}
