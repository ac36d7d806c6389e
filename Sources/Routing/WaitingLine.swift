// SPDX-License-Identifier: Apache-2.0

/// Operations that wait for a free lane, first come first served, or nearly so.
///
/// An operation costs less on a lane of its own group: its answer then comes in where its caller waits. So whoever is of
/// the free lane's group may step before those who are not. That is bounded twice: from among the first few, and past
/// the first only a few times in a row.
struct WaitingLine: Sendable {
    /// Of how many that could use a lane one is chosen.
    static let choice = 8
    /// How often in a row the first that could use a lane is passed over.
    static let patience = 8

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

    private(set) var ids: [OperationID] = []
    private var passedOver = 0

    var isEmpty: Bool { ids.isEmpty }
    var count: Int { ids.count }

    mutating func add(_ id: OperationID, atFront: Bool) {
        if atFront { ids.insert(id, at: 0) } else { ids.append(id) }
    }

    /// Who of those in the line gets the free lane.
    func choice(_ fit: (OperationID) -> Fit) -> Choice? {
        var first: OperationID?
        var asked = 0
        for id in ids {
            let fit = fit(id)
            guard fit != .cannot else { continue }
            if fit == .likes { return Choice(id: id, passesOver: first != nil) }
            first = first ?? id
            asked += 1
            if passedOver >= Self.patience || asked == Self.choice { break }
        }
        return first.map { Choice(id: $0, passesOver: false) }
    }

    /// It leaves the line.
    mutating func take(_ choice: Choice) {
        passedOver = choice.passesOver ? passedOver + 1 : 0
        remove(choice.id)
    }

    mutating func remove(_ id: OperationID) {
        if let index = ids.firstIndex(of: id) { ids.remove(at: index) }
    }
}
