// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Cluster
import Foundation
import Gossip
import SecureMemory
import Synchronization
import Testing
import XKSProtocol

/// A node of today's version finds one of 16631be, which answers as it was recorded.
@Suite("What today's version says to a node of 16631be", .timeLimit(.minutes(2)))
struct TodaysMessagesTests {
    private static let gossip = "/cluster/v1/gossip"

    /// The answers of node-3: recorded, but for what an answer has of its request, and where the node listens.
    ///
    /// - Parameter forward: which of them a request gets that is passed on.
    static func answers(forward: String = "forward-encrypt") throws -> EarlierNode.Answer {
        let exchange = try Recording("gossip-exchange.answer").body
        let ack = try Recording("gossip-drained.answer").body
        let (blocks, canaries) = (try Recording("blocks.answer").body, try Recording("canaries.answer").body)
        let forwarded = try Recording("\(forward).answer")
        return { address, request in
            switch request.path {
            case gossip:
                // What it refuses it answers with 400.
                guard let message = try? JSONDecoder().decode(Version16631be.GossipMessage.self, from: request.body),
                    Version16631be.takes(message), message.receiver == nil || message.receiver == "node-3",
                    var answer = try? JSON.object(message.kind == .exchange ? exchange : ack)
                else { return .init(status: 400) }
                answer["sequence"] = message.sequence
                answer["receiver"] = message.sender.name
                if var sender = answer["sender"] as? [String: Any] {
                    sender["address"] = address
                    answer["sender"] = sender
                }
                answer["updates"] = [] as [Any]
                return .init(status: 200, body: (try? JSON.data(answer)) ?? Data())
            case "/cluster/v1/blocks":
                let isRead = (try? JSONDecoder().decode(Version16631be.BlockList.self, from: request.body)) != nil
                return isRead ? .init(status: 200, body: blocks) : .init(status: 400)
            case "/cluster/v1/canaries":
                let page = try? JSONDecoder().decode(Version16631be.CanaryPage.self, from: request.body)
                return page?.isWithinBounds == true ? .init(status: 200, body: canaries) : .init(status: 400)
            case "/cluster/v1/forward":
                guard Version16631be.ForwardedRequest(request.body) != nil,
                    request.fields["claviger-budget-us"].flatMap({ UInt64($0) }) != nil
                else { return .init(status: 400) }
                let fields = forwarded.fields.filter { $0.key == "claviger-status" }
                return .init(status: 200, fields: fields, body: forwarded.body)
            // As it answers paths that it does not know.
            default: return .init(status: 404)
            }
        }
    }

    private static let own = Block(
        id: String(repeating: "a", count: 32), target: .key("foo"), reason: "own", madeAt: 1_795_993_400,
        expiresAt: 2_111_353_400, madeBy: "me@node-1")

    /// With a value in each member that 16631be does not have.
    static func fill(_ state: inout Rooms.State) {
        state.facts.configuration = "cb47ccd92c0d2acadfeb991486891b0e"
        state.facts.blockChanges = 7
        state.facts.unservedKeys = ["k"]
        state.facts.unservedCount = 40
        state.facts.unservedFilter = LabelFilter([Array("k".utf8)])
        state.facts.reads = FormatVersions(gossip: 1, blocks: 2, canaries: 2, ciphertext: 1, audit: 1)
        state.facts.activatedFormat = 1
        state.facts.room = NodeRoom(perSecond: 10, callMicroseconds: 2_000)
        state.facts.twinAddress = "127.0.0.1:9"
        state.facts.keyUses = [KeyEncryptions(label: "foo", encrypts: 12)]
        state.facts.credentials = [AccessKeyUse(id: "AAAABBBBCCCCDDDD2222", minute: 30_000_000)]
        state.facts.canaries = "another"
        state.blocks = BlockList(blocks: [own], lifts: [], unknown: nil)
        let canary = SharedCanary(
            label: "foo", iv: Array(repeating: 1, count: 12), ciphertext: Array(repeating: 2, count: 48),
            digest: Array(repeating: 3, count: 32), maker: "hsm-1", node: "node-1", madeAt: 1_795_993_400,
            isTrusted: true, provers: ["0001"], replaces: [Array(repeating: 4, count: 32)], outlived: 1_795_993_401)
        var young = canary
        (young.label, young.isProvisional) = ("young", true)
        state.keys = SharedKeys(
            canaries: [canary, young],
            forgets: [
                SharedForget(
                    label: "gone", canaries: [Array(repeating: 8, count: 32)], givenAt: 1_795_993_402,
                    author: "me@node-1")
            ])
    }

