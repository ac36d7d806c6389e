// SPDX-License-Identifier: Apache-2.0

/// Which principal has which slot, at most `capacity` of them. Slot 0 is the one that all others share.
///
/// A place is given to another principal only where its owner was used least recently and owes nothing: nobody gets rid
/// of a debt by asking under many names.
struct PrincipalTable {
    let capacity: Int
    private var slots: [PrincipalKey: Int] = [:]
    /// By slot; `nil` for slot 0.
    private var owners: [PrincipalKey?] = [nil]
    // A ring through slot 0 in the order of use: after it comes the most recent one, before it the least recent.
    private var newer = [0]
    private var older = [0]

    init(capacity: Int) { self.capacity = max(capacity, 1) }

    /// Principals with a slot of their own.
    var count: Int { slots.count }

    var isFull: Bool { slots.count >= capacity }

    /// The slot that was used least recently.
    var oldest: Int { newer[0] }

    /// The principal's slot, which is now the most recently used one; `nil` where it has none.
    mutating func use(_ principal: PrincipalKey) -> Int? {
        guard let slot = slots[principal] else { return nil }
        unlink(slot)
        link(slot)
        return slot
    }

    /// A slot that was not there before, the one after the last. Not where the table is full.
    mutating func add(_ principal: PrincipalKey) {
        let slot = owners.count
        owners.append(principal)
        newer.append(slot)
        older.append(slot)
        slots[principal] = slot
        link(slot)
    }

    /// Gives the slot `oldest` to the principal.
    mutating func replaceOldest(by principal: PrincipalKey) {
        let slot = oldest
        if let owner = owners[slot] { slots[owner] = nil }
        owners[slot] = principal
        slots[principal] = slot
        unlink(slot)
        link(slot)
    }

    private mutating func unlink(_ slot: Int) {
        newer[older[slot]] = newer[slot]
        older[newer[slot]] = older[slot]
    }

    /// As the most recent one.
    private mutating func link(_ slot: Int) {
        older[slot] = older[0]
        newer[slot] = 0
        newer[older[0]] = slot
        older[0] = slot
    }
}
