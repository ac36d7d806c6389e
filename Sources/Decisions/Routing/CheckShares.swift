// SPDX-License-Identifier: Apache-2.0

/// Which refused ciphertexts are being looked into, in which HSM's share, and which wait for that.
///
/// An operation stands here once at most, waiting or under way, and leaves with its check or with its end: what is over
/// takes up no share. A share that stayed taken would be gone until the node is restarted, and with the last one of an
/// HSM all bad ciphertexts that it refuses would end as time-outs.
struct CheckShares: Sendable {
    private var underWay: [OperationID: Int] = [:]
    private var waiting: [(id: OperationID, lane: LaneID)] = []

    /// All, under way or waiting.
    var count: Int { underWay.count + waiting.count }

    /// Those that wait, the first to come first.
    var waitingIDs: [OperationID] { waiting.map(\.id) }

    /// How many are under way because this HSM refused the ciphertext.
    func underWay(on hsm: Int) -> Int { underWay.values.count { $0 == hsm } }

    /// How many wait because this HSM refused the ciphertext.
    func waiting(on hsm: Int) -> Int { waiting.count { $0.lane.hsm == hsm } }

    func isWaiting(_ id: OperationID) -> Bool { waiting.contains { $0.id == id } }

    /// The lane whose refusal an operation waits to have looked into.
    func lane(of id: OperationID) -> LaneID? { waiting.first { $0.id == id }?.lane }

    /// An operation was refused on this lane, and waits until the HSM has fewer checks. It keeps its place in the order
    /// where it waits already.
    mutating func wait(_ id: OperationID, refusedOn lane: LaneID) {
        guard underWay[id] == nil else { return }
        if let place = waiting.firstIndex(where: { $0.id == id }) {
            waiting[place].lane = lane
        } else {
            waiting.append((id, lane))
        }
    }

    /// A check begins, in the share of this HSM.
    mutating func begin(_ id: OperationID, on hsm: Int) {
        waiting.removeAll { $0.id == id }
        underWay[id] = hsm
    }

    /// The check of an operation, or the operation, is over. True when that leaves room for another one.
    mutating func end(_ id: OperationID) -> Bool {
        if !waiting.isEmpty { waiting.removeAll { $0.id == id } }
        return !underWay.isEmpty && underWay.removeValue(forKey: id) != nil
    }

    /// The first of those that wait for which this holds.
    func next(where mayBegin: (OperationID, LaneID) -> Bool) -> (id: OperationID, lane: LaneID)? {
        waiting.first { mayBegin($0.id, $0.lane) }
    }
}
