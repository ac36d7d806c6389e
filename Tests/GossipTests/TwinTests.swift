// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: two nodes of one name")
struct TwinTests {
    private let elsewhere = "other:7443"

    private func twin(incarnation: UInt64) -> NodeIdentity {
        NodeIdentity(name: "a", address: elsewhere, site: "here", incarnation: incarnation)
    }

    private func events(_ solo: Solo) -> [GossipEvent] {
        solo.events.map(\.event).filter { event in
            switch event {
            case .changed, .introduced: false
            default: true
            }
        }
    }

    @Test("a message from elsewhere that bears this node's name shows a twin, and makes no member of it")
    func direct() throws {
        var solo = try Solo(machine(identity("a", incarnation: 7)))
        let actions = try solo.receive(from: twin(incarnation: 3))
        #expect(events(solo) == [.twin(address: elsewhere)])
        #expect(actions.replies.map(\.message.kind) == [.ack])
        #expect(solo.own.members.isEmpty && solo.own.identity.incarnation == 7)
    }

    @Test("one whose incarnation is not lower is gone beyond")
    func greater() throws {
        var solo = try Solo(machine(identity("a", incarnation: 7)))
        try solo.receive(from: twin(incarnation: 7))
        #expect(events(solo) == [.twin(address: elsewhere), .refuted(incarnation: 8, accuser: "a")])
    }

    @Test("it is reported again after 5 s, and no sooner")
    func again() throws {
        var solo = try Solo(machine(identity("a")))
        for (wait, reported): (UInt64, Int) in [(0, 1), (4_999 * millisecond, 1), (millisecond, 2)] {
            solo.run(wait)
            try solo.receive(from: twin(incarnation: 0))
            #expect(events(solo).count == reported)
        }
    }

    @Test("a greater life of this node's that others report is an earlier run once, and a twin the next time")
    func reportedByOthers() throws {
        var solo = try Solo(machine(identity("a")), peers: [identity("b")])
        func claim(_ incarnation: UInt64) -> MemberUpdate {
            MemberUpdate(identity: identity("a", incarnation: incarnation), liveness: .alive)
        }
        try solo.receive(from: identity("b"), updates: [claim(40)])
        #expect(events(solo) == [.refuted(incarnation: 41, accuser: "b")])
        try solo.receive(from: identity("b"), updates: [claim(90)])
        #expect(events(solo).contains(.twin(address: identity("a").address)))
    }

    @Test("a message of its own that comes back to it is no twin")
    func itself() throws {
        var solo = try Solo(machine(identity("a", incarnation: 7)))
        try solo.receive(from: identity("a", incarnation: 7))
        try solo.receive(from: identity("a", incarnation: 6))
        #expect(events(solo).isEmpty && solo.own.members.isEmpty)
    }
}
