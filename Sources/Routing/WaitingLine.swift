// SPDX-License-Identifier: Apache-2.0

/// Operations that wait for a free lane, first come first served, or nearly so.
///
/// An operation costs less on a lane of its own group: its answer then comes in where its caller waits. So whoever is of
/// the free lane's group may step before those who are not. That is bounded twice: from among the first few, and past
/// the first only a few times in a row.
///
/// A line that does not become empty is judged by its age, not by its length (Nichols and Jacobson, "Controlling Queue
/// Delay", 2012): it *stands* once its oldest operation has been older than `target` for a whole `interval`, until it
/// has been empty. While it stands, waiting only makes every answer later, so that less is let into it.
struct WaitingLine: Sendable {
    /// Of how many that could use a lane one is chosen.
    static let choice = 8
    /// How often in a row the first that could use a lane is passed over.
    static let patience = 8
    /// What an operation may wait while the line stands, nanoseconds: enough to keep every lane busy through the
    /// unevenness of arrivals, a quarter of the time that a request has.
    static let target: UInt64 = 50_000_000
    /// How long the oldest must have been older than that, nanoseconds.
    static let interval: UInt64 = 100_000_000

    /// What an operation in the line says to a free lane.
    enum Fit {
        case cannot
        case can
        /// It is of the lane's group, or not to be passed over.
        case likes
    }

    struct Choice {
        let id: OperationID
        /// Somebody who could use the lane as well stands before it.
        let passesOver: Bool
    }

    struct Entry: Sendable {
        let id: OperationID
        /// Who could do it when it came into the line.
        let holders: HSMSet
        /// When that was.
        let since: UInt64
    }

    private(set) var entries: [Entry] = []
    /// How many entries each set of holders has: few sets, and perhaps many entries.
    private var counts: [HSMSet: Int] = [:]
    private var passedOver = 0
    private var olderSince: UInt64?
    private(set) var isStanding = false

    var ids: [OperationID] { entries.map(\.id) }
    var isEmpty: Bool { entries.isEmpty }
    var count: Int { entries.count }

    /// How many in the line may take a lane of one of these HSMs.
    func count(sharing hsms: HSMSet) -> Int {
        counts.reduce(0) { $0 + ($1.key.intersection(hsms).isEmpty ? 0 : $1.value) }
    }

    mutating func add(_ id: OperationID, holders: HSMSet, atFront: Bool, now: UInt64) {
        let entry = Entry(id: id, holders: holders, since: now)
        if atFront { entries.insert(entry, at: 0) } else { entries.append(entry) }
        counts[holders, default: 0] += 1
    }

    /// Who of those in the line gets the free lane.
    func choice(_ fit: (OperationID) -> Fit) -> Choice? {
        var first: OperationID?
        var asked = 0
        for entry in entries {
            let fit = fit(entry.id)
            guard fit != .cannot else { continue }
            if fit == .likes { return Choice(id: entry.id, passesOver: first != nil) }
            first = first ?? entry.id
            asked += 1
            if passedOver >= Self.patience || asked == Self.choice { break }
        }
        return first.map { Choice(id: $0, passesOver: false) }
    }

    /// It leaves the line for a lane. Returns how long it has waited.
    mutating func take(_ choice: Choice, now: UInt64) -> UInt64 {
        passedOver = choice.passesOver ? passedOver + 1 : 0
        return remove(choice.id, now: now)
    }

    /// It leaves the line. Returns how long it has waited; 0 when it was not there.
    @discardableResult
    mutating func remove(_ id: OperationID, now: UInt64) -> UInt64 {
        guard let index = entries.firstIndex(where: { $0.id == id }) else { return 0 }
        let entry = entries.remove(at: index)
        counts[entry.holders, default: 1] -= 1
        if counts[entry.holders] == 0 { counts[entry.holders] = nil }
        observe(now: now)
        return now > entry.since ? now - entry.since : 0
    }

    /// Looks at the age of the line. Call it whenever time has passed.
    mutating func observe(now: UInt64) {
        // The front has the oldest, and before it those that were put there.
        guard let oldest = entries.prefix(Self.choice).lazy.map(\.since).min() else {
            olderSince = nil
            isStanding = false
            return
        }
        guard now > oldest, now - oldest > Self.target else {
            olderSince = nil
            return
        }
        let since = olderSince ?? now
        olderSince = since
        if now - since >= Self.interval { isStanding = true }
    }
}
