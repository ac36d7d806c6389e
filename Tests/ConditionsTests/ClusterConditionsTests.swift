// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Conditions
import Foundation
import StatusVocabulary
import Testing

@Suite struct ClusterConditionsTests {
    private static let noBlocks = BlockListing(blocks: [], unknown: nil)

    private func status(_ change: (inout NodeStatus) -> Void) -> NodeStatus {
        var status = NodeStatus(node: "fra-1", version: "1.2.3", draining: false, hsms: [hsm(.active)])
        change(&status)
        return status.judged()
    }

    private func judge(
        blocks: BlockListing = noBlocks, here: NodeStatus? = nil, _ change: (inout [ClusterNode]) -> Void = { _ in }
    ) -> ClusterJudgement {
        var nodes = [Scene.node("fra-1"), Scene.node("fra-2"), Scene.node("iad-1")]
        change(&nodes)
        return ClusterHealth.judge(
            here: here ?? status { _ in }, nodes: nodes, blocks: blocks, nowUnixSeconds: Scene.now)
    }

    private func unavailable(_ node: inout ClusterNode) {
        for index in node.hsms.indices { node.hsms[index].state = .unavailable }
    }

    @Test func nothingIsWrong() {
        #expect(judge() == ClusterJudgement(conditions: []))
        let alone = judge { $0.removeLast(2) }
        #expect(alone.verdict == .active && alone.reasons.isEmpty)
    }

    @Test func aDeadNodeIsNamed() {
        let result = judge { nodes in
            nodes[2].liveness = .dead
            nodes[2].sinceUnixSeconds = Scene.now - 34
            // What it said of itself before is no news.
            unavailable(&nodes[2])
            nodes[2].drift = ["configuration", "canaries"]
            nodes[2].unservedKeys = ["k"]
            nodes[2].version = "0.1"
        }
        #expect(result.verdict == .degraded)
        #expect(result.reasons == ["node iad-1 (site iad) is dead, for 34 s"] && result.notes.isEmpty)
    }

    // Shown nowhere before: the node served by an old list until it reached a peer, and nobody was informed.
    @Test func aNodeThatWasPutBackIsNamed() {
        let result = judge { nodes in
            nodes[1].restored = .init(
                rememberedChanges: 12, toldChanges: 9, sinceUnixSeconds: Scene.now - 180)
        }
        #expect(result.verdict == .degraded)
        let reason = result.reasons.first
        #expect(reason?.contains("node fra-2") == true && reason?.contains("3 min ago") == true)
        #expect(reason?.contains("12") == true && reason?.contains("9 now") == true)
    }

    @Test func manyForgottenNodesDoNotDrownTheRest() {
        let result = judge { nodes in
            nodes += (0..<50).map { number in
                Scene.node("gone-\(number)") { node in
                    node.liveness = .left
                    node.forgottenBy = "ada@fra-1"
                }
            }
        }
        #expect(result.verdict == .active && result.notes.count == ClusterJudgement.mostNames + 1)
        #expect(result.notes.last == "40 more nodes were forgotten")
    }

    @Test func aClusterOfNodesWithoutKeysServesNothing() {
        func lacking(_ node: inout ClusterNode) {
            node.unservedKeys = ["k"]
            node.conditions = [Condition(.noKeyServed, of: node.name, "", "no HSM serves the key", severity: .critical)]
        }
        let own = status { $0.keys = [] }.judged(NodeCircumstances(unservedKeys: ["k"]))
        let one = judge { lacking(&$0[1]) }
        #expect(one.verdict == .degraded && one.conditions.map(\.code) == ["no-key-served"])
        #expect(one.conditions.map(\.node) == ["fra-2"] && one.conditions.map(\.severity) == [.warning])
        let all = judge(here: own) { nodes in for index in nodes.indices { lacking(&nodes[index]) } }
        #expect(all.verdict == .unavailable)
        #expect(all.conditions.map(\.code) == ["no-node-serves"] + Array(repeating: "no-key-served", count: 3))
    }

    @Test func oneThatHasLeftIsNotMissed() {
        let result = judge { nodes in
            nodes[1].liveness = .left
            unavailable(&nodes[1])
        }
        #expect(result == ClusterJudgement(conditions: []))
    }

