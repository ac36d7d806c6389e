// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// How often one kind of peer has been turned away.
package struct RefusalCount: Sendable, Equatable {
    package var listener: ListenerName
    package var kind: RefusalKind
    /// nil: peers of addresses for which there was no room in the table, and peers that have none.
    package var address: AddressPrefix?
    package var count: Int
    /// Unix seconds of the first and of the last time.
    package var first: Int64
    package var last: Int64
    /// What was found the last time, for example by the TLS library; at most 200 bytes.
    package var detail: String?
}

extension RefusalCount {
    /// What one row counts.
    package struct Key: Sendable, Hashable {
        package var listener: ListenerName
        package var kind: RefusalKind
        package var address: AddressPrefix?

        /// The row of what is not counted by address.
        package var withoutAddress: Key { Key(listener: listener, kind: kind, address: nil) }
    }

    package var key: Key { Key(listener: listener, kind: kind, address: address) }
}

/// Counts who was turned away, by listener, kind and address.
///
/// The counts of a kind are exact in their sum. Addresses are bounded: an attacker has any number of them. When the table
/// is full, rows that have not changed for a minute are counted to their kind without address; while there are none,
/// new addresses are counted there.
package struct RefusalTally: Sendable {
    private struct Row {
        var count: Int
        var first: Int64
        var last: Int64
        var detail: String?
    }

    /// Seconds without a change after which a row may make room.
    private static let restTime: Int64 = 60

    private let capacity: Int
    private var rows: [RefusalCount.Key: Row] = [:]
    /// How many have been counted in all.
    package private(set) var sum = 0
    /// Rows with an address; the others are as many as there are kinds and listeners, at most.
    private var addressed = 0
    /// Unix seconds; making room looks at all rows, so it is done at most once a second.
    private var lastMadeRoom = Int64.min

    /// - Parameter capacity: rows with an address; at least 1.
    package init(capacity: Int = 512) {
        self.capacity = max(capacity, 1)
    }

    /// Counts one. `now` in Unix seconds; a clock that is set back does no harm.
    package mutating func count(
        _ kind: RefusalKind, at listener: ListenerName, from address: AddressPrefix?, detail: String? = nil, now: Int64
    ) {
        sum &+= 1
        var key = RefusalCount.Key(listener: listener, kind: kind, address: address)
        if address != nil, rows[key] == nil {
            if addressed >= capacity { makeRoom(now: now) }
            if addressed >= capacity {
                key = key.withoutAddress
            } else {
                addressed += 1
            }
        }
        add(Row(count: 1, first: now, last: now, detail: detail.map(Self.shortened)), to: key)
    }

    /// All counts, the latest first.
    package var counts: [RefusalCount] {
        rows.map { key, row in
            RefusalCount(
                listener: key.listener, kind: key.kind, address: key.address, count: row.count, first: row.first,
                last: row.last, detail: row.detail)
        }
        .sorted { one, other in
            let isAlike = one.last == other.last && one.count == other.count
            return isAlike ? one.order < other.order : (one.last, one.count) > (other.last, other.count)
        }
    }

    private mutating func makeRoom(now: Int64) {
        guard now != lastMadeRoom else { return }
        lastMadeRoom = now
        for (key, row) in rows where key.address != nil && now - row.last > Self.restTime {
            rows[key] = nil
            addressed -= 1
            add(row, to: key.withoutAddress)
        }
    }

    private mutating func add(_ more: Row, to key: RefusalCount.Key) {
        guard let row = rows[key] else {
            rows[key] = more
            return
        }
        let latest = more.last >= row.last ? more : row
        rows[key] = Row(
            count: row.count &+ more.count, first: min(row.first, more.first), last: max(row.last, more.last),
            detail: latest.detail ?? row.detail)
    }

    private static func shortened(_ detail: String) -> String {
        guard detail.utf8.count > 200 else { return detail }
        return String(decoding: detail.utf8.prefix(197), as: UTF8.self) + "…"
    }
}

extension RefusalCount {
    fileprivate var order: String { "\(listener.rawValue) \(kind.rawValue) \(address?.description ?? "")" }
}

/// The tally that all listeners of a node share.
package final class RefusalCounter: Sendable {
    private let tally: Mutex<RefusalTally>
    private let clock: @Sendable () -> Int64

    /// - Parameter clock: Unix seconds.
    package init(tally: RefusalTally = RefusalTally(), clock: @escaping @Sendable () -> Int64) {
        self.tally = Mutex(tally)
        self.clock = clock
    }

    package func count(
        _ kind: RefusalKind, at listener: ListenerName, from address: AddressPrefix?, detail: String? = nil
    ) {
        let now = clock()
        tally.withLock { $0.count(kind, at: listener, from: address, detail: detail, now: now) }
    }

    /// All counts, the latest first.
    package var counts: [RefusalCount] { tally.withLock { $0 }.counts }

    /// How many have been counted in all.
    package var sum: Int { tally.withLock { $0.sum } }
}
