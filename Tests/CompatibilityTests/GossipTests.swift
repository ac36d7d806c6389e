// SPDX-License-Identifier: Apache-2.0
import Foundation
import Gossip
import StatusVocabulary
import Testing

@Suite("A node of 16631be: gossip", .timeLimit(.minutes(2)))
struct GossipTests {
    /// Every request that was recorded, and what it was answered.
    static let exchanges = [
        "contact", "exchange", "ping", "drained", "ping-request", "suspect", "dead", "leave", "left",
    ].map { "gossip-\($0)" }

    private func message(_ name: String) throws -> GossipMessage { try Recording(name).read(GossipMessage.self) }

    private func identity(_ number: Int, _ incarnation: UInt64 = 1_795_993_296) -> NodeIdentity {
        let port = [1: 40_219, 2: 40_619, 3: 42_567][number] ?? 0
        return NodeIdentity(name: "node-\(number)", address: "127.0.0.1:\(port)", site: "dev", incarnation: incarnation)
    }

    private func hsm(_ serial: String, drained: Bool = false) -> HSMFact {
        HSMFact(
            name: "hsm-1", serial: serial, manufacturer: "SoftHSM project", model: "SoftHSM v2", firmware: "2.6",
            state: .active, isDrained: drained)
    }

    @Test("what it says of itself is read, and what it does not say is the first form of everything")
    func facts() throws {
        let drained = try message("gossip-drained.request")
        #expect(drained.version == 1 && drained.kind == .ping && drained.sequence == 63)
        #expect(drained.sender == identity(1) && drained.receiver == "node-3" && drained.target == nil)
        #expect(drained.updates.isEmpty && !drained.isReplay && drained.farewell == nil)
        let facts = drained.facts
        #expect(facts.revision == 11 && !facts.isDraining && facts.version == "0.1.0")
        #expect(facts.configuration == "cb47ccd92c0d2acadfeb991486891b0e")
        #expect(facts.canaries.hasPrefix("a2678c") && facts.blocks.hasPrefix("20a9b9"))
        #expect(facts.inFlight == 0 && facts.encrypts == 0 && facts.decrypts == 0)
        #expect(facts.hsms == [hsm("abcf59d548fceb9e", drained: true)] && !facts.canServe)
        #expect(facts.unservedKeys == ["bar", "decrypt_only_key", "encrypt_only_key", "foo"])
        #expect(facts.service(of: "foo") == .doesNot && facts.service(of: "impotent_key") == .serves)
        #expect(facts.reads == .first && facts.activatedFormat == 1 && facts.twinAddress.isEmpty)
        #expect(facts.blockChanges == nil && facts.room == nil)
        #expect(facts.unservedCount == 4 && facts.unservedFilter == nil)
        let served = try message("gossip-leave.request").facts
        #expect(served.encrypts == 1 && served.decrypts == 2 && served.canServe)
    }

    @Test("what it says to a node that it does not know yet, and of one that starts")
    func contact() throws {
        let request = try message("gossip-contact.request")
        #expect(request.kind == .exchange && request.receiver == nil && request.sequence == 2)
        #expect(request.facts.hsms.map { word($0.state) } == ["starting"] && request.facts.hsms.map(\.serial) == [""])
        #expect(!request.facts.canServe)
        let answer = try message("gossip-contact.answer")
        #expect(answer.kind == .exchange && answer.sender == identity(3) && answer.receiver == "node-1")
        #expect(answer.sequence == 2 && answer.facts.hsms == [hsm("db42112347bdf365")])
    }

    @Test("what it says of others, with their facts")
    func exchange() throws {
        let request = try message("gossip-exchange.request")
        #expect(request.kind == .exchange && request.sender == identity(2) && request.receiver == "node-3")
        for updates in [request.updates, try message("gossip-exchange.answer").updates] {
            #expect(updates.map(\.identity) == [identity(1)] && updates.map(\.liveness) == [.alive])
            #expect(updates.first?.accuser == nil && updates.first?.facts?.revision == 2)
            #expect(updates.first?.facts?.hsms == [hsm("abcf59d548fceb9e")])
        }
    }

    @Test("a probe, one by way of another, and their answers")
    func probes() throws {
        #expect(try message("gossip-ping.request").kind == .ping)
        let ack = try message("gossip-ping.answer")
        #expect(ack.kind == .ack && ack.sender == identity(1) && ack.receiver == "node-3" && ack.sequence == 4)
        let request = try message("gossip-ping-request.request")
        #expect(request.kind == .pingRequest && request.target == identity(2) && request.sequence == 29)
        let nack = try message("gossip-ping-request.answer")
        #expect(nack.kind == .nack && nack.sender == identity(3) && nack.sequence == 29)
    }

