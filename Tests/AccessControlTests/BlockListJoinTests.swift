// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Testing

@Suite("Block list: when a node without one may take what it has for the whole")
struct BlockListJoinTests {
    private let second: UInt64 = 1_000_000_000

    /// With the word of nodes that have no list counted, two new nodes made each other whole after a second.
    @Test("nobody's word, and the word of nodes that have no list themselves, never make it whole")
    func nobody() {
        // Where one peer's list was enough, an empty one of a newly installed node vouched for a lost list.
        var join = BlockListJoin(now: 0)
        for time in [0, 1, 10, 1_000] as [UInt64] { #expect(!join.isWhole(members: [], now: time * second)) }
        join.answered("new", isKnown: false, now: second)
        for time in [1, 10, 1_000] as [UInt64] { #expect(!join.isWhole(members: ["new"], now: time * second)) }
    }

    @Test("all have answered, one of them with a known list: at once, but not before others may have turned up")
    func all() {
        var join = BlockListJoin(now: 0)
        join.answered("a", isKnown: true, now: second / 10)
        #expect(!join.isWhole(members: ["a"], now: second - 1))
        #expect(join.isWhole(members: ["a"], now: second))
        #expect(!join.isWhole(members: ["a", "b"], now: second), "b has not answered")
        join.answered("b", isKnown: false, now: 2 * second)
        #expect(join.isWhole(members: ["a", "b"], now: 2 * second))
    }

    @Test("who does not answer is waited for five seconds from the first known list")
    func silent() {
        var join = BlockListJoin(now: 0)
        join.answered("a", isKnown: true, now: 7 * second)
        #expect(join.missing(of: ["a", "b"]) == ["b"])
        #expect(!join.isWhole(members: ["a", "b"], now: 12 * second - 1))
        #expect(join.isWhole(members: ["a", "b"], now: 12 * second))
    }

    @Test("a peer that gets its list later counts from then on")
    func later() {
        var join = BlockListJoin(now: 0)
        join.answered("a", isKnown: false, now: second)
        #expect(!join.isWhole(members: ["a"], now: 100 * second))
        join.answered("a", isKnown: true, now: 100 * second)
        #expect(join.isWhole(members: ["a"], now: 100 * second))
    }

    @Test("an operator's word counts where no peer with a list answers within five seconds, or all have none")
    func alone() {
        var join = BlockListJoin(now: 0)
        #expect(!join.isAlone(members: [], since: 10 * second, now: 15 * second - 1))
        #expect(join.isAlone(members: [], since: 10 * second, now: 15 * second))
        join.answered("new", isKnown: false, now: second)
        #expect(!join.isAlone(members: ["new"], since: 10 * second, now: 11 * second - 1))
        #expect(join.isAlone(members: ["new"], since: 10 * second, now: 11 * second))
        #expect(!join.isAlone(members: ["new", "silent"], since: 10 * second, now: 12 * second))
        join.answered("old", isKnown: true, now: 12 * second)
        #expect(!join.isAlone(members: ["new", "old"], since: 10 * second, now: 1_000 * second))
    }
}
