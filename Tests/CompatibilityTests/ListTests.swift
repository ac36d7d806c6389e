// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Foundation
import Gossip
import Testing

@Suite("A node of 16631be: blocks and canaries", .timeLimit(.minutes(2)))
struct ListTests {
    private let all = "048dee2722d2c81c62ce1ec70483ef02"
    private let key = "1b35a372fc5dddc27b8b4d8eed2a5998"
    private let principal = "66ac6e903984fa4058adcd2bee8d5fb4"
    private let keyStore = "c530dd186532f2528622d9e38035aaea"
    /// A moment at which the block with a duration holds.
    private let now: Int64 = 1_795_993_400

    private var blocks: [String: Block] {
        let reason = #"recorded, with a "quote" and a / slash"#
        func block(_ id: String, _ target: BlockTarget, _ madeAt: Int64, expiresAt: Int64? = nil) -> Block {
            Block(id: id, target: target, reason: reason, madeAt: madeAt, expiresAt: expiresAt, madeBy: "root@node-1")
        }
        return [
            all: Block(
                id: all, target: .everything, reason: "everything", madeAt: 1_795_993_307, expiresAt: nil,
                madeBy: "alice@node-2"),
            key: block(key, .key("decrypt_only_key"), 1_795_993_307, expiresAt: 2_111_353_307),
            principal: block(principal, .principal("arn:aws:iam::111122223333:role/example-*"), 1_795_993_306),
            keyStore: block(keyStore, .keyStore("/another/store"), 1_795_993_307),
        ]
    }

    private var lifts: [String: BlockLift] {
        [all: BlockLift(id: all, liftedAt: 1_795_993_307, liftedBy: "bob@node-2")]
    }

    private struct Reply: Decodable {
        var list: BlockList
        var durable: Bool
    }

    @Test("its list is read, with all targets, an end and a lift; and makes the digest that it reports of it")
    func blockValues() throws {
        let request = try Recording("blocks.request")
        #expect(request.path == "/cluster/v1/blocks")
        let answer = try Recording("blocks.answer").read(Reply.self)
        #expect(answer.durable)
        for list in [try request.read(BlockList.self), answer.list] {
            #expect(list.blocks == blocks && list.lifts == lifts && list.knowledge == .known)
            #expect(list.blocks[key]?.duration == 315_360_000)
            #expect(Set(list.inForce(now: now).map(\.id)) == [key, principal, keyStore])
            let reported = try Recording("gossip-drained.request").read(GossipMessage.self).facts.blocks
            #expect(list.digest == reported)
        }
        let empty = try Recording("gossip-contact.request").read(GossipMessage.self).facts.blocks
        #expect(BlockList().digest == empty)
    }

    @Test("today's node takes in its list, and reports the union in the form that it reads")
    func blockAnswer() async throws {
        let own = Block(
            id: String(repeating: "a", count: 32), target: .key("foo"), reason: "own", madeAt: 1_795_993_400,
            expiresAt: 2_111_353_400, madeBy: "me@node-1")
        try await TodaysNode.with("node-1", change: { $0.blocks = BlockList(blocks: [own], lifts: [], unknown: nil) }) {
            node, _ in
            let reply = try await node.receives(try Recording("blocks.request"), from: "node-2")
            #expect(reply.status == 200)
            let reported = try reply.read(Version16631be.BlockReply.self)
            #expect(reported.durable && reported.list.isKnown)
            #expect(Set(reported.list.blocks.keys) == [all, key, principal, keyStore, own.id])
            #expect(reported.list.blocks[key]?.expiresAt == 2_111_353_307)
            #expect(reported.list.blocks[own.id]?.expiresAt == 2_111_353_400)
            let role = "arn:aws:iam::111122223333:role/example-*"
            #expect(reported.list.blocks[principal]?.target == .init("principal", role))
            #expect(reported.list.lifts[all]?.liftedBy == "bob@node-2")
            let here = node.rooms.blocks()
            #expect(here.blocks == blocks.merging([own.id: own]) { $1 } && here.lifts == lifts)
            #expect(node.rooms.get(\.exchanged) == ["node-2": true])
            try expectToday("blocks-answer", try JSON.object(reply.body))
        }
    }

    /// Half of an order could mean another one: such a list costs itself, and is reported so.
    @Test("a list of the first form with a member that is not known is refused, on either side")
    func unknownInBlocks() async throws {
        let strange = try Recording("blocks.request").changed { object in
            var blocks = object["blocks"] as? [[String: Any]] ?? []
            blocks[0]["condition"] = "at night"
            object["blocks"] = blocks
        }
        #expect(throws: DecodingError.self) { try strange.read(Version16631be.BlockList.self) }
        try await TodaysNode.with("node-1") { node, _ in
            let refused = try await node.receives(strange, from: "node-2")
            #expect(refused.status == 400)
            #expect(node.rooms.blocks() == BlockList())
            let plain = try await node.receives(try Recording("blocks.request"), from: "node-2")
            #expect(plain.status == 200)
        }
    }