    @Test("what it says of one that is silent, that is dead, that has left")
    func deaths() throws {
        let suspect = try message("gossip-suspect.request").updates
        #expect(suspect == [MemberUpdate(identity: identity(3), liveness: .suspect, accuser: "node-1")])
        let dead = try message("gossip-dead.request").updates
        #expect(dead == [MemberUpdate(identity: identity(3), liveness: .dead)])
        let leave = try message("gossip-leave.request")
        #expect(leave.kind == .leave && leave.sender == identity(3, 1_795_993_297) && leave.farewell == nil)
        let left = [MemberUpdate(identity: identity(3, 1_795_993_297), liveness: .left)]
        #expect(try message("gossip-leave.answer").updates == left)
        #expect(try message("gossip-left.request").updates == left)
    }

    @Test("today's node answers as a node of 16631be must be answered", arguments: exchanges)
    func answers(name: String) async throws {
        let recording = try Recording("\(name).request").changed { object in
            // Nobody must be there, whatever runs on this machine.
            if var target = object["target"] as? [String: Any] {
                target["address"] = "127.0.0.1:1"
                object["target"] = target
            }
        }
        let request = try recording.read(GossipMessage.self)
        let recorded = try message("\(name).answer")
        try await TodaysNode.with(recorded.sender.name) { node, _ in
            let reply = try await node.receives(recording, from: request.sender.name)
            #expect(reply.status == 200)
            let answer = try reply.read(Version16631be.GossipMessage.self)
            #expect(Version16631be.takes(answer))
            #expect(answer.kind.rawValue == recorded.kind.rawValue && answer.sequence == request.sequence)
            #expect(answer.sender.name == recorded.sender.name && answer.receiver == request.sender.name)
            #expect(answer.target == nil)
            let member = try #require(node.service.members.first { $0.identity.name == request.sender.name })
            // Nobody listens where it was recorded: soon it is suspected.
            #expect((member.liveness == .left) == (request.kind == .leave) && member.hasSpoken)
            // A word on another's end is believed when it is signed, and this version does not sign.
            #expect(request.updates.isEmpty || node.liveness(of: "node-3") != .left || request.kind == .leave)
            #expect(member.facts == request.facts && member.ownConfiguration == request.facts.configuration)
        }
    }

    @Test("a member and words that it does not know yet cost today's node nothing but themselves", arguments: exchanges)
    func unknown(name: String) async throws {
        let recorded = try message("\(name).request")
        let recording = try Recording("\(name).request").changed { object in
            object = JSON.everywhere(object) { $0["colour"] = ["red": [1]] } as? [String: Any] ?? [:]
            object["kind"] = "whisper"
            object["target"] = nil
            var facts = object["facts"] as? [String: Any] ?? [:]
            var hsms = facts["hsms"] as? [[String: Any]] ?? []
            hsms[0]["state"] = "hibernating"
            facts["hsms"] = hsms
            object["facts"] = facts
            var updates = object["updates"] as? [[String: Any]] ?? []
            if !updates.isEmpty { updates[0]["liveness"] = "dormant" }
            object["updates"] = updates
        }
        try await TodaysNode.with(recorded.receiver ?? "node-3") { node, _ in
            let reply = try await node.receives(recording, from: recorded.sender.name)
            #expect(reply.status == 200)
            #expect(try reply.read(Version16631be.GossipMessage.self).kind == .ack)
            let member = try #require(node.service.members.first { $0.identity.name == recorded.sender.name })
            #expect(member.facts?.hsms.map { word($0.state) } == ["hibernating"] && member.facts?.canServe == false)
            #expect(member.facts?.revision == recorded.facts.revision)
            #expect(node.liveness(of: "node-9") == nil)
        }
    }

    @Test("a message that was said before is answered so that it reads it, and its sender takes a new incarnation")
    func replay() async throws {
        try await TodaysNode.with("node-1") { node, _ in
            let recording = try Recording("gossip-ping.request")
            let (first, second) = (
                try await node.receives(recording, from: "node-3"), try await node.receives(recording, from: "node-3")
            )
            #expect(try first.read(GossipMessage.self).isReplay == false)
            #expect(second.status == 200)
            let reported = try second.read(GossipMessage.self)
            #expect(reported.isReplay)
            let read = try second.read(Version16631be.GossipMessage.self)
            #expect(Version16631be.takes(read) && read.kind == .ack)
        }
    }

    /// It refuses a whole message for one word.
    @Test("today's node has no word in gossip that a node of 16631be does not read")
    func words() throws {
        let kinds = Set(GossipMessage.Kind.allCases.filter { $0 != .other }.map(\.rawValue))
        #expect(kinds == Set(Version16631be.GossipMessage.Kind.allCases.map(\.rawValue)))
        #expect(Set(Liveness.allCases.map(\.rawValue)) == Set(Version16631be.Liveness.allCases.map(\.rawValue)))
        #expect(Set(HSMState.allCases.map(\.rawValue)) == Set(Version16631be.HSMFact.State.allCases.map(\.rawValue)))
        #expect(GossipMessage.currentVersion == 1)
        #expect(GossipMessage.mostUpdates <= Version16631be.GossipMessage.mostUpdates)
        #expect(GossipMessage.mostExchanged <= Version16631be.GossipMessage.mostExchanged)
        #expect(NodeFacts.mostHSMs <= 64 && NodeFacts.mostUnservedKeys <= 32)
    }
}
