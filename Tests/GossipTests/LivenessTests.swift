// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: who lives")
struct LivenessTests {
    private func trio(site: String = "here") -> Wire {
        var wire = Wire(["a", "b", "c"].map { identity($0, site: $0 == "c" ? site : "here") })
        wire.run(5 * second)
        return wire
    }

    /// Nothing goes to or comes from a node any more.
    private func silence(_ name: String, in wire: inout Wire) { wire.isOpen = { $0 != name && $1 != name } }

    @Test("three nodes that know one address find each other")
    func meet() {
        let wire = trio()
        for observer in ["a", "b", "c"] {
            #expect(wire.machines[observer]?.liveCount == 3)
            #expect(wire.machines[observer]?.members.allSatisfy { $0.liveness == .alive && $0.facts != nil } == true)
        }
    }

    @Test("a silent node is suspected, others are asked to ping it, and it is dead within 3 s in a site")
    func death() throws {
        var wire = trio()
        silence("c", in: &wire)
        let began = wire.now
        wire.sent = []
        wire.run(3 * second) { $0.liveness(of: "c", at: "a") == .suspect }
        #expect(wire.liveness(of: "c", at: "a") == .suspect)
        #expect(wire.sent.contains { $0.send.message.kind == .pingRequest && $0.send.message.target?.name == "c" })
        wire.run(3 * second) { wire in ["a", "b"].allSatisfy { wire.liveness(of: "c", at: $0) == .dead } }
        #expect(["a", "b"].allSatisfy { wire.liveness(of: "c", at: $0) == .dead })
        #expect(wire.now - began <= 3 * second)
        let reported = wire.events["a"]?.compactMap { event -> Liveness? in
            if case .changed(let member, _, _) = event, member.identity.name == "c" { return member.liveness }
            return nil
        }
        #expect(reported == [.alive, .suspect, .dead])
    }

    @Test("a node of another site is given more time")
    func far() {
        var (near, far) = (trio(), trio(site: "there"))
        silence("c", in: &near)
        silence("c", in: &far)
        let isDead = { (wire: Wire) in wire.liveness(of: "c", at: "a") == .dead }
        let (nearBegan, farBegan) = (near.now, far.now)
        near.run(15 * second, until: isDead)
        far.run(15 * second, until: isDead)
        #expect(isDead(near) && isDead(far))
        #expect(far.now - farBegan > 2 * (near.now - nearBegan))
        #expect(far.now - farBegan <= 15 * second)
    }

    @Test("whose own way alone is blocked is pinged through others, and not even suspected")
    func indirect() {
        var wire = trio()
        wire.isOpen = { from, to in !(from == "a" && to == "c") && !(from == "c" && to == "a") }
        wire.run(20 * second)
        #expect(wire.liveness(of: "c", at: "a") == .alive)
        #expect((wire.machines["a"]?.counters.indirectProbes ?? 0) > 0)
        #expect(wire.machines["a"]?.counters.suspicions == 0)
    }

    @Test("a suspect that learns of it contradicts with a greater incarnation, and lives")
    func refutation() {
        var wire = trio()
        silence("c", in: &wire)
        wire.run(3 * second) { $0.liveness(of: "c", at: "a") == .suspect && $0.liveness(of: "c", at: "b") == .suspect }
        wire.isOpen = { _, _ in true }
        wire.run(2 * second) { $0.liveness(of: "c", at: "a") == .alive && $0.liveness(of: "c", at: "b") == .alive }
        #expect(["a", "b"].allSatisfy { wire.liveness(of: "c", at: $0) == .alive })
        #expect((wire.machines["c"]?.identity.incarnation ?? 0) > 1)
        let refuted =
            wire.events["c"]?.compactMap { event -> UInt64? in
                if case .refuted(let incarnation, _) = event { return incarnation }
                return nil
            } ?? []
        #expect(!refuted.isEmpty && Set(refuted).count == refuted.count, "never twice with one incarnation")
    }

    @Test("a suspect is reported in every message to it (Lifeguard's buddy notice)")
    func buddy() throws {
        var own = machine(identity("a"))
        _ = try own.received(message(from: identity("b"), to: "a", sequence: 1), from: "b", ticket: 1, now: start).get()
        let accused = MemberUpdate(identity: identity("b"), liveness: .suspect, accuser: "x")
        _ = try own.received(
            message(from: identity("x"), to: "a", sequence: 1, updates: [accused]), from: "x", ticket: 2, now: start
        ).get()
        for ticket: UInt64 in 3..<6 {
            let actions = try own.received(
                message(from: identity("b"), to: "a", sequence: ticket), from: "b", ticket: ticket, now: start
            ).get()
            let reply = try #require(actions.replies.first { $0.ticket == ticket })
            #expect(reply.message.updates.first == accused)
        }
    }

    @Test("who says goodbye has left, and is not called dead afterwards")
    func leave() {
        var wire = trio()
        wire.step("c") { $0.leave(farewell: nil, now: $1) }
        #expect(wire.liveness(of: "c", at: "a") == .left)
        silence("c", in: &wire)
        wire.run(30 * second)
        #expect(["a", "b"].allSatisfy { wire.liveness(of: "c", at: $0) == .left })
        #expect(wire.machines["a"]?.liveCount == 2)
    }

    @Test("a node that has slept judges nobody by that time")
    func pause() {
        var wire = trio()
        silence("c", in: &wire)
        wire.run(3 * second) { $0.liveness(of: "c", at: "a") == .suspect }
        wire.isOpen = { _, _ in true }
        // a alone sleeps for a minute; its first step must not turn the suspicion into a death.
        wire.now += 60 * second
        wire.step("a") { $0.tick(now: $1) }
        #expect(wire.liveness(of: "c", at: "a") != .dead)
        #expect(wire.machines["a"]?.counters.pauses == 1)
    }

    @Test("confirmations shorten a suspicion: the dead of five are known sooner than the dead of two")
    func confirmations() {
        func time(_ names: [String]) -> UInt64 {
            var wire = Wire(names.map { identity($0) })
            wire.run(5 * second)
            wire.isOpen = { $0 != "b" && $1 != "b" }
            wire.run(5 * second) { $0.liveness(of: "b", at: "a") == .suspect }
            let began = wire.now
            wire.run(10 * second) { $0.liveness(of: "b", at: "a") == .dead }
            return wire.now - began
        }
        let (two, five) = (time(["a", "b"]), time(["a", "b", "c", "d", "e"]))
        #expect(five < two, "\(five) and \(two)")
    }

    @Test("a node without answers doubts itself, and trusts itself again when there are some")
    func health() {
        var wire = trio()
        wire.isOpen = { $0 != "a" && $1 != "a" }
        wire.run(3 * second)
        #expect((wire.machines["a"]?.counters.healthScore ?? 0) > 0)
        wire.isOpen = { _, _ in true }
        wire.run(30 * second)
        #expect(wire.machines["a"]?.counters.healthScore == 0)
        #expect(["b", "c"].allSatisfy { wire.liveness(of: $0, at: "a") == .alive })
    }
}
