// SPDX-License-Identifier: Apache-2.0
import Gossip
import KeyProof
import LaneProtocol
import Testing

/// Each is the smallest input of something that went wrong once, in the whole node: a comment says what was seen.
@Suite("Whole nodes under trouble that was met before")
struct KnownTroubleTests {
    // MARK: Ciphertext

    // With one opening of the canary and one more refusal, in turn on one lane, as enough: InvalidCiphertextException from
    // the first request on.
    @Test("good ciphertext is not invalid where HSMs refuse every second call", arguments: [2, 3])
    func busyHSMs(tokens: Int) throws {
        let trial = Trial(nodes: 1, tokensEach: tokens)
        trial.encrypt("alpha", at: 0, 14, 15, every: 0.05)
        trial.tokens(Array(0..<tokens), have: .answers(.functionFailed, every: 2), 16, 40)
        let answers = trial.decrypt("alpha", at: 0, 17, 37, every: 0.1)
        try trial.run()
        #expect(answers.asked == 200 && answers.count(of: 200) > 100, "\(answers.count(of: 200))")
    }

    // With an HSM believed though it does not open the key's canary: InvalidCiphertextException from the first request on.
    @Test("good ciphertext is not invalid while all HSMs are sick")
    func sickHSMs() throws {
        let trial = Trial(nodes: 1)
        trial.encrypt("alpha", at: 0, 14, 15, every: 0.05)
        trial.tokens([0, 1], have: .answers(.generalError, every: 1), 20, 23)
        let sick = trial.decrypt("alpha", at: 0, 20, 23, every: 0.015)
        let well = trial.decrypt("alpha", at: 0, 30, 31, every: 0.1)
        try trial.run()
        #expect(sick.count(of: 200) == 0 && sick.all.count == sick.asked)
        #expect(well.count(of: 200) == 10)
    }

    // MARK: Which key it is

    // With canaries of peers that are not compared: each encrypts under its own key to the end.
    @Test("of two nodes that hold different keys one encrypts", arguments: [0.0, 14])
    func twoKeys(apartUntil: Double) throws {
        let trial = Trial(nodes: 2)
        trial.trouble(.foreignNode, 1, 0, 0)
        if apartUntil > 0 { trial.trouble(.nodeCutOff, 1, 0, apartUntil) }
        let answers = [0, 1].map { trial.encrypt("alpha", at: $0, 13, 55, every: 0.3) }
        for node in [0, 1] { trial.decrypt("alpha", at: node, 30, 55, every: 0.1) }
        try trial.run()
        #expect(answers.contains { $0.count(of: 200) == $0.asked })
    }

    // With attributes that are not compared; and where they cannot be read, without routine checks of keys that are used:
    // what that HSM encrypts is under the wrong key to the end.
    @Test("a key that is made anew under the same handle and label is noticed", arguments: [false, true])
    func exchangedValue(hidesAttributes: Bool) throws {
        let trial = Trial()
        trial.plan.length = 150 * Plan.second
        trial.trouble(.swapped, 0, 20, 140, degree: 0.2)
        trial.at(0) { world in for token in world.tokens { token.hidesAttributes = hidesAttributes } }
        // Then only the canary tells, which is opened every minute.
        let minute = ProofLimits().usedRecheck
        if hidesAttributes { trial.at(20.001) { $0.swappedAt["alpha"]? += minute } }
        trial.encrypt("alpha", at: 0, 15, 139, every: 0.2)
        try trial.run()
    }

    // With the older of two orders before the later one: the second order is undone.
    @Test("of two orders on a key the later one counts, at all nodes")
    func secondOrder() throws {
        let trial = Trial(nodes: 2, sharing: true)
        trial.foreignKey("alpha", on: [1])
        for (seconds, hsm) in [(20.0, 0), (40.0, 1)] {
            trial.at(seconds) { world in
                world.nodes[0].step { proof, now in
                    (try? proof.trust(KeyLabel("alpha"), hsm: hsm, now: now).get()) ?? ProofActions()
                }
            }
        }
        for node in [0, 1] {
            let first = trial.encrypt("alpha", at: node, 28, 30, every: 0.2)
            let second = trial.encrypt("alpha", at: node, 52, 54, every: 0.2)
            trial.at(36) { world in
                #expect(first.count(of: 200) == 10, "node \(node)")
                #expect(world.lastEncryptions["alpha"]?[node]?.value == world.values["alpha"], "node \(node)")
            }
            trial.at(58) { world in
                #expect(second.count(of: 200) == 10, "node \(node)")
                #expect(world.lastEncryptions["alpha"]?[node]?.value == world.foreign["alpha"], "node \(node)")
            }
        }
        try trial.run()
    }

