// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// Operations that wait for a free lane, fair among key stores.
///
/// Each key store has a line of its own, first come first served, and the lines take turns: a key store that floods the
/// node waits for itself alone, and one that asks little waits for one call of each other (deficit round robin; Shreedhar
/// and Varghese, "Efficient Fair Queuing", 1995, with calls in place of bytes). Before all of them stands what has had
/// its turn: what an HSM has failed, and the second call of a request whose first has been made.
///
/// An operation costs less on a lane of its own group: its answer then comes in where its caller waits. So whoever is of
/// the free lane's group may step before those who are not. That is bounded twice: from among the first few, and past
/// the first only a few times in a row.
///
/// A line that does not become empty is judged by its age, not by its length (Nichols and Jacobson, "Controlling Queue
/// Delay", 2012): it *stands* once its oldest operation has been older than `target` for a whole `interval`, until it
/// has been empty. While it stands, waiting only makes every answer later, so that less is let into it. Each key store's
/// line is judged by itself (FQ-CoDel, RFC 8290): one that asks for its part waits through its own unevenness alone.
struct WaitingLine: Sendable {
    /// Of how many that could use a lane one is chosen.
    static let choice = 8
    /// How often in a row the first that could use a lane is passed over.
    static let patience = 8
    /// What an operation may wait while the line stands, nanoseconds: enough to keep every lane busy through the
    /// unevenness of arrivals, a quarter of the time that a request has.
    static let target: UInt64 = 50_000_000
    /// How long the oldest must have been older than that, nanoseconds: a burst that is over by then has all of its time.
    static let interval: UInt64 = 400_000_000

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
        /// Calls that it stands for.
        let calls: Int
        /// When it came into the line.
        var since: UInt64
    }

    /// The line of one key store.
    private struct Share: Sendable {
        let number: Int
        var entries: [Entry] = []
        /// Calls that it has had beyond its turns.
        var debt = 0
        /// Since when its oldest has been older than `target`.
        var olderSince: UInt64?
        var isStanding = false
        /// How many calls each set of holders stands for: few sets, and perhaps many entries.
        var calls: [HSMSet: Int] = [:]

        /// Looks at its age.
        mutating func observe(now: UInt64) {
            guard let oldest = entries.first?.since, now > oldest, now - oldest > WaitingLine.target else {
                return olderSince = nil
            }
            olderSince = olderSince ?? now
            if let olderSince, now - olderSince >= WaitingLine.interval { isStanding = true }
        }

        func calls(sharing hsms: HSMSet) -> Int {
            calls.reduce(0) { $0 + ($1.key.intersection(hsms).isEmpty ? 0 : $1.value) }
        }

        mutating func add(_ entry: Entry) {
            entries.append(entry)
            calls[entry.holders, default: 0] += entry.calls
        }

        mutating func remove(_ id: OperationID) -> Entry? {
            guard let index = entries.firstIndex(where: { $0.id == id }) else { return nil }
            let entry = entries.remove(at: index)
            calls[entry.holders, default: entry.calls] -= entry.calls
            if calls[entry.holders] == 0 { calls[entry.holders] = nil }
            return entry
        }
    }

    /// What stands before all others.
    private var front = Share(number: -1)
    /// Those of key stores of which something waits, the one whose turn it is first.
    private var shares: [Share] = []
    private var passedOver = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    var ids: [OperationID] { front.entries.map(\.id) + shares.flatMap { $0.entries.map(\.id) } }

    /// Of the first of each key store, without what stands before all others, one that fits.
    func first(where fits: (Entry) -> Bool) -> Entry? {
        for share in shares {
            if let first = share.entries.first, fits(first) { return first }
        }
        return nil
    }

    /// When the oldest came that could use a lane of one of these HSMs.
    func oldest(sharing hsms: HSMSet) -> UInt64? {
        (shares + [front]).lazy.flatMap(\.entries).filter { !$0.holders.intersection(hsms).isEmpty }.map(\.since).min()
    }

    /// How many of a key store's operations wait.
    func count(ofShare share: Int) -> Int { shares.first { $0.number == share }?.entries.count ?? 0 }

    /// How many calls in the line may take a lane of one of these HSMs.
    func count(sharing hsms: HSMSet) -> Int {
        shares.reduce(front.calls(sharing: hsms)) { $0 + $1.calls(sharing: hsms) }
    }

    /// How many calls come before one more of a key store: its own, and as many of each other one.
    func ahead(ofShare share: Int, sharing hsms: HSMSet) -> Int {
        let own = shares.first { $0.number == share }?.calls(sharing: hsms) ?? 0
        return shares.reduce(front.calls(sharing: hsms)) {
            $0 + ($1.number == share ? own : min($1.calls(sharing: hsms), own + 1))
        }
    }

    mutating func add(
        _ id: OperationID, holders: HSMSet, share: Int = 0, calls: Int = 1, atFront: Bool, now: UInt64
    ) {
        let entry = Entry(id: id, holders: holders, calls: calls, since: now)
        count += 1
        if atFront { return front.add(entry) }
        if let index = shares.firstIndex(where: { $0.number == share }) {
            shares[index].add(entry)
        } else {
            var new = Share(number: share)
            new.add(entry)
            shares.append(new)
        }
    }

    /// Who of those in the line gets the free lane. `fit` is asked with the number of those before it.
    func choice(_ fit: (Entry, Int) -> Fit) -> Choice? {
        var search = Search()
        for entry in front.entries where search.ends(with: entry, passedOver: passedOver, fit) { return search.found }
        // Round by round; a share that owes rounds is left out of them.
        let rounds = shares.reduce(0) { max($0, $1.entries.count + $1.debt) }
        for round in 0..<rounds {
            for share in shares where round >= share.debt && round - share.debt < share.entries.count {
                let entry = share.entries[round - share.debt]
                if search.ends(with: entry, passedOver: passedOver, fit) { return search.found }
            }
        }
        return search.found
    }

    private struct Search {
        private var before = 0
        private var asked = 0
        private(set) var found: Choice?

        /// True when it goes no further.
        mutating func ends(with entry: Entry, passedOver: Int, _ fit: (Entry, Int) -> Fit) -> Bool {
            let fit = fit(entry, before)
            before += 1
            guard fit != .cannot else { return false }
            if fit == .likes {
                found = Choice(id: entry.id, passesOver: found != nil)
                return true
            }
            if found == nil { found = Choice(id: entry.id, passesOver: false) }
            asked += 1
            return passedOver >= WaitingLine.patience || asked == WaitingLine.choice
        }
    }

    /// It leaves the line for a lane. Returns how long it has waited.
    mutating func take(_ choice: Choice, now: UInt64) -> UInt64 {
        passedOver = choice.passesOver ? passedOver + 1 : 0
        if let index = shares.firstIndex(where: { $0.entries.contains { $0.id == choice.id } }) {
            takeTurn(index, of: choice.id)
        }
        return remove(choice.id, now: now)
    }

    /// A share has had a round: its turn comes after all others', and what it has had beyond one call is its debt. Those
    /// that were left out of a round because of theirs have paid one.
    private mutating func takeTurn(_ index: Int, of id: OperationID) {
        guard shares.count > 1 else { return }
        let skipped = shares[index].debt
        if skipped > 0 {
            for other in shares.indices { shares[other].debt = max(shares[other].debt - skipped, 0) }
        }
        for other in 0..<index where shares[other].debt > 0 { shares[other].debt -= 1 }
        let calls = shares[index].entries.first { $0.id == id }?.calls ?? 1
        var taken = shares.remove(at: index)
        taken.debt += calls - 1
        shares.append(taken)
    }

    /// It leaves the line. Returns how long it has waited; 0 when it was not there.
    @discardableResult
    mutating func remove(_ id: OperationID, now: UInt64) -> UInt64 {
        guard let entry = removeEntry(id) else { return 0 }
        count -= 1
        observe(now: now)
        return now > entry.since ? now - entry.since : 0
    }

    private mutating func removeEntry(_ id: OperationID) -> Entry? {
        if let entry = front.remove(id) { return entry }
        for index in shares.indices {
            guard let entry = shares[index].remove(id) else { continue }
            if shares[index].entries.isEmpty { shares.remove(at: index) }
            return entry
        }
        return nil
    }

    /// The line of one of the key stores stands: more is asked than can be done.
    var isStanding: Bool { shares.contains { $0.isStanding } }

    /// The line of this key store stands.
    func isStanding(_ share: Int) -> Bool { shares.first { $0.number == share }?.isStanding ?? false }

    /// Looks at the age of the lines. Call it whenever time has passed.
    mutating func observe(now: UInt64) {
        for share in shares.indices { shares[share].observe(now: now) }
    }

    /// The whole node stood still: what waited has waited so much less.
    mutating func stoodStill(for time: UInt64) {
        for share in shares.indices { shares[share].olderSince = nil }
        for entry in front.entries.indices { front.entries[entry].since &+= time }
        for share in shares.indices {
            for entry in shares[share].entries.indices { shares[share].entries[entry].since &+= time }
        }
    }
}