    // MARK: Canaries

    private struct Page: Decodable {
        var canaries: [SharedCanary]
        var after: String?
    }

    private let trustedBar = SharedCanary(
        label: "bar", iv: [68, 224, 125, 36, 230, 234, 130, 86, 29, 237, 232, 183],
        ciphertext: [
            182, 73, 213, 49, 43, 156, 84, 230, 18, 175, 213, 55, 222, 185, 254, 98, 17, 195, 126, 185, 70, 114, 43, 73,
            56, 238, 38, 253, 224, 123, 5, 190, 92, 216, 2, 212, 35, 82, 232, 75, 17, 154, 242, 255, 26, 250, 18, 47,
        ],
        digest: [
            4, 7, 242, 145, 93, 116, 112, 133, 84, 60, 155, 222, 231, 66, 165, 24, 9, 214, 134, 65, 184, 20, 1, 102,
            177,
            114, 186, 103, 238, 221, 52, 9,
        ], maker: "hsm-1", node: "node-1", madeAt: 1_795_993_306, isTrusted: true)

    @Test("its canaries are read; who has opened them it does not report")
    func canaryValues() throws {
        let first = try Recording("canaries.request")
        #expect(first.path == "/cluster/v1/canaries")
        #expect(try first.read(Page.self).after == "" && first.read(Page.self).canaries.isEmpty)
        let answer = try Recording("canaries.answer").read(Page.self)
        #expect(answer.after == nil && answer.canaries.map(\.label) == ["bar", "foo"])
        #expect(answer.canaries.allSatisfy { $0.node == "node-3" && $0.maker == "hsm-1" && !$0.isTrusted })
        let trusted = try Recording("canaries-trusted.answer").read(Page.self)
        #expect(trusted.canaries.map(\.label) == ["bar", "foo"] && trusted.canaries.first == trustedBar)
        #expect(trusted.canaries.allSatisfy { $0.provers == nil && $0.isProvisional == nil && $0.replaces == nil })
        #expect(trusted.canaries[1].madeAt == 1_795_993_296 && !trusted.canaries[1].isTrusted)
    }

    /// Of each sort that a later version has.
    private var keys: SharedKeys {
        var provisional = trustedBar
        (provisional.label, provisional.isProvisional) = ("young", true)
        var full = trustedBar
        (full.provers, full.replaces, full.outlived) = (["0001"], [Array(repeating: 7, count: 32)], 1_795_993_400)
        let forget = SharedForget(
            label: "gone", canaries: [Array(repeating: 8, count: 32)], givenAt: 1_795_993_401, author: "me@node-3")
        return SharedKeys(canaries: [full, provisional], forgets: [forget])
    }

    @Test("today's node takes in its canaries, and reports in the form that it reads those that decide, and no others")
    func canaryAnswer() async throws {
        try await TodaysNode.with("node-1", change: { $0.keys = keys }) { node, _ in
            let reply = try await node.receives(try Recording("canaries-trusted.request"), from: "node-3")
            #expect(reply.status == 200)
            let reported = try reply.read(Version16631be.CanaryPage.self)
            #expect(reported.isWithinBounds && reported.after == nil && reported.canaries.map(\.label) == ["bar"])
            #expect(reported.canaries.first?.digest == trustedBar.digest && reported.canaries.first?.isTrusted == true)
            let received = node.rooms.get(\.offered)
            let recorded = try Recording("canaries-trusted.request").read(Page.self).canaries
            #expect(received == recorded && received.count == 2)
            try expectToday("canaries-answer", try JSON.object(reply.body))
        }
    }

    @Test("a member that is not known costs a page of canaries nothing, on either side")
    func unknownInCanaries() async throws {
        let strange = try Recording("canaries-trusted.request").changed { object in
            object = JSON.everywhere(object) { $0["colour"] = ["red": 1] } as? [String: Any] ?? [:]
        }
        #expect(try strange.read(Version16631be.CanaryPage.self).canaries.count == 2)
        try await TodaysNode.with("node-1") { node, _ in
            let taken = try await node.receives(strange, from: "node-3")
            #expect(taken.status == 200)
            #expect(node.rooms.get(\.offered).map(\.label) == ["bar", "foo"])
        }
    }
}
