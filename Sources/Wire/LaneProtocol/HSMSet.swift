// SPDX-License-Identifier: Apache-2.0

/// A set of HSMs of the pool, by their position in the pool. One machine word: choosing allocates nothing. Inlinable,
/// since choosing an HSM walks such sets several times for each request, in another module.
package struct HSMSet: Sendable, Hashable, ExpressibleByArrayLiteral {
    /// Most HSMs that one node can have at a time, those on their way in or out included.
    package static let capacity = 64

    /// Every position.
    package static let all = HSMSet(0..<capacity)

    @usableFromInline var bits: UInt64 = 0

    @inlinable package init() {}

    @inlinable package init(arrayLiteral elements: Int...) {
        for element in elements { insert(element) }
    }

    @inlinable package init(_ elements: some Sequence<Int>) {
        for element in elements { insert(element) }
    }

    @inlinable package var isEmpty: Bool { bits == 0 }
    @inlinable package var count: Int { bits.nonzeroBitCount }

    @inlinable package func contains(_ hsm: Int) -> Bool {
        hsm >= 0 && hsm < Self.capacity && bits & (1 << UInt64(hsm)) != 0
    }

    /// True when one of its members satisfies `predicate`.
    @inlinable package func contains(where predicate: (Int) -> Bool) -> Bool {
        var rest = bits
        while rest != 0 {
            if predicate(rest.trailingZeroBitCount) { return true }
            rest &= rest - 1
        }
        return false
    }

    @inlinable package mutating func insert(_ hsm: Int) {
        guard hsm >= 0, hsm < Self.capacity else { return }
        bits |= 1 << UInt64(hsm)
    }

    @inlinable package mutating func remove(_ hsm: Int) {
        guard hsm >= 0, hsm < Self.capacity else { return }
        bits &= ~(1 << UInt64(hsm))
    }

    @inlinable package func subtracting(_ other: HSMSet) -> HSMSet {
        var result = self
        result.bits &= ~other.bits
        return result
    }

    @inlinable package func union(_ other: HSMSet) -> HSMSet {
        var result = self
        result.bits |= other.bits
        return result
    }

    /// The member with so many smaller ones before it; `nil` when there are not so many.
    @inlinable package func member(after smaller: Int) -> Int? {
        var rest = bits
        for _ in 0..<min(max(smaller, 0), Self.capacity) { rest &= rest &- 1 }
        return rest == 0 ? nil : rest.trailingZeroBitCount
    }

    @inlinable package func forEach(_ body: (Int) -> Void) {
        var rest = bits
        while rest != 0 {
            body(rest.trailingZeroBitCount)
            rest &= rest - 1
        }
    }

    @inlinable package func intersection(_ other: HSMSet) -> HSMSet {
        var result = self
        result.bits &= other.bits
        return result
    }
}
