// SPDX-License-Identifier: Apache-2.0
import Gossip
import StatusVocabulary
import Testing

/// What a node's own components give it to say comes from HSMs and files. It must not make peers drop its messages.
@Suite("Gossip: what a node says of itself is within the bounds")
struct OwnFactsTests {
    private func wild(_ text: String) -> NodeFacts {
        let hsm = HSMFact(
            name: text, serial: text, manufacturer: text, model: text, firmware: text, state: .active,
            isDrained: false)
        return NodeFacts(
            revision: .max, version: text, configuration: text, canaries: text, blocks: text, inFlight: .max,
            encrypts: .max, decrypts: .max, hsms: Array(repeating: hsm, count: 100),
            unservedKeys: Array(repeating: text, count: 100))
    }

    private static let texts = [
        String(repeating: "x", count: 10_000), "a\u{0}b\u{1B}[2J\n\u{7F}", String(repeating: "é", count: 1_000),
        String(repeating: "👩‍👩‍👧‍👦", count: 100), "e" + String(repeating: "\u{301}", count: 5_000), "\u{202E}\u{FEFF}",
        String(repeating: "\u{1}", count: 1_000),
    ]

    private func isTaken(_ own: inout GossipMachine) throws -> Bool {
        var other = machine(identity("b"))
        let request = message(.exchange, from: identity("b"), to: "a", sequence: 1)
        let reply = try #require(try own.received(request, from: "b", ticket: 1, now: start).get().replies.first)
        var question = reply.message
        question.kind = .ping
        question.updates = []
        if case .success = other.received(question, from: "a", ticket: 1, now: start) { return true }
        return false
    }

    @Test("whatever the parts say, others take it", arguments: OwnFactsTests.texts.indices)
    func taken(index: Int) throws {
        let reported = wild(Self.texts[index])
        var first = machine(identity("a"), facts: reported)
        #expect(try isTaken(&first), "from the beginning")
        var later = machine(identity("a"))
        _ = later.setFacts(reported, now: start)
        #expect(try isTaken(&later), "later")
        #expect(later.facts.hsms.count == NodeFacts.mostHSMs)
        #expect(later.facts.unservedKeys.count == NodeFacts.mostUnservedKeys)
    }

    @Test("what is within the bounds is said as it is")
    func untouched() {
        var reported = facts(configuration: "abc", canaries: "d", blocks: "e", states: HSMState.allCases)
        reported.unservedKeys = ["clé", "鍵"]
        var own = machine(identity("a"))
        _ = own.setFacts(reported, now: start)
        reported.revision = 2
        #expect(own.facts == reported)
    }

    @Test("the revision is the machine's own: it grows with each change, and with nothing else")
    func revision() {
        var own = machine(identity("a"), facts: facts(revision: 0))
        #expect(own.facts.revision == 1)
        _ = own.setFacts(facts(revision: 900), now: start)
        #expect(own.facts.revision == 1, "nothing has changed")
        _ = own.setFacts(facts(revision: 0, blocks: "new"), now: start)
        #expect(own.facts.revision == 2)
    }
}
