// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import Testing

@Suite("HSM sets")
struct HSMSetTests {
    private func members(_ set: HSMSet) -> [Int] {
        var found: [Int] = []
        set.forEach { found.append($0) }
        return found
    }

    @Test("there are 64 places, and what is none is never a member")
    func capacity() {
        #expect(HSMSet.capacity == 64 && HSMSet.all.count == 64 && members(.all) == Array(0..<64))
        var set = HSMSet()
        for position in [Int.min, -1, 64, 65, 128, .max] {
            set.insert(position)
            set.remove(position)
            #expect(set.isEmpty && !set.contains(position) && !HSMSet.all.contains(position), "\(position)")
        }
        #expect(HSMSet([-1, 0, 63, 64]) == [0, 63] && members([0, 63]) == [0, 63])
        set.insert(63)
        #expect(set.contains(63) && set.count == 1 && !set.contains(62))
        set.remove(63)
        #expect(set.isEmpty)
    }

    @Test("a member is found by how many smaller ones there are")
    func member() {
        let set: HSMSet = [3, 7, 63]
        #expect((0...3).map { set.member(after: $0) } == [3, 7, 63, nil])
        #expect((0..<65).map { HSMSet.all.member(after: $0) } == (0..<64).map { Optional($0) } + [nil])
        for absurd in [Int.min, -1] { #expect(set.member(after: absurd) == 3) }
        #expect(set.member(after: .max) == nil && HSMSet().member(after: 0) == nil)
    }

    @Test("a member that satisfies something is found, and no more of them are asked than it takes")
    func search() {
        let set: HSMSet = [1, 5, 63]
        var asked: [Int] = []
        #expect(
            set.contains {
                asked.append($0)
                return $0 == 5
            })
        #expect(asked == [1, 5])
        #expect(!set.contains { $0 == 2 } && set.contains { $0 == 63 } && !HSMSet().contains { _ in true })
    }

    @Test("as sets of numbers are")
    func algebra() {
        var random = RandomChoice(seed: 7)
        func draw() -> Set<Int> { Set((0..<random.below(20)).map { _ in random.below(64) }) }
        for _ in 0..<500 {
            let (one, other) = (draw(), draw())
            let (left, right) = (HSMSet(one), HSMSet(other))
            #expect(members(left) == one.sorted() && left.count == one.count && left.isEmpty == one.isEmpty)
            #expect(left.union(right) == HSMSet(one.union(other)))
            #expect(left.intersection(right) == HSMSet(one.intersection(other)))
            #expect(left.subtracting(right) == HSMSet(one.subtracting(other)))
            #expect((left == right) == (one == other))
            for position in 0..<64 { #expect(left.contains(position) == one.contains(position)) }
        }
    }
}
