// SPDX-License-Identifier: Apache-2.0
import Foundation
import Gossip
import Testing

@Suite("Gossip: messages of other versions")
struct VersionTests {
    /// A message as JSON, changed.
    private func read(_ message: GossipMessage, _ change: (inout [String: Any]) -> Void) throws -> GossipMessage {
        let json = try JSONSerialization.jsonObject(with: JSONEncoder().encode(message))
        var object = try #require(json as? [String: Any])
        change(&object)
        return try JSONDecoder().decode(GossipMessage.self, from: JSONSerialization.data(withJSONObject: object))
    }

    private var full: GossipMessage {
        var own = facts(states: [.active, .degraded])
        own.unservedKeys = ["k"]
        own.unservedFilter = LabelFilter([Array("k".utf8)])
        own.reads = FormatVersions(gossip: 1, blocks: 2, canaries: 2, ciphertext: 3)
        own.activatedFormat = 2
        own.twinAddress = "x:1"
        own.keyUses = [KeyEncryptions(label: "k", encrypts: 7)]
        own.credentials = [AccessKeyUse(id: "AAAABBBBCCCCDDDD2222", minute: 30_000_000)]
        return message(
            .exchange, from: identity("b"), to: "a", sequence: 1, facts: own,
            updates: [
                MemberUpdate(identity: identity("c"), liveness: .alive, facts: facts()),
                farewell(of: identity("d")),
                MemberUpdate(
                    identity: identity("e"), liveness: .left, forgotten: ForgetNodeOrder(author: "alice@b", givenAt: 7)),
            ])
    }

