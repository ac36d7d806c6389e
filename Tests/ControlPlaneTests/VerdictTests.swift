// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Foundation
import StatusVocabulary
import Testing

@Suite struct VerdictTests {
    private func node(_ change: (inout NodeStatus) -> Void) -> NodeStatus {
        var status = NodeStatus(
            node: "n", version: "1", draining: false, hsms: [hsm(.active), hsm(.active)],
            keys: [KeyStatus(label: "a", canaryBy: "x", cells: ["x": .proven, "y": .unproven])])
        change(&status)
        return status
    }

    private func key(_ cells: [String: KeyState], disputed: String? = nil) -> KeyStatus {
        KeyStatus(label: "k", canaryBy: nil, disputed: disputed, cells: cells)
    }

    @Test func somebodyMustLookAtWhatIsNotWhole() {
        #expect(node { _ in }.verdict == .active)
        #expect(node { $0.store = .failing(reason: "full") }.verdict == .degraded)
        #expect(node { $0.hsms[1].drained = true }.verdict == .degraded)
        #expect(node { $0.hsms[1].state = .probing }.verdict == .degraded)
        #expect(node { $0.keys.append(key(["x": .proven, "y": .absent])) }.verdict == .degraded)
        #expect(node { $0.keys.append(key(["x": .proven, "y": .different])) }.verdict == .degraded)
        // What the key's owner has forbidden nobody has to mend on an HSM.
        #expect(node { $0.keys.append(key(["x": .unprovable, "y": .unprovable])) }.verdict == .active)
        #expect(node { $0.keys.append(key(["x": .unproven], disputed: "x and y differ")) }.verdict == .degraded)
    }

    @Test func withoutAnHSMThatServesThereIsNothing() {
        let drained = node { status in for index in status.hsms.indices { status.hsms[index].drained = true } }
        #expect(drained.verdict == .unavailable && !drained.isReady)
        let probing = node { status in for index in status.hsms.indices { status.hsms[index].state = .probing } }
        #expect(probing.verdict == .unavailable && !probing.isReady)
        let forwarding = node { status in
            for index in status.hsms.indices { status.hsms[index].state = .unavailable }
            status.canForward = true
        }
        #expect(forwarding.verdict == .degraded && forwarding.isReady)
        #expect(node { $0.canForward = true }.verdict == .active, "an ability that is not needed")
        let half = node { $0.hsms[0].drained = true }
        #expect(half.isReady)
    }

    @Test func whoHasLostTheBlocksServesNothing() {
        let lost = node { status in
            status.blocksUnknown = "the store was lost"
            status.canForward = true
        }
        #expect(lost.verdict == .unavailable && !lost.isReady)
    }

    @Test func whatOtherNodesProveOtherwiseIsToBeLookedAt() {
        let status = node { $0.disagreements = ["k: fra-1 and iad-1 hold different keys"] }
        #expect(status.verdict == .degraded && status.isReady)
    }

    @Test func keysAreCounted() {
        let status = node { status in
            status.keys = [
                key(["x": .proven, "y": .proven]), key(["x": .unprovable]), key(["x": .unproven]),
                key(["x": .proven, "y": .different]), key(["x": .absent]), key([:]),
                key(["x": .proven], disputed: "differs"),
            ]
        }
        #expect(status.keysServed == 2 && status.keysExcluded == 3)
    }

    @Test func aStatusIsReadBackAsItWasWritten() throws {
        let transitions = (0..<60).map { number in
            HSMTransition(
                atUnixSeconds: Int64(number), hsm: "x", from: .probing, to: .unavailable,
                reason: number == 0 ? nil : "why")
        }
        for store in [StoreStatus.ok, .failing(reason: "full")] {
            var status = node { $0.store = store }
            status.keys.append(key(["x": .different, "y": .absent], disputed: "x and y differ"))
            status.canForward = store == .ok
            status.disagreements = ["k: y holds another key"]
            let whole = AdminStatus(status: status, transitions: transitions, asOfUnixSeconds: 7)
            #expect(whole.transitions.count == 50)
            let data = try JSONEncoder().encode(whole)
            #expect(try JSONDecoder().decode(AdminStatus.self, from: data) == whole)
            let object = try #require(try JSONSerialization.jsonObject(with: data) as? NSDictionary)
            #expect(object["verdict"] as? String == "DEGRADED" && object["node"] as? String == "n")
        }
        let lost = AdminStatus(
            status: node { $0.blocksUnknown = "lost" }, transitions: [], asOfUnixSeconds: 7)
        let reported = try JSONDecoder().decode(AdminStatus.self, from: try JSONEncoder().encode(lost))
        #expect(reported == lost && reported.verdict == .unavailable)
        let ended = AdminStatus(status: node { _ in }, transitions: [], running: false, asOfUnixSeconds: 7)
        #expect(ended.verdict == .unavailable)
    }
}
