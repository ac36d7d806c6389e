// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

/// "There is no such key" is final for KMS. A key that one node offers and another does not, because a file was changed
/// on one first, must not be called absent by the other.
@Suite("Gossip: whether all nodes have one configuration")
struct AgreementTests {
    private func agreement(
        _ members: [Member], configuration: String = "same", isSought: Bool = true, age: UInt64 = 60 * second
    ) -> ConfigurationAgreement {
        ConfigurationAgreement(
            members: members, node: "a", configuration: configuration, isSought: isSought, age: age)
    }

    private func member(
        _ name: String, _ liveness: Liveness = .alive, hasSpoken: Bool = true, isRemembered: Bool = false,
        own: String? = "same"
    ) -> Member {
        Member(
            identity: identity(name), liveness: liveness, facts: facts(), since: 0, lastReceived: hasSpoken ? 0 : nil,
            isRemembered: isRemembered, ownConfiguration: own)
    }

    @Test("all who may serve have reported the same: what is not offered here is offered nowhere")
    func whole() {
        let members = [member("b"), member("c", .suspect), member("d", .left, own: "other")]
        #expect(agreement(members).isWhole && agreement(members).doubt == nil)
        #expect(agreement([], isSought: false).isWhole, "a node that stands alone")
        // Others report it; it may be made up, and it counts for nothing.
        #expect(agreement([member("x", hasSpoken: false, own: nil)]).isWhole)
    }

    @Test("another configuration, or one that is not known yet, on a node that can be asked")
    func others() {
        let found = agreement([member("d", own: "other"), member("b"), member("c", own: nil)])
        #expect(found.others == ["c", "d"] && found.silent.isEmpty && !found.isWhole)
        #expect(found.doubt?.contains("c, d") == true)
        #expect(agreement([member("b", own: "")], configuration: "").others == ["b"], "nor is this node's own known")
    }

    @Test("a node that does not answer may offer by now what it did not")
    func silent() {
        let found = agreement([
            member("b", .dead), member("c", .dead, hasSpoken: false, isRemembered: true, own: nil), member("d"),
        ])
        #expect(found.silent == ["b", "c"] && found.others.isEmpty && !found.isWhole)
    }

    @Test("a node that has just begun waits for the first of the others, and not for ever")
    func early() {
        #expect(!agreement([], age: 9 * second).isWhole && agreement([], age: 10 * second).isWhole)
        #expect(agreement([member("b")], age: 0).isWhole)
    }

    // With the facts that others pass on taken: alike at once, though b has never said so.
    @Test("only a node's own word on its configuration counts")
    func ownWord() throws {
        var solo = try Solo(machine(identity("a")))
        try solo.receive(from: identity("b"), facts: facts(revision: 3, configuration: "other"))
        func own() -> String? { solo.own.member(named: "b")?.ownConfiguration }
        #expect(own() == "other")
        let hearsay = MemberUpdate(identity: identity("b"), liveness: .alive, facts: facts(revision: 9))
        try solo.receive(from: identity("c"), updates: [hearsay])
        #expect(solo.own.member(named: "b")?.facts?.configuration == "same" && own() == "other")
        try solo.receive(from: identity("b"), facts: facts(revision: 10))
        #expect(own() == "same")
    }
}
