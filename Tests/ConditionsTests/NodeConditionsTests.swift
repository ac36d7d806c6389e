// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Conditions
import Foundation
import StatusVocabulary
import Testing

@Suite struct NodeConditionsTests {
    private func node(_ change: (inout NodeStatus) -> Void) -> NodeStatus {
        var status = NodeStatus(
            node: "n", version: "1", draining: false, hsms: [hsm(.active, "x"), hsm(.active, "y")],
            keys: [KeyStatus(label: "a", canaryBy: "x", cells: ["x": .proven, "y": .unproven])])
        change(&status)
        return status.judged()
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

    @Test func anAuditLogThatIsNotWrittenOrNotSignedIsToBeMended() {
        func texts(_ audit: AuditStatus) -> [String] {
            node { $0.audit = audit }.conditions.filter { $0.code == "audit-failing" }.map {
                "\($0.severity.rawValue): \($0.text)"
            }
        }
        #expect(texts(AuditStatus(directory: "/d")).isEmpty)
        #expect(
            texts(AuditStatus(trouble: "full", unsigned: "no key", directory: "/d"))
                == ["warning: the audit log of node n is not written: full"])
        #expect(
            texts(AuditStatus(unsigned: "no key", directory: "/d"))
                == ["warning: the audit log of node n is not signed: no key"])
        #expect(
            texts(AuditStatus(trouble: "full", refusing: true, directory: "/d"))
                == ["critical: the audit log of node n is not written: full; requests are refused"])
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

    @Test func eachHasItsCodeAndItsSubject() {
        func codes(_ change: (inout NodeStatus) -> Void) -> [String] {
            node(change).conditions.map { $0.subject.isEmpty ? $0.code : "\($0.code) \($0.subject)" }
        }
        #expect(codes { _ in } == [])
        #expect(codes { $0.hsms[1].state = .unavailable } == ["hsm-unavailable hsm y"])
        #expect(codes { $0.hsms[1].state = .probing } == ["hsm-probing hsm y"])
        #expect(codes { $0.hsms[1].state = .starting } == ["hsm-starting hsm y"])
        #expect(codes { $0.hsms[1].state = .degraded } == ["hsm-degraded hsm y"])
        #expect(codes { $0.hsms[1].drained = true } == ["hsm-drained hsm y"])
        #expect(codes { $0.overload = "more is asked" } == ["overloaded"])
        #expect(codes { $0.blocksUnknown = "lost" } == ["blocks-unknown"])
        #expect(codes { $0.store = .failing(reason: "full") } == ["store-failing"])
        #expect(codes { $0.disagreements = ["k: differs"] } == ["key-contested"])
        #expect(codes { $0.keys = [key(["y": .absent])] } == ["key-absent hsm y"])
        #expect(codes { $0.keys = [key(["y": .different])] } == ["key-different hsm y"])
        #expect(codes { $0.keys = [key([:], disputed: "x and y differ")] } == ["key-disputed"])
        let odd = KeyStatus(label: "k", canaryBy: nil, complaints: ["two keys"], cells: ["x": .proven])
        #expect(codes { $0.keys = [odd] } == ["key-odd"])
        #expect(codes { $0.hsms[1].complaints = ["\"a b\" can be no external key id"] } == ["key-odd hsm y"])
        #expect(node { $0.hsms[1].complaints = ["\"a b\" can be no external key id"] }.verdict == .active)
        let compartment = Compartment(mode: .strict, missing: ["all system calls are open to it"])
        #expect(codes { $0.hsms[0].compartment = compartment } == ["library-not-confined hsm x"])
        #expect(codes { for index in 0...1 { $0.hsms[index].serial = "7" } } == ["hsm-twice hsm x"])
        #expect(codes { for index in 0...1 { $0.hsms[index].serial = "" } } == [])
        #expect(codes { $0.hsms[1].settingsRefused = "the PIN" } == ["hsm-settings-refused hsm y"])
        let none = node { status in for index in status.hsms.indices { status.hsms[index].state = .unavailable } }
        #expect(none.conditions.map(\.code) == ["no-hsm-serves", "hsm-unavailable", "hsm-unavailable"])
        #expect(node { _ in }.judged(NodeCircumstances(unservedKeys: ["k"])).conditions.map(\.code) == ["key-unserved"])
    }

    // It was DEGRADED and ready, and every request failed.
    @Test func aNodeThatServesNoneOfItsKeysServesNothing() {
        let unserved = NodeCircumstances(unservedKeys: ["a", "k"])
        let alone = node { $0.keys.append(key(["x": .absent, "y": .absent])) }.judged(unserved)
        #expect(alone.conditions.first?.code == "no-key-served" && alone.conditions.first?.details == ["a", "k"])
        #expect(alone.verdict == .unavailable && !alone.isReady)
        // Another node can serve, but none of these keys.
        #expect(node { $0.canForward = true }.judged(unserved).verdict == .unavailable)
        let served = NodeCircumstances(unservedKeys: ["a", "k"], areServedElsewhere: true)
        let passing = node { $0.canForward = true }.judged(served)
        #expect(passing.conditions.map(\.code) == ["no-key-served"] && passing.verdict == .degraded && passing.isReady)
        // Without an HSM that serves there is no second thing to say.
        let none = node { for index in 0...1 { $0.hsms[index].drained = true } }.judged(unserved)
        #expect(!none.conditions.contains { $0.code == "no-key-served" })
        #expect(
            Condition.codesThatStop == Set([ConditionCode.blocksUnknown, .noKeyServed, .hsmsTooSlow].map(\.rawValue)))
    }

    // It was ACTIVE until a request came, and timed out.
    @Test func aNodeWhoseHSMsAreAllTooSlowServesNothing() {
        func slow(_ hsms: [Int], _ change: (inout NodeStatus) -> Void = { _ in }) -> NodeStatus {
            node { status in
                for index in hsms {
                    (status.hsms[index].state, status.hsms[index].missesDeadline) = (.degraded, true)
                }
                change(&status)
            }
        }
        #expect(slow([1]).conditions.map(\.code) == ["hsm-degraded"], "the other one is fast enough")
        let all = slow([0, 1])
        #expect(all.conditions.first?.code == "hsms-too-slow" && all.verdict == .unavailable)
        #expect(all.conditions.first?.text.contains("x and y") == true)
        #expect(slow([1]) { $0.hsms[0].drained = true }.conditions.contains { $0.code == "hsms-too-slow" })
        let passing = slow([0, 1]) { $0.canForward = true }
        #expect(passing.conditions.first?.code == "hsms-too-slow" && passing.verdict == .degraded)
    }

    // Only `check` said so.
    @Test func keysThatMayDoNothingAreTold() {
        let forbidden = KeyStatus(label: "k", canaryBy: nil, mayDoNothing: true, cells: ["x": .unprovable])
        let status = node { $0.keys.append(forbidden) }
        let condition = status.conditions.first
        #expect(condition?.code == "key-odd" && condition?.subject == "usage" && status.verdict == .active)
        #expect(condition?.details == ["k: CKA_ENCRYPT and CKA_DECRYPT are false on every HSM that lists it"])
    }

    // GetHealthStatus of the key store was ACTIVE, and each of its requests failed.
    @Test func aKeyStoreIsServedByItsOwnHSMsOnly() {
        let gaps = [KeyStoreGap(keyStore: "/q", hsms: ["y"], labels: ["a"])]
        let status = node { _ in }.judged(NodeCircumstances(keyStoreGaps: gaps))
        #expect(status.conditions.map(\.code) == ["key-store-unserved"] && status.verdict == .degraded)
        #expect(status.conditions.first?.subject == "key store /q" && status.conditions.first?.details == ["a"])
    }

    // It was told since when the HSM is active.
    @Test func aDrainedHSMIsToldSinceItWasDrained() {
        let drained = node { status in
            status.hsms[1].drained = true
            status.hsms[1].drainedSinceUnixSeconds = 1_700_000_900
        }
        #expect(drained.conditions.map(\.sinceUnixSeconds) == [1_700_000_900])
        #expect(node { $0.hsms[1].state = .probing }.conditions.map(\.sinceUnixSeconds) == [1_700_000_000])
    }

    @Test func whatANodeKnowsBesidesIsSaid() {
        func codes(_ circumstances: NodeCircumstances) -> [String] {
            node { _ in }.judged(circumstances).conditions.map { "\($0.code) \($0.subject)" }
        }
        #expect(codes(NodeCircumstances(adminSocket: "it was removed")) == ["admin-socket-closed "])
        #expect(codes(NodeCircumstances(adminGroup: "there is none")) == ["admin-socket-closed admin_group"])
        #expect(
            codes(NodeCircumstances(seeds: ["a:1": "x", "b:1": "y"])) == [
                "seed-unreachable seed a:1", "seed-unreachable seed b:1",
            ])
        let flaws = [false, true].map { CertificateFlaw(setting: "cluster.certificate", text: "ends", isFatal: $0) }
        #expect(
            codes(NodeCircumstances(certificates: flaws)) == [
                "certificate-invalid cluster.certificate", "certificate-ending cluster.certificate",
            ])
    }

    @Test func keysAreNamedInDetailsOnly() {
        let status = node { status in
            status.keys = (0..<1_000).map { KeyStatus(label: "SECRET-\($0)", canaryBy: nil, cells: ["y": .absent]) }
        }
        #expect(status.conditions.map(\.text) == ["hsm y of node n lacks 1000 keys that it should serve"])
        #expect(status.conditions[0].details?.count == Condition.mostDetails)
        #expect(status.conditions[0].details?.first == "SECRET-0" && status.conditions[0].withoutNames.details == nil)
    }

    @Test func whatALibraryIsNotKeptFromDegradesNothing() {
        let status = node { $0.hsms[0].compartment = Compartment(mode: .strict, missing: ["no Landlock"]) }
        #expect(status.verdict == .active && status.conditions.map(\.severity) == [.note])
    }

    // A node of an earlier version reports its verdict and no conditions.
    @Test func theVerdictOfAnEarlierVersionIsKept() throws {
        for verdict in ["ACTIVE", "DEGRADED", "UNAVAILABLE"] {
            let whole = AdminStatus(status: node { _ in }, transitions: [], asOfUnixSeconds: 7)
            var object = try #require(
                try JSONSerialization.jsonObject(with: JSONEncoder().encode(whole)) as? [String: Any])
            object["conditions"] = nil
            object["verdict"] = verdict
            let read = try JSONDecoder().decode(
                AdminStatus.self, from: JSONSerialization.data(withJSONObject: object))
            #expect(read.verdict.rawValue == verdict)
        }
    }

    @Test func aStatusIsReadBackAsItWasWritten() throws {
        let transitions = (0..<60).map { number in
            HSMTransition(
                atUnixSeconds: Int64(number), hsm: "x", from: .probing, to: .unavailable,
                reason: number == 0 ? nil : "why")
        }
        for store in [StoreStatus.ok, .failing(reason: "full")] {
            let status = node { status in
                status.store = store
                status.keys.append(key(["x": .different, "y": .absent], disputed: "x and y differ"))
                status.canForward = store == .ok
                status.disagreements = ["k: y holds another key"]
            }
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