    /// Everything that has no value of its own in each run.
    private static func steady(_ message: EarlierNode.Request) throws -> [String: Any] {
        var object = try JSON.object(message.body)
        object["sequence"] = 1
        #expect(object["sentAt"] is Int)
        object["sentAt"] = 1_800_000_000_000
        func here(_ value: Any?) -> [String: Any]? {
            guard var identity = value as? [String: Any] else { return nil }
            identity["address"] = "127.0.0.1:1"
            return identity
        }
        object["sender"] = here(object["sender"])
        if var facts = object["facts"] as? [String: Any] {
            facts["revision"] = 1
            object["facts"] = facts
        }
        if var farewell = object["farewell"] as? [String: Any] {
            (farewell["certificates"], farewell["signature"]) = (["00"], "00")
            object["farewell"] = farewell
        }
        return object
    }

    private func messages(_ node: EarlierNode, _ kind: String) throws -> [EarlierNode.Request] {
        try node.requests(Self.gossip).filter { try JSON.object($0.body)["kind"] as? String == kind }
    }

    @Test("it is read, and its answers are believed: gossip, blocks, canaries, a request that is passed on, a farewell")
    func all() async throws {
        try await TodaysNode.with("node-1", change: Self.fill, finds: ("node-3", try Self.answers())) { node, other in
            let earlier = try #require(other)
            try await eventually("it lives, and lists were exchanged") {
                let isProbed = try !messages(earlier, "ping").isEmpty
                let isExchanged = node.rooms.get(\.exchanged)["node-3"] == true && node.rooms.get(\.offered).count == 2
                return node.liveness(of: "node-3") == .alive && isProbed && isExchanged
            }
            let member = try #require(node.service.members.first { $0.identity.name == "node-3" })
            #expect(member.facts?.hsms.first?.serial == "db42112347bdf365" && member.facts?.reads == .first)
            #expect(node.rooms.blocks().blocks.count == 5 && node.rooms.blocks().lifts.count == 1)
            #expect(node.rooms.get(\.offered).map(\.label) == ["bar", "foo"])
            try checkLists(earlier)
            try await checkForward(node, earlier)
            await node.service.leave()
            try checkGossip(earlier)
            // The first form is asked for once it is known that the other knows no pages; nothing else was refused.
            let unknown = Set(earlier.requests.map(\.path)).subtracting([
                Self.gossip, "/cluster/v1/blocks", "/cluster/v1/canaries", "/cluster/v1/forward",
            ])
            #expect(unknown == ["/cluster/v2/blocks"])
            for request in earlier.requests(Self.gossip) {
                let message = try JSONDecoder().decode(Version16631be.GossipMessage.self, from: request.body)
                #expect(Version16631be.takes(message))
            }
        }
    }

