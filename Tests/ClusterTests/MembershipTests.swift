// SPDX-License-Identifier: Apache-2.0
import Cluster
import Foundation
import Gossip
import Testing

@Suite("Cluster: who is there", .timeLimit(.minutes(2)))
struct MembershipTests {
    @Test("nodes find each other by one seed, and exchange what they know of themselves")
    func meet() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            let c = try await cluster.start("c", seeds: [a.service.address])
            for node in [a, b, c] {
                try await eventually("all three see each other") {
                    node.service.members.count == 2 && node.service.members.allSatisfy { $0.liveness == .alive }
                }
            }
            b.delegate.set { $0.facts.hsms[0].state = .init(.unavailable) }
            b.service.factsChanged()
            try await eventually("a and c hear that b's HSM is out") {
                [a, c].allSatisfy { node in
                    node.service.members.first { $0.identity.name == "b" }?.facts?.hsms.first?.state.state
                        == .unavailable
                }
            }
            #expect(a.service.members.first { $0.identity.name == "b" }?.identity.address == b.service.address)
        }
    }

    @Test("a node that says goodbye has left; one that is cut off is dead")
    func ends() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            _ = try await cluster.start("c", seeds: [a.service.address])
            try await eventually("all are there") { a.service.members.count == 2 && b.service.members.count == 2 }
            await b.service.leave()
            try await eventually("b has left") { a.service.liveness(of: "b") == .left }
            await cluster.stop("b")
            await cluster.stop("c")
            try await eventually("c is dead") { a.service.liveness(of: "c") == .dead }
            let changes = a.delegate.get { state in
                state.events.compactMap { event -> String? in
                    guard case .changed(let member, _, _) = event else { return nil }
                    return "\(member.identity.name) \(member.liveness)"
                }
            }
            #expect(changes.contains("b left") && !changes.contains("b dead"))
            #expect(changes.suffix(2) == ["c suspect", "c dead"])
        }
    }

    // Orders waited for nobody but members of this run: who was cut off during a restart was missed.
    @Test("who was away while a node left believes it from those who received it, and waits for whoever did not leave")
    func relayedFarewell() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let files = try cluster.files("b")
            let b = try await cluster.start("b", seeds: [a.service.address], files: files, incarnation: 5)
            for name in ["c", "d"] { try await cluster.start(name, seeds: [a.service.address]) }
            try await eventually("all have met") {
                [a, b].allSatisfy { $0.service.members.count(where: \.hasSpoken) == 3 }
            }
            let remembered = b.service.awaited.map(\.identity)
            #expect(remembered.map(\.name) == ["a", "c", "d"])
            await cluster.stop("b")
            let c = try #require(cluster.nodes["c"])
            await c.service.leave()
            for name in ["c", "d"] { await cluster.stop(name) }
            try await eventually("a has heard it") { a.service.liveness(of: "c") == .left }
            let again = try await cluster.start("b", files: files, incarnation: 6, remembered: remembered)
            try await eventually("b has it from a, and waits for d") {
                again.service.awaited.map(\.identity.name) == ["a", "d"]
            }
            #expect(again.service.liveness(of: "c") == .left && again.service.liveness(of: "d") == .dead)
            // Ended, and destroyed: an operator says so, and all are informed.
            try await eventually("a knows that d is dead") { a.service.liveness(of: "d") == .dead }
            #expect(await again.service.forget("a", by: "me@b", unixSeconds: 1) == .isLive)
            #expect(await again.service.forget("d", by: "me@b", unixSeconds: 1) == nil)
            try await eventually("a no longer waits for d") {
                a.service.awaited.map(\.identity.name) == ["b"]
                    && a.service.members.first { $0.identity.name == "d" }?.forgotten?.author == "me@b"
            }
        }
    }

    @Test("a restarted node finds its peers by what it remembers, at another address")
    func restart() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address], incarnation: 5)
            try await eventually("they see each other") {
                a.service.liveness(of: "b") == .alive && b.service.liveness(of: "a") == .alive
            }
            let remembered = b.service.members.map(\.identity)
            await cluster.stop("b")
            let again = try await cluster.start("b", incarnation: 6, remembered: remembered)
            try await eventually("b is known at its new address") {
                let known = a.service.members.first { $0.identity.name == "b" }
                return known?.liveness == .alive && known?.identity.address == again.service.address
            }
        }
    }

    @Test("two nodes of one name are reported so")
    func twins() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let files = try cluster.files("b")
            let first = try await cluster.start("b", seeds: [a.service.address], files: files)
            try await eventually("b is there") { a.service.liveness(of: "b") == .alive }
            let other = try TestCluster()
            let second = try await other.start("b", seeds: [a.service.address, first.service.address], files: files)
            func isAnnounced(_ node: ScriptedNode) -> Bool {
                node.get { $0.events.contains { if case .twin = $0 { true } else { false } } }
            }
            try await eventually("one of them says so") { isAnnounced(first.delegate) || isAnnounced(second.delegate) }
            await other.stop()
        }
    }

    @Test("drift of the configuration is reported, and its end")
    func drift() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            try await eventually("they are there") { a.service.liveness(of: "b") == .alive }
            b.delegate.set { $0.facts.configuration = "other" }
            func isAnnounced(_ differs: Bool) -> Bool {
                a.delegate.get { $0.events.contains(.configurationDiffers(peer: "b", differs)) }
            }
            try await eventually("it differs") { isAnnounced(true) }
            b.delegate.set { $0.facts.configuration = "same" }
            try await eventually("it is alike again") { isAnnounced(false) }
        }
    }
}
