// SPDX-License-Identifier: Apache-2.0

/// What is known of access keys: when a configuration first had them, and when they were last used, at whichever node. Pure;
/// times are Unix seconds.
package struct CredentialLedger: Sendable {
    /// Most that are remembered: nobody can fill the node's memory with ids. Those of the configuration always are.
    package static let mostKnown = 1_024
    /// A credential that was used in this time does not go unless that is said, seconds.
    package static let recentUse: Int64 = 3_600

    package struct Entry: Sendable, Equatable {
        package let accessKeyID: String
        package var firstSeen: Int64?
        /// To the minute.
        package var lastUsed: Int64?
        /// The node that took the request.
        package var usedAt: String?

        package init(accessKeyID: String, firstSeen: Int64? = nil, lastUsed: Int64? = nil, usedAt: String? = nil) {
            self.accessKeyID = accessKeyID
            self.firstSeen = firstSeen
            self.lastUsed = lastUsed
            self.usedAt = usedAt
        }
    }

    private var entries: [String: Entry]
    private var changed: Set<String> = []

    /// - Parameter stored: what an earlier process knew.
    package init(stored: [Entry] = []) {
        let latest = stored.sorted { ($0.lastUsed ?? 0) > ($1.lastUsed ?? 0) }.prefix(Self.mostKnown)
        entries = Dictionary(latest.map { ($0.accessKeyID, $0) }) { first, _ in first }
    }

    package func entry(of accessKeyID: String) -> Entry? { entries[accessKeyID] }

    /// A configuration has these access keys.
    package mutating func configured(_ accessKeyIDs: [String], now: Int64) {
        for id in accessKeyIDs where entries[id]?.firstSeen == nil {
            entries[id, default: Entry(accessKeyID: id)].firstSeen = now
            changed.insert(id)
        }
    }

    /// A node has taken a request that an access key signed. A time that has not come yet, by a clock that is ahead, is
    /// now.
    package mutating func used(_ accessKeyID: String, at time: Int64, by node: String, now: Int64) {
        let minute = min(max(time, 0), max(now, 0)) / 60 * 60
        guard entries[accessKeyID] != nil || entries.count < Self.mostKnown,
            minute > entries[accessKeyID]?.lastUsed ?? 0
        else { return }
        entries[accessKeyID, default: Entry(accessKeyID: accessKeyID)].lastUsed = minute
        entries[accessKeyID]?.usedAt = node
        changed.insert(accessKeyID)
    }

    /// What has changed since the last time, for the store.
    package mutating func takeChanges() -> [Entry] {
        defer { changed = [] }
        return changed.compactMap { entries[$0] }
    }

    /// Those of the access keys that were used lately, anywhere.
    package func inUse(_ accessKeyIDs: [String], now: Int64) -> [Entry] {
        accessKeyIDs.compactMap { entries[$0] }.filter { entry in
            entry.lastUsed.map { now - $0 < Self.recentUse } ?? false
        }
    }
}
