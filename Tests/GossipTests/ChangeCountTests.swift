// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

/// A node of which the whole state directory was put back serves by an old list, and cannot know it. Its peers can.
@Suite("Gossip: a count of changes that goes back")
struct ChangeCountTests {
    private func counted(_ changes: UInt64?, revision: UInt64 = 1, blocks: String = "") -> NodeFacts {
        var reported = facts(revision: revision, blocks: blocks)
        reported.blockChanges = changes
        return reported
    }

    private func restored(_ solo: Solo) -> [GossipEvent] {
        solo.events.map(\.event).filter { if case .restored = $0 { true } else { false } }
    }

    private func count(_ solo: Solo) -> ChangeCount? { solo.own.member(named: "b")?.blockChanges }

    @Test("it is reported once, with both counts, and shown until the count is reached again")
    func goesBack() throws {
        var solo = try Solo(machine(identity("a")))
        try solo.receive(from: identity("b"), facts: counted(7))
        #expect(solo.events.contains { $0.event == .counted(peer: "b") })
        try solo.receive(from: identity("b", incarnation: 2), facts: counted(3))
        #expect(restored(solo) == [.restored(peer: "b", remembered: 7, reported: 3)])
        #expect(count(solo)?.highest == 7 && count(solo)?.restored?.reported == 3)
        try solo.receive(from: identity("b", incarnation: 2), facts: counted(4, revision: 2))
        #expect(restored(solo).count == 1 && count(solo)?.restored?.reported == 4)
        try solo.receive(from: identity("b", incarnation: 2), facts: counted(7, revision: 3))
        #expect(count(solo)?.restored == nil && count(solo)?.highest == 7)
    }

    @Test("a node that does not count, or does not know its list, says nothing; nor does an earlier message")
    func silence() throws {
        var solo = try Solo(machine(identity("a")))
        try solo.receive(from: identity("b"), facts: counted(7, revision: 5))
        try solo.receive(from: identity("b"), facts: counted(6, revision: 4))
        try solo.receive(from: identity("b", incarnation: 2), facts: counted(nil))
        #expect(restored(solo).isEmpty && count(solo)?.highest == 7)
    }

    // With what others pass on taken: one certificate could show every node as restored.
    @Test("what others say of a node's count is not received")
    func hearsay() throws {
        var solo = try Solo(machine(identity("a")))
        try solo.receive(from: identity("b"), facts: counted(7))
        let lie = MemberUpdate(identity: identity("b"), liveness: .alive, facts: counted(1, revision: 50))
        try solo.receive(from: identity("c"), updates: [lie])
        #expect(restored(solo).isEmpty && count(solo)?.highest == 7)
        var endless = counted(1 << 60)
        endless.revision = 51
        #expect(throws: GossipRefusal.malformed) { try solo.receive(from: identity("c"), facts: endless) }
    }

    @Test("a day later it ends, where its list is like this node's again")
    func ends() throws {
        for blocks in ["", "other"] {
            var solo = try Solo(machine(identity("a")))
            solo.react = { _ in .silence }
            try solo.receive(from: identity("b"), facts: counted(7))
            try solo.receive(from: identity("b", incarnation: 2), facts: counted(3))
            solo.now += 24 * 3_600 * second - millisecond
            try solo.receive(from: identity("b", incarnation: 2), facts: counted(3, revision: 2, blocks: blocks))
            #expect(count(solo)?.restored != nil)
            solo.now += millisecond
            try solo.receive(from: identity("b", incarnation: 2), facts: counted(3, revision: 3, blocks: blocks))
            #expect((count(solo)?.restored == nil) == blocks.isEmpty)
            #expect(count(solo)?.highest == (blocks.isEmpty ? 3 : 7))
        }
    }

    @Test("a node that has left, and of which nothing else is known any more, is remembered by its count")
    func gone() throws {
        var solo = try Solo(machine(identity("a")))
        solo.react = { _ in .silence }
        try solo.receive(from: identity("b"), facts: counted(7))
        try solo.receive(.leave, from: identity("b"), facts: counted(7))
        for _ in 0..<2 {
            solo.now += 3_600 * second
            solo.step { machine, now, _ in machine.tick(now: now) }
        }
        #expect(solo.own.member(named: "b") == nil && solo.own.changes == ["b": 7])
        try solo.receive(from: identity("b", incarnation: 9), facts: counted(6))
        #expect(restored(solo) == [.restored(peer: "b", remembered: 7, reported: 6)] && solo.own.changes == ["b": 7])
    }

    @Test("what was remembered from an earlier run of this node counts")
    func restart() throws {
        var solo = try Solo(
            GossipMachine(
                identity: identity("a"), facts: facts(), remembered: [identity("b")], changes: ["b": 7], seed: 7,
                now: start))
        try solo.receive(from: identity("b", incarnation: 9), facts: counted(6))
        #expect(restored(solo) == [.restored(peer: "b", remembered: 7, reported: 6)])
    }
}
