// SPDX-License-Identifier: Apache-2.0

/// How often other nodes have encrypted under each key, by what they tell: their counts outlive them here, because the limit
/// is the key's (`KeyUseLimit`). Pure.
package struct UsesElsewhere: Sendable {
    /// Most counts that are kept: nobody can fill the node's memory with labels.
    package static let mostKnown = 8_192

    /// What one node tells of one key.
    package struct Count: Sendable, Equatable {
        package let node: String
        package let label: String
        /// Of its counts before it lost them and began anew: counted twice rather than not at all.
        package var before: UInt64
        package var told: UInt64

        package init(node: String, label: String, before: UInt64 = 0, told: UInt64 = 0) {
            self.node = node
            self.label = label
            self.before = before
            self.told = told
        }

        package var total: UInt64 {
            let (sum, overflows) = before.addingReportingOverflow(told)
            return overflows ? .max : sum
        }
    }

    /// Labels by their bytes: Strings compare by canonical equivalence, and labels do not.
    private struct Name: Hashable {
        var node: String
        var label: [UInt8]
    }

    private var counts: [Name: Count] = [:]
    private var changed: Set<Name> = []

    package init(stored: [Count] = []) {
        for count in stored.prefix(Self.mostKnown) { counts[Self.name(count.node, count.label)] = count }
    }

    /// A node tells how often it has encrypted under a key, ever.
    package mutating func told(_ encrypts: UInt64, of label: String, by node: String) {
        let name = Self.name(node, label)
        guard counts[name] != nil || counts.count < Self.mostKnown else { return }
        var count = counts[name] ?? Count(node: node, label: label)
        guard count.told != encrypts else { return }
        if encrypts < count.told { count.before = count.total }
        count.told = encrypts
        counts[name] = count
        changed.insert(name)
    }

    /// By the label's bytes, of all other nodes together.
    package var totals: [[UInt8]: UInt64] {
        counts.reduce(into: [:]) { totals, entry in
            let (sum, overflows) = totals[entry.key.label, default: 0].addingReportingOverflow(entry.value.total)
            totals[entry.key.label] = overflows ? .max : sum
        }
    }

    /// What has changed since the last time, for the store.
    package mutating func takeChanges() -> [Count] {
        defer { changed = [] }
        return changed.compactMap { counts[$0] }
    }

    private static func name(_ node: String, _ label: String) -> Name { Name(node: node, label: Array(label.utf8)) }
}