    // With a young canary that decides as an old one does: the HSM that was there first decides against two.
    @Test("an HSM that comes up long before two others does not decide against them")
    func firstSight() throws {
        let trial = Trial(nodes: 1, tokensEach: 3)
        trial.foreignKey("alpha", on: [0])
        trial.tokens([1, 2], have: .logsIn(after: 17_000_000_000), 0, 18)
        let answers = trial.encrypt("alpha", at: 0, 32, 50, every: 0.5)
        try trial.run()
        #expect(answers.asked > 0 && answers.count(of: 200) == 0)
    }

    // With what no HSM lists called absent: KeyNotFoundException for a key that the cluster has proven.
    @Test("a proven key is not absent while the node that holds it has lost its HSMs")
    func siteIsOut() throws {
        let trial = Trial(nodes: 2)
        trial.at(0) { world in
            world.checks.taint("alpha")
            for token in [2, 3] { world.tokens[token].remove(KeyLabel("alpha")) }
        }
        for token in [0, 1] { trial.trouble(.tokenGone, token, 20, 45) }
        let before = [0, 1].map { trial.encrypt("alpha", at: $0, 15, 19, every: 0.5) }
        let answers = [0, 1].map { trial.encrypt("alpha", at: $0, 20.5, 44, every: 0.5) }
        try trial.run()
        #expect(before.allSatisfy { $0.count(of: 200) == $0.asked })
        #expect(answers.allSatisfy { $0.all.count == $0.asked && $0.count(of: 404) == 0 })
    }

    // With what no HSM lists called absent: KeyNotFoundException, for all keys at the node that never held them, and at the
    // other, which asks it, for those from the 33rd on.
    @Test("no key is absent of more than a node can name that are served nowhere")
    func manyKeysServedNowhere() throws {
        let trial = Trial(nodes: 2, tokensEach: 1)
        trial.plan.moreLabels = Self.manyLabels
        trial.at(0) { world in
            for label in Self.manyLabels { world.checks.taint(label) }
            world.remove(Self.manyLabels, from: [1])
        }
        trial.trouble(.tokenGone, 0, 25, 45)
        let before = Self.manyLabels.map { trial.encrypt($0, at: 1, 20, 21, every: 1) }
        let answers = [0, 1].flatMap { node in
            Self.manyLabels.map { trial.encrypt($0, at: node, 32, 33, every: 1) }
        }
        try trial.run()
        #expect(before.allSatisfy { $0.count(of: 200) == 1 })
        #expect(answers.allSatisfy { $0.count(of: 500) == 1 }, "\(answers.count { $0.count(of: 404) == 1 })")
    }

    // With the keys alone that a node names: for the eight from the 33rd on the nearer node is asked, which cannot serve
    // them, and no time is left for the one that can.
    @Test("a node tells of all keys that it cannot serve, however many they are")
    func manyUnservedKeys() throws {
        let trial = Trial(nodes: 3, tokensEach: 1)
        // There and back is more than half of a request's time. Nodes 0 and 2 are of one site.
        trial.plan.linkLatency = 60_000_000
        trial.plan.moreLabels = Self.manyLabels
        trial.at(0) { $0.remove(Self.manyLabels, from: [2]) }
        trial.trouble(.tokenGone, 0, 25, 45)
        let answers = Self.manyLabels.map { trial.encrypt($0, at: 0, 32, 33, every: 1) }
        trial.at(33) { world in
            let facts = world.nodes[0].members.first { $0.identity.name == "node-2" }?.facts
            #expect(facts?.unservedCount == 40 && facts?.unservedKeys.count == NodeFacts.mostUnservedKeys)
        }
        try trial.run()
        #expect(answers.allSatisfy { $0.count(of: 200) == 1 }, "\(answers.count { $0.count(of: 200) == 1 })")
    }

    /// More than a node names one by one.
    private static let manyLabels = (10..<50).map { "key-\($0)" }

    // With the usage left out of who may encrypt: 46 of 100 encryptions are InvalidKeyUsageException.
    @Test("one copy of a key that may not encrypt keeps no other from it")
    func oneCopyMayNotEncrypt() throws {
        let trial = Trial(nodes: 1)
        trial.at(0) { $0.tokens[0].allow(.decrypt, of: KeyLabel("alpha")) }
        let encryptions = trial.encrypt("alpha", at: 0, 20, 30, every: 0.1)
        let decryptions = trial.decrypt("alpha", at: 0, 30, 40, every: 0.1)
        try trial.run()
        #expect(encryptions.count(of: 200) == encryptions.asked)
        #expect(decryptions.count(of: 200) == decryptions.asked)
    }
}