    @Test("what is written is read as it was")
    func roundTrip() throws { #expect(try read(full) { _ in } == full) }

    // Until now the whole message was refused: a node of the next version could not inform this one of a block.
    @Test("a kind, a state, a member's liveness and fields of a later version cost nothing but themselves")
    func later() throws {
        let message = try read(full) { object in
            object["kind"] = "whisper"
            object["colour"] = ["red": 1]
            var own = object["facts"] as? [String: Any] ?? [:]
            var hsms = own["hsms"] as? [[String: Any]] ?? []
            hsms[0]["state"] = "hibernating"
            own["hsms"] = hsms + [["serial": 5]]
            own["reads"] = "everything"
            own["activatedFormat"] = 70_000
            own["keyUses"] = ["k": 7]
            own["credentials"] = [["id": "AAAABBBBCCCCDDDD2222", "minute": "noon"]]
            own["unservedFilter"] = ["bits": 4]
            object["facts"] = own
            var updates = object["updates"] as? [[String: Any]] ?? []
            updates[1]["liveness"] = "dormant"
            updates[2]["forgotten"] = 3
            object["updates"] = updates
        }
        #expect(message.kind == .other)
        #expect(message.facts.hsms.map(\.state) == [.init(word: "hibernating"), .init(.degraded)])
        #expect(!message.facts.hsms[0].canServe && message.facts.canServe)
        #expect(message.facts.reads == .first && message.facts.activatedFormat == 1)
        #expect(message.facts.credentials == nil && message.facts.keyUses == nil)
        #expect(message.facts.unservedFilter == nil && message.facts.unservedKeys == ["k"])
        #expect(message.updates.map(\.identity.name) == ["c", "e"] && message.updates[1].forgotten == nil)
        var own = machine(identity("a"))
        let actions = try own.received(message, from: "b", ticket: 1, now: start).get()
        #expect(actions.replies.map(\.message.kind) == [.ack])
        #expect(own.member(named: "b")?.isLive == true && own.member(named: "c") != nil)
        // Passed on as it came.
        let page = try own.received(
            GossipTests.message(.exchange, from: identity("f"), to: "a", sequence: 1), from: "f", ticket: 2, now: start
        ).get().replies.first?.message.updates
        #expect(page?.first { $0.identity.name == "b" }?.facts?.hsms.first?.state.word == "hibernating")
    }

    @Test("a message without the later fields is read as of a node that reads the first form of everything")
    func earlier() throws {
        let later = [
            "unservedCount", "unservedFilter", "reads", "activatedFormat", "twinAddress", "credentials", "keyUses",
        ]
        let message = try read(full) { object in
            var own = object["facts"] as? [String: Any] ?? [:]
            for field in later { own[field] = nil }
            object["facts"] = own
            object["isReplay"] = nil
        }
        #expect(message.facts.reads == .first && message.facts.unservedCount == 1 && !message.isReplay)
        #expect(message.facts.activatedFormat == 1 && message.facts.credentials == nil)
    }

    @Test("uses of access keys are bounded, and are told with whatever else there is to be told")
    func accessKeys() throws {
        func refuses(_ uses: [AccessKeyUse]) -> Bool {
            var own = machine(identity("a"))
            var told = facts()
            told.credentials = uses
            let message = GossipTests.message(.exchange, from: identity("b"), to: "a", sequence: 1, facts: told)
            return (try? own.received(message, from: "b", ticket: 1, now: start).get()) == nil
        }
        let use = AccessKeyUse(id: "AAAABBBBCCCCDDDD2222", minute: .max)
        #expect(!refuses(Array(repeating: use, count: NodeFacts.mostCredentials)))
        #expect(refuses(Array(repeating: use, count: NodeFacts.mostCredentials + 1)))
        for id in ["", "AAAABBBBCCCCDDDD222", "AAAABBBBCCCCDDDD222a", "AAAABBBBCCCCDDDD222\u{1B}"] {
            #expect(refuses([AccessKeyUse(id: id, minute: 1)]), "\(id)")
        }
    }

    @Test("uses of keys are bounded")
    func keyUses() throws {
        func refuses(_ uses: [KeyEncryptions]) -> Bool {
            var own = machine(identity("a"))
            var told = facts()
            told.keyUses = uses
            let message = GossipTests.message(.exchange, from: identity("b"), to: "a", sequence: 1, facts: told)
            return (try? own.received(message, from: "b", ticket: 1, now: start).get()) == nil
        }
        let use = KeyEncryptions(label: "ключ", encrypts: 1 << 53)
        #expect(!refuses(Array(repeating: use, count: NodeFacts.mostKeyUses)))
        #expect(refuses(Array(repeating: use, count: NodeFacts.mostKeyUses + 1)))
        #expect(refuses([KeyEncryptions(label: "k", encrypts: 1 << 54)]))
        #expect(refuses([KeyEncryptions(label: String(repeating: "k", count: 256), encrypts: 1)]))
        #expect(refuses([KeyEncryptions(label: "\u{1B}[2J", encrypts: 1)]))
    }

    /// What 16631be sent and read: a field that is missing there, or one with another meaning, would refuse the message.
    @Test("what earlier versions read is still there, by its name and with its words")
    func kept() throws {
        let json = try JSONSerialization.jsonObject(with: JSONEncoder().encode(full)) as? [String: Any]
        let own = try #require(json?["facts"] as? [String: Any])
        for field in [
            "revision", "isDraining", "version", "configuration", "canaries", "blocks", "inFlight", "encrypts",
            "decrypts", "hsms", "unservedKeys",
        ] { #expect(own[field] != nil, "\(field)") }
        let hsm = try #require((own["hsms"] as? [[String: Any]])?.first)
        #expect(hsm["state"] as? String == "active" && hsm["isDrained"] as? Bool == false)
        #expect(json?["version"] as? Int == 1 && json?["kind"] as? String == "exchange")
        let updates = try #require(json?["updates"] as? [[String: Any]])
        #expect(updates.map { $0["liveness"] as? String } == ["alive", "left", "left"])
    }

    @Test("two nodes use of each form the one that both read")
    func common() {
        let (one, other) = (
            FormatVersions(gossip: 2, blocks: 1, canaries: 3, ciphertext: 2),
            FormatVersions(gossip: 1, blocks: 4, canaries: 2, ciphertext: 2)
        )
        #expect(one.common(with: other) == FormatVersions(gossip: 1, blocks: 1, canaries: 2, ciphertext: 2))
    }

    /// Without the filter a key that was not named one by one, the 33rd for example, counted as served there, and that node
    /// was asked first.
    @Test("a filter holds all keys that a node cannot serve, and hardly any other; those that it holds are asked last")
    func filters() throws {
        for (count, most) in [(0, 0), (33, 2), (800, 5), (5_000, 3_000)] {
            let filter = LabelFilter((0..<count).map { Array("key-\($0)".utf8) })
            #expect((0..<count).allSatisfy { filter.mayHold("key-\($0)".utf8) })
            #expect((0..<10_000).count { filter.mayHold("other-\($0)".utf8) } <= most, "\(count)")
            #expect(try JSONDecoder().decode(LabelFilter.self, from: JSONEncoder().encode(filter)) == filter)
        }
        for text in ["", "00", "0g00000000000000", String(repeating: "0", count: 5_000), "000000000000000"] {
            #expect(throws: (any Error).self) {
                try JSONDecoder().decode(LabelFilter.self, from: JSONEncoder().encode(text))
            }
        }
        for count in [0, NodeFacts.mostUnservedKeys, NodeFacts.mostUnservedKeys + 1, 5_000] {
            var reported = facts()
            let labels = (0..<count).map { "key-\($0)" }
            reported.setUnserved(labels)
            #expect(reported.unservedCount == count && reported.unservedKeys.count == min(count, 32))
            #expect((reported.unservedFilter == nil) == (count <= 32))
            #expect(labels.allSatisfy { reported.service(of: $0) != .serves })
        }
        var reported = facts()
        reported.unservedKeys = ["a"]
        reported.unservedFilter = LabelFilter([Array("a".utf8), Array("z".utf8)])
        #expect(reported.service(of: "a") == .doesNot && reported.service(of: "z") == .hardly)
        #expect(reported.service(of: "b") == .serves)
        let members = [("b", reported), ("c", facts())].map { name, facts in
            Member(identity: identity(name), liveness: .alive, facts: facts, roundTrip: 1, since: 0, lastReceived: 0)
        }
        let choice = ForwardingChoice(members: members, node: "n", site: "here", configuration: "same")
        #expect(choice.members(for: "z").map(\.identity.name) == ["c", "b"])
        #expect(choice.members(for: "a").map(\.identity.name) == ["c"])
        #expect(choice.members(for: "b").map(\.identity.name) == ["b", "c"])
    }
}
