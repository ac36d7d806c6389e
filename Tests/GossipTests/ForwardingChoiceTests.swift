// SPDX-License-Identifier: Apache-2.0
import Gossip
import StatusVocabulary
import Testing

@Suite("Gossip: which peer a request is passed on to")
struct ForwardingChoiceTests {
    private func member(
        _ name: String, site: String = "here", _ liveness: Liveness = .alive, roundTrip: UInt32? = 1_000,
        _ change: (inout NodeFacts) -> Void = { _ in }
    ) -> Member {
        var own = facts()
        change(&own)
        return Member(
            identity: identity(name, site: site), liveness: liveness, facts: own, roundTrip: roundTrip, since: 0,
            lastReceived: 0)
    }

    private func order(_ members: [Member], key: String = "k") -> [String] {
        ForwardingChoice(members: members, node: "a", site: "here", configuration: "same")
            .members(for: key).map(\.identity.name)
    }

    @Test("the unsuspected first, then those of the same configuration, the same site, and the nearest")
    func ranks() {
        let members = [
            member("suspect", .suspect, roundTrip: 1), member("other", roundTrip: 1) { $0.configuration = "other" },
            member("away", site: "there", roundTrip: 1), member("far", roundTrip: 9_000),
            member("near", roundTrip: 100), member("unmeasured", roundTrip: nil),
        ]
        let expected = ["near", "far", "unmeasured", "away", "other", "suspect"]
        #expect(order(members) == expected)
        #expect(order(members.reversed()) == expected)
    }

    @Test("nobody is asked who cannot serve: dead, gone, ending, without an HSM, without the key, or this node")
    func excluded() {
        let members = [
            member("dead", .dead), member("left", .left), member("ending") { $0.isDraining = true },
            member("empty") { $0.hsms = [] }, member("out") { $0.hsms[0].state = .init(.unavailable) },
            member("drained") { $0.hsms[0].isDrained = true }, member("a"),
            member("without") { $0.unservedKeys = ["k"] }, member("probing") { $0.hsms[0].state = .init(.probing) },
        ]
        #expect(order(members).isEmpty)
        #expect(order(members, key: "other") == ["without"])
        let choice = ForwardingChoice(members: members, node: "a", site: "here", configuration: "same")
        #expect(!choice.canServe("k") && choice.canServe("other") && choice.canServeAny)
    }

    @Test("a node is ready for others' sake only where another one can answer something")
    func stopped() {
        func choice(_ codes: [String]) -> ForwardingChoice {
            let peer = member("b") { facts in
                facts.conditions = codes.map { Condition(code: $0, severity: .critical, node: "b", text: "") }
            }
            return ForwardingChoice(members: [peer], node: "a", site: "here", configuration: "same")
        }
        #expect(choice(["store-failing"]).canServeAny)
        for code in Condition.codesThatStop {
            // What it reports may be a second old.
            #expect(!choice([code]).canServeAny && choice([code]).canServe("k"))
        }
    }

    @Test("who serves one of some keys is alike, not suspected, and not stopped")
    func servesAny() {
        func serves(_ member: Member) -> Bool {
            ForwardingChoice(members: [member], node: "a", site: "here", configuration: "same").serves(anyOf: [
                "k", "l",
            ])
        }
        #expect(serves(member("b")) && serves(member("b") { $0.unservedKeys = ["k"] }))
        #expect(!serves(member("b") { $0.unservedKeys = ["k", "l"] }) && !serves(member("b", .suspect)))
        // What another configuration offers is not known.
        #expect(!serves(member("b") { $0.configuration = "other" }))
    }

    @Test("what a node cannot do goes to those that report room, are alike, serve the key, and are not suspected")
    func roomy() {
        func room(_ perSecond: UInt32, _ milliseconds: UInt32 = 5) -> NodeRoom {
            NodeRoom(perSecond: perSecond, callMicroseconds: milliseconds * 1_000)
        }
        let members = [
            member("full") { $0.room = room(0) }, member("old") { $0.room = nil },
            member("near", roundTrip: 1_000) { $0.room = room(7, 20) },
            member("far", roundTrip: 8_000) { $0.room = room(5) },
            member("unmeasured", roundTrip: nil) { $0.room = room(9) },
            member("suspect", .suspect) { $0.room = room(9) },
            member("other") { (facts: inout NodeFacts) in (facts.room, facts.configuration) = (room(9), "other") },
            member("without", roundTrip: 1) { (facts: inout NodeFacts) in
                (facts.room, facts.unservedKeys) = (room(9), ["k"])
            },
        ]
        let choice = ForwardingChoice(members: members, node: "a", site: "here", configuration: "same")
        let found = choice.roomy(for: "k")
        #expect(found.map(\.member.identity.name) == ["far", "near"] && found.map(\.spare) == [5, 7])
        #expect(choice.roomy(for: "k") { name, _ in name != "far" }.map(\.spare) == [7])
        #expect(choice.leastDetour == 6_001_000, "5 ms, the way to the node without the key, and 1 ms")
        let alone = ForwardingChoice(members: [members[0]], node: "a", site: "here", configuration: "same")
        #expect(alone.leastDetour == nil)
    }

    @Test("a degraded HSM serves; a node that has said nothing of itself does not")
    func degraded() {
        #expect(order([member("b") { $0.hsms[0].state = .init(.degraded) }]) == ["b"])
        let silent = Member(identity: identity("b"), liveness: .alive, since: 0)
        #expect(order([silent]).isEmpty)
        var praised = member("b")
        praised.lastReceived = nil
        #expect(order([praised]).isEmpty, "others praise it, and it has said nothing here")
    }
}