    @Test("what it says of others is read, with a signed farewell and with an order to forget")
    func others() throws {
        func identity(_ name: String) -> NodeIdentity {
            NodeIdentity(name: name, address: "127.0.0.1:1", site: "dev", incarnation: 1_800_000_000)
        }
        var rooms = Rooms.State()
        Self.fill(&rooms)
        let farewell = Farewell(name: "node-4", incarnation: 1_800_000_000, certificates: ["00"], signature: "00")
        let message = GossipMessage(
            kind: .exchange, sender: identity("node-1"), receiver: "node-3", sequence: 9, facts: rooms.facts,
            updates: [
                MemberUpdate(identity: identity("node-2"), liveness: .alive, facts: rooms.facts),
                MemberUpdate(identity: identity("node-4"), liveness: .left, farewell: farewell),
                MemberUpdate(
                    identity: identity("node-5"), liveness: .left,
                    forgotten: ForgetNodeOrder(author: "me@node-1", givenAt: 1_795_993_400)),
                MemberUpdate(identity: identity("node-6"), liveness: .suspect, accuser: "node-2"),
            ])
        let text = try JSONEncoder().encode(message)
        let read = try JSONDecoder().decode(Version16631be.GossipMessage.self, from: text)
        #expect(Version16631be.takes(read))
        #expect(read.updates.map(\.identity.name) == ["node-2", "node-4", "node-5", "node-6"])
        #expect(read.updates.map(\.liveness) == [.alive, .left, .left, .suspect])
        #expect(read.updates.last?.accuser == "node-2" && read.updates.first?.facts?.unservedKeys == ["k"])
        try expectToday("gossip-exchange", try JSON.object(text))
    }

    private func checkGossip(_ earlier: EarlierNode) throws {
        for (kind, name) in [("exchange", "gossip-contact"), ("ping", "gossip-ping"), ("leave", "gossip-leave")] {
            let request = try #require(try messages(earlier, kind).first, "\(kind)")
            var object = try Self.steady(request)
            // What it reports of the other's list changes while lists are exchanged.
            var facts = object["facts"] as? [String: Any] ?? [:]
            #expect(facts["blocks"] is String)
            facts["blocks"] = "of the list"
            object["facts"] = facts
            if kind == "ping" { object["updates"] = [] as [Any] }
            try expectToday(name, object)
            let read = try JSONDecoder().decode(Version16631be.GossipMessage.self, from: request.body)
            #expect(read.kind.rawValue == kind && read.sender.name == "node-1" && read.facts.unservedKeys == ["k"])
            #expect(read.facts.hsms.map(\.state) == [.active] && read.sender.incarnation == 1_800_000_000)
        }
    }

    private func checkLists(_ earlier: EarlierNode) throws {
        let first = try #require(earlier.requests("/cluster/v1/blocks").first)
        let list = try JSONDecoder().decode(Version16631be.BlockList.self, from: first.body)
        #expect(list.isKnown && list.lifts.isEmpty && Array(list.blocks.keys) == [Self.own.id])
        #expect(list.blocks[Self.own.id]?.target == .init("key", "foo"))
        #expect(list.blocks[Self.own.id]?.expiresAt == Self.own.expiresAt)
        try expectToday("blocks-request", try JSON.object(first.body))
        let asked = try #require(earlier.requests("/cluster/v1/canaries").first)
        let page = try JSONDecoder().decode(Version16631be.CanaryPage.self, from: asked.body)
        #expect(page.after == "" && page.canaries.map(\.label) == ["foo"])
        try expectToday("canaries-request", try JSON.object(asked.body))
        #expect(asked.fields["content-type"] == "application/json")
    }

    private func checkForward(_ node: TodaysNode, _ earlier: EarlierNode) async throws {
        let request = TodaysNode.request
        #expect(node.service.canForward(label: "foo"))
        let answer = try #require(await node.passesOn(request))
        let body = try Recording("forward-encrypt.answer").body
        #expect(answer.status == 200 && answer.body == body)
        let sent = try #require(earlier.requests("/cluster/v1/forward").first)
        let read = try #require(Version16631be.ForwardedRequest(sent.body))
        #expect(read.head.method == "POST" && read.head.target == request.target && read.head.peer == "192.0.2.1:5")
        #expect(read.head.headers == ["host", "h", "x-amz-date", "20261129T230148Z"])
        #expect(read.body == Data("{\"plaintext\":\"AA==\"}".utf8))
        try expectToday("forward-head", try JSON.object(sent.body.dropFirst(4).dropLast(read.body.count)))
    }
}
