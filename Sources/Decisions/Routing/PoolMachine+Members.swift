// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// How HSMs come and go while the pool runs.

extension PoolMachine {
    /// Takes in an HSM that has no worker yet.
    ///
    /// - Parameter positions: where it may go. The first vacant one of them is taken; where none is, the one after all
    ///   that were ever taken, if it is among them.
    /// - Returns: its position, or `nil` when there is none for it.
    package mutating func add(_ traits: HSMTraits, to positions: HSMSet = .all) -> Int? {
        if let vacant = hsms.indices.first(where: { positions.contains($0) && hsms[$0].membership == .vacant }) {
            hsms[vacant] = HSMRecord(traits: traits, position: vacant, groups: groups)
            return vacant
        }
        guard hsms.count < HSMSet.capacity, positions.contains(hsms.count) else { return nil }
        hsms.append(HSMRecord(traits: traits, position: hsms.count, groups: groups))
        return hsms.count - 1
    }

    /// From now on an HSM gets no request. What it is doing goes on; what only waits for it fails.
    package mutating func retire(_ hsm: Int, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm), hsms[hsm].isMember else { return actions }
        hsms[hsm].membership = .retired
        abandonHopeless(now: now, into: &actions)
        return actions
    }

    /// An HSM is gone, and its position may be given to another. What it still had to do goes elsewhere, and no
    /// operation takes the next one there for it.
    package mutating func free(_ hsm: Int, now: UInt64) -> PoolActions {
        var actions = PoolActions()
        guard hsms.indices.contains(hsm), hsms[hsm].membership != .vacant else { return actions }
        hsms[hsm].membership = .vacant
        hsms[hsm].phase = .down
        dropLanes(of: hsm, now: now, into: &actions)
        for id in operations.keys { operations[id]?.forget(hsm) }
        abandonHopeless(now: now, into: &actions)
        return actions
    }

    /// Other traits for an HSM, from the next request on.
    package mutating func change(_ hsm: Int, to traits: HSMTraits) {
        guard hsms.indices.contains(hsm) else { return }
        hsms[hsm].traits = traits
    }

    /// True while somebody waits for what an HSM is doing.
    package func isNeeded(_ hsm: Int) -> Bool {
        guard hsms.indices.contains(hsm), hsms[hsm].lanes.busy > 0 else { return false }
        return hsms[hsm].lanes.works.contains { $0.work.operation != nil }
    }
}

extension OperationRecord {
    /// Nothing that was found out about an HSM holds for the next one in its position.
    fileprivate mutating func forget(_ hsm: Int) {
        holders.remove(hsm)
        hopeful.remove(hsm)
        asked.remove(hsm)
        missing.remove(hsm)
    }
}