    // Three processes, two of one name: ACTIVE, and "all 2 nodes" had the order.
    @Test func twoNodesOfOneNameAreToldEverywhere() {
        let result = judge { nodes in
            nodes[2].address = "10.0.0.3:7443"
            nodes[2].twinAddress = "10.0.0.9:7443"
        }
        #expect(result.verdict == .degraded && result.reasons.count == 1)
        #expect(result.reasons[0].hasPrefix("two nodes bear the name iad-1 (10.0.0.3:7443 and 10.0.0.9:7443)"))
    }

    @Test func whoIsOnlySpokenOfCountsForNothing() {
        func reported(for seconds: Int64) -> ClusterJudgement {
            judge { nodes in
                nodes[1].liveness = .unconfirmed
                nodes[1].sinceUnixSeconds = Scene.now - seconds
                unavailable(&nodes[1])
            }
        }
        #expect(reported(for: 5) == ClusterJudgement(conditions: []))
        #expect(
            reported(for: 31).reasons == [
                "node fra-1 hears of fra-2 from others and cannot reach it: nothing is passed on to it"
            ])
    }

    @Test func whoeverWasForgottenIsNotedWithTheAuthor() {
        let result = judge { nodes in
            nodes[2].liveness = .left
            nodes[2].forgottenBy = "alice@fra-1"
        }
        #expect(result.verdict == .active && result.notes.count == 1)
        #expect(result.notes[0].contains("iad-1") && result.notes[0].contains("alice@fra-1"))
    }

    @Test func aSuspectIsStillAMember() {
        let result = judge { nodes in
            nodes[1].liveness = .suspect
            nodes[1].sinceUnixSeconds = Scene.now
            nodes.remove(at: 2)
            unavailable(&nodes[0])
        }
        #expect(result.verdict == .degraded, "a suspect serves")
        #expect(
            result.reasons.contains(
                "node fra-2 (site fra) does not answer, for 0 s; it is given time to say that it lives"))
    }

    @Test func aNodeWithoutHSMsDependsOnTheOthers() {
        let other = judge { unavailable(&$0[1]) }
        #expect(other.verdict == .degraded)
        #expect(
            other.reasons == [
                "no HSM of node fra-2 (site fra) can serve; it depends on passing requests on to others",
                "hsm a is unavailable on fra-2",
            ])
        let forwarding = judge(here: status { $0.canForward = true }) { unavailable(&$0[0]) }
        #expect(forwarding.verdict == .degraded)
        #expect(
            forwarding.reasons.first == "no HSM of node fra-1 (site fra) can serve; it passes requests on to others")
        let stranded = judge { unavailable(&$0[0]) }
        #expect(stranded.verdict == .degraded)
        #expect(
            stranded.reasons.first == "no HSM of node fra-1 (site fra) can serve; it passes none on to others")
    }

    @Test func withoutAnyThatServesThereIsNothing() {
        let result = judge { nodes in
            unavailable(&nodes[0])
            nodes[1].liveness = .dead
            nodes[2].hsms = []
        }
        #expect(result.verdict == .unavailable)
        #expect(result.reasons.first == "no live node can serve: every request fails")
        #expect(result.reasons.contains("no HSM of node iad-1 (site iad) can serve"))
        #expect(judge { $0 = [] }.verdict == .unavailable)
        let ending = judge { nodes in for index in nodes.indices { nodes[index].draining = true } }
        #expect(ending.verdict == .unavailable)
    }

    @Test func aNodeThatEndsIsNoted() {
        let result = judge { nodes in
            nodes[1].draining = true
            nodes[1].hsms = []
        }
        #expect(result.verdict == .active && result.reasons.isEmpty)
        #expect(result.notes == ["fra-2 is ending: no new requests go there"])
    }

    @Test func anHSMIsNamedOnceWithAllWhoSeeItSo() {
        let result = judge { nodes in
            let good = Scene.hsm("good", serial: "1")
            nodes[0].hsms = [good, Scene.hsm("luna-a", serial: "12345", .unavailable)]
            nodes[1].hsms = [good, Scene.hsm("luna-x", serial: "12345", .unavailable)]
            nodes[2].hsms = [
                Scene.hsm("slow", serial: "7", .degraded), Scene.hsm("luna-a", serial: "12345"),
                Scene.hsm("b", serial: "8", drained: true), Scene.hsm("c", .probing, drained: true),
            ]
        }
        #expect(result.verdict == .degraded)
        #expect(
            result.reasons == [
                "hsm luna-a (serial 12345) is unavailable on fra-1, fra-2", "hsm b (serial 8) is drained on iad-1",
                "hsm c is probing and drained on iad-1", "hsm slow (serial 7) is degraded on iad-1",
            ])
    }

    @Test func withoutASerialNumberHSMsAreTold() {
        let result = judge { nodes in
            for index in [0, 1] { nodes[index].hsms.append(Scene.hsm("x", .starting)) }
        }
        #expect(result.reasons == ["hsm x is starting on fra-1", "hsm x is starting on fra-2"])
    }

    @Test func whatShouldBeAlikeIsCompared() {
        let result = judge { nodes in
            nodes[1].drift = ["configuration", "blocks", "canaries"]
            nodes[2].drift = ["configuration"]
        }
        #expect(result.verdict == .degraded)
        #expect(
            result.reasons == [
                "the configuration of fra-2, iad-1 differs from that of node fra-1",
                "the list of blocks of fra-2 differs from that of node fra-1",
            ])
        #expect(result.notes == ["node fra-1 and fra-2 prove keys by different canaries"])
        #expect(judge { $0[1].drift = ["canaries"] }.verdict == .active)
    }

    @Test func anUpgradeIsNoted() {
        let result = judge { nodes in
            nodes[1].version = "1.3.0"
            nodes[2].version = ""
        }
        #expect(result.verdict == .active && result.notes == ["versions differ: 1.2.3, 1.3.0"])
    }

    @Test func blocksAreNoted() {
        let one = judge(blocks: Scene.blocks)
        #expect(one.verdict == .active && one.notes == ["1 block is in force"])
        let two = judge(blocks: BlockListing(blocks: Scene.blocks.blocks + Scene.blocks.blocks, unknown: nil))
        #expect(two.notes == ["2 blocks are in force"])
    }

    @Test func lostBlocksAreTheGravest() {
        let lost = BlockListing(blocks: [], unknown: "corrupt")
        let withOthers = judge(blocks: lost) { $0[2].liveness = .dead }
        #expect(withOthers.verdict == .degraded, "the others serve")
        #expect(
            withOthers.reasons.first?.hasPrefix(
                "node fra-1 refuses every request: it does not know what is blocked (corrupt)") == true)
        #expect(withOthers.reasons.count == 2)
        let alone = judge(here: status { $0.blocksUnknown = "corrupt" }) { $0.removeLast(2) }
        #expect(alone.verdict == .unavailable && alone.reasons.count == 2)
    }

    @Test func keysAreCountedAndNotNamed() {
        let here = status { status in
            status.keys = [
                KeyStatus(label: "SECRET", canaryBy: nil, disputed: "SECRET", cells: ["nshield-a": .different]),
                KeyStatus(label: "SECRET", canaryBy: nil, cells: ["nshield-a": .absent]),
                KeyStatus(label: "SECRET", canaryBy: nil, cells: ["nshield-a": .proven]),
            ]
            status.disagreements = ["SECRET", "SECRET"]
        }
        let result = judge(here: here) { $0[1].unservedKeys = ["SECRET", "SECRET"] }
        #expect(result.verdict == .degraded)
        #expect(
            result.reasons == [
                "1 key is refused on node fra-1, because HSMs hold different keys under one label: `claviger status` "
                    + "names them, `claviger key trust` decides",
                "node fra-1 and others hold different keys under 2 labels: `claviger status` names the keys and the "
                    + "nodes",
                "2 keys are offered by node fra-2 (site fra) and not served by its HSMs",
                "hsm nshield-a of node fra-1 lacks 1 key that it should serve",
            ])
    }

    @Test func aStoreThatFailsIsSaid() {
        let result = judge(here: status { $0.store = .failing(reason: "the disk is full") })
        #expect(result.verdict == .degraded)
        #expect(result.reasons == ["the store of node fra-1 cannot be written: the disk is full"])
    }

    @Test func theListHasABound() {
        let result = judge { nodes in
            nodes += (0..<100).map { number in Scene.node("gone-\(number)") { $0.liveness = .dead } }
            nodes += (0..<30).map { number in Scene.node("odd-\(number)") { $0.drift = ["configuration"] } }
        }
        #expect(result.reasons.count == 41 && result.reasons.last == "61 further things are wrong")
        let odd = judge { nodes in
            nodes += (0..<30).map { number in Scene.node("odd-\(number)") { $0.drift = ["configuration"] } }
        }
        #expect(odd.reasons.first?.contains("odd-9 and 20 more differs") == true)
    }

    @Test(
        arguments: [
            (-5, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days"), (.max, "0 s"),
        ] as [(Int64, String)])
    func agesAreTold(seconds: Int64, age: String) {
        let result = judge { nodes in
            nodes[2].liveness = .dead
            nodes[2].sinceUnixSeconds = seconds == .max ? .min : Scene.now - seconds
        }
        #expect(result.reasons == ["node iad-1 (site iad) is dead, for \(age)"])
    }

    // Each was known to its own node only: a node with a full disk said DEGRADED, and every other one ACTIVE.
    @Test func whatANodeReportsOfItselfIsSaidByAll() {
        let told: [Condition] = [
            Condition(.blocksUnknown, of: "iad-1", "", "node iad-1 refuses every request"),
            Condition(
                .keyDifferent, of: "iad-1", "hsm b", "hsm b of node iad-1 holds another key", details: ["SECRET"]),
            Condition(.storeFailing, of: "iad-1", "", "the store of node iad-1 cannot be written: full"),
        ]
        for condition in told {
            let result = judge { $0[2].conditions = [condition] }
            #expect(result.verdict == .degraded && result.reasons == [condition.text])
            #expect(result.conditions.map(\.node) == ["iad-1"] && result.conditions[0].details == condition.details)
        }
        let all = judge { nodes in
            for index in nodes.indices { nodes[index].conditions = [told[0]] }
            nodes.remove(at: 0)
        }
        #expect(all.verdict == .unavailable, "no node that knows what is blocked has an HSM that serves")
    }

    @Test func whatADeadNodeSaidIsNoNews() {
        let result = judge { nodes in
            nodes[2].liveness = .dead
            nodes[2].conditions = [Condition(.storeFailing, of: "iad-1", "", "full")]
        }
        #expect(result.conditions.map(\.known) == [.nodeDead])
    }

    @Test func aPeerSpeaksForItselfOnly() {
        let result = judge { $0[1].conditions = [Condition(.storeFailing, of: "fra-1", "", "full")] }
        #expect(result.conditions.map(\.node) == ["fra-2"])
    }

    @Test func conditionsOfALaterVersionAreShown() {
        let later = Condition(code: "something-new", severity: .warning, node: "fra-2", text: "the moon is full")
        let result = judge { nodes in
            nodes[1].conditions = [later]
            nodes[2].liveness = .dead
        }
        #expect(result.conditions.map(\.code) == ["node-dead", "something-new"] && result.verdict == .degraded)
    }

    @Test func healthIsReadBackAsItWasWritten() throws {
        var here = status { $0.keys = [KeyStatus(label: "SECRET", canaryBy: nil, disputed: "SECRET", cells: [:])] }
        here.store = .failing(reason: "full")
        let health = ClusterHealth(
            here: here, isClustered: true, nodes: [Scene.node("fra-1"), Scene.node("iad-1")], blocks: Scene.blocks,
            asOfUnixSeconds: Scene.now)
        let data = try JSONEncoder().encode(health)
        #expect(try JSONDecoder().decode(ClusterHealth.self, from: data) == health)
        let shown = health.withoutNames
        #expect(shown.withoutNames == shown)
        #expect(!String(decoding: try JSONEncoder().encode(shown), as: UTF8.self).contains("SECRET"))
    }
}
