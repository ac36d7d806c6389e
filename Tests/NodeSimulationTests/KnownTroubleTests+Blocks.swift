// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip
import Testing

// Break glass.
extension KnownTroubleTests {
    // With a list that keeps what it was when its file could not be read: everything is refused for ever; and after an
    // operator's word that there is no more, the block on the disk is not enforced.
    @Test("a list of blocks that can be read only late is in force from then on", arguments: [false, true])
    func lateList(isConfirmed: Bool) throws {
        let trial = Trial()
        trial.plan.blockAt = 10 * Plan.second
        trial.trouble(.nodeCutOff, 2, 18, 58)
        trial.trouble(.storeUnreadable, 2, 20, 30)
        if isConfirmed {
            trial.at(25) { world in _ = world.nodes[2].register.confirm(unixSeconds: world.wall) }
        }
        let early = trial.encrypt("beta", at: 2, 21, 24, every: 0.2)
        let free = trial.encrypt("beta", at: 2, 36, 50, every: 0.2)
        let blocked = trial.encrypt("alpha", at: 2, 36, 50, every: 0.2)
        try trial.run()
        #expect(early.asked > 0 && early.count(of: 200) == 0)
        #expect(free.count(of: 200) == free.asked)
        #expect(blocked.all.count == blocked.asked && blocked.count(of: 200) == 0)
    }

    // With a database that counts as hidden where it cannot be opened: all nodes refuse everything as long as their disks
    // are full, and none can ask another.
    @Test("a list of blocks on a full disk is read, and in force from the start on")
    func fullDisk() throws {
        let trial = Trial()
        trial.plan.blockAt = 10 * Plan.second
        for node in 0..<3 { trial.trouble(.storeFull, node, 20, 40) }
        trial.at(30) { world in
            let node = world.nodes[2]
            #expect(node.blocks.knowledge == .known)
            #expect(node.block("beta", id: String(repeating: "c", count: 32)) {})
            world.checks.taint("beta")
        }
        let questions: [(String, Double, Double)] = [("beta", 29, 29.9), ("alpha", 22, 58), ("beta", 31, 58)]
        let answers = questions.map { trial.encrypt($0.0, at: 2, $0.1, $0.2, every: 0.1) }
        trial.at(39) { #expect($0.nodes[2].store.disk.blocks?.list.blocks.count == 1) }
        trial.at(45) { world in
            #expect(world.nodes.allSatisfy { $0.store.disk.blocks?.list.blocks.count == 2 })
        }
        try trial.run()
        #expect(answers[0].count(of: 200) == answers[0].asked)
        for answers in answers.dropFirst() {
            #expect(answers.all.count == answers.asked && answers.count(of: 200) == 0)
        }
    }

    // With a directory without a list as one that hides whether there was one: a node without a cluster refuses everything
    // to the end, though there is room again, and one of a cluster has lost a list that it never had.
    @Test("a new node on a full disk has not lost a list", arguments: [1, 3])
    func newNodeOnFullDisk(nodes: Int) throws {
        let trial = Trial(nodes: nodes)
        let newest = nodes - 1
        trial.plan.isClustered = nodes > 1
        trial.plan.blockAt = nodes > 1 ? 10 * Plan.second : nil
        trial.at(1e-9) { world in
            world.nodes[newest].kill()
            world.nodes[newest].store.replace(with: DiskImage())
        }
        // Nobody gives the order that begins a cluster's list.
        trial.at(2) { $0.nodes[newest].bootstrapAt = nil }
        trial.trouble(.storeFull, newest, 20, 40)
        trial.at(20.001) { world in
            #expect(world.nodes[newest].blocks.knowledge == (nodes > 1 ? .none : .known))
        }
        let free = trial.encrypt("beta", at: newest, 34, 58, every: 0.2)
        let blocked = trial.encrypt("alpha", at: newest, 34, 58, every: 0.2)
        trial.at(45) { world in
            #expect(world.nodes[newest].store.disk.blocks?.list.knowledge == .known)
        }
        try trial.run()
        #expect(free.count(of: 200) == free.asked)
        #expect(blocked.all.count == blocked.asked && blocked.count(of: 200) == (nodes > 1 ? 0 : blocked.asked))
    }

    // With any peer's list as a whole one: within seconds both serve the blocked key.
    @Test("a node that has no list of blocks cannot say that a lost one is whole")
    func newcomer() throws {
        let trial = Trial(nodes: 2)
        trial.plan.blockAt = 10 * Plan.second
        trial.at(1e-9) { $0.nodes[1].kill() }
        trial.trouble(.storeLost, 0, 20, 21, degree: 0.2)
        trial.at(30) { world in
            world.nodes[1].bootstrapAt = nil
            world.nodes[1].store.replace(with: DiskImage())
            world.nodes[1].start()
        }
        let before = trial.encrypt("alpha", at: 0, 12, 19, every: 0.5)
        let answers = trial.encrypt("alpha", at: 0, 22, 58, every: 0.5)
        let others = trial.encrypt("alpha", at: 1, 31, 58, every: 0.5)
        try trial.run()
        for answers in [before, answers, others] {
            #expect(answers.all.count == answers.asked && answers.count(of: 200) == 0)
        }
    }

    // With a list that begins empty, as without a cluster: all that was blocked is served.
    @Test("a node with an empty disk, cut off from its peers, serves nothing")
    func emptyDisk() throws {
        let trial = Trial()
        trial.plan.blockAt = 10 * Plan.second
        trial.trouble(.nodeCutOff, 2, 18, 50)
        trial.trouble(.storeLost, 2, 20, 22, degree: 0.9)
        let answers = trial.encrypt("alpha", at: 2, 23, 49, every: 0.2)
        try trial.run()
        #expect(answers.all.count == answers.asked && answers.count(of: 200) == 0)
    }

    // With the moment of the end in place of the time that is left: a node whose clock is ahead serves at once.
    @Test("a block with a duration lasts as long where the clock is ahead", arguments: [240, -240])
    func clockIsAhead(seconds: Int64) throws {
        let trial = Trial()
        trial.plan.length = 260 * Plan.second
        trial.at(9) { $0.nodes[1].clockError = seconds }
        trial.at(20) { world in
            world.checks.taint("alpha")
            #expect(
                world.nodes[0].block("alpha", id: String(repeating: "c", count: 32), seconds: 180) {})
        }
        let during = (0..<3).map { trial.encrypt("alpha", at: $0, 24, 198, every: 2) }
        let after = (0..<3).map { trial.encrypt("alpha", at: $0, 206, 250, every: 2) }
        try trial.run()
        #expect(during.allSatisfy { $0.all.count == $0.asked && $0.count(of: 200) == 0 })
        #expect(after.allSatisfy { $0.count(of: 200) == $0.asked })
    }

    // With the word of any node on another's end: orders do not wait for a node that serves.
    @Test("a node of which another says that it has left is waited for with orders")
    func saidToHaveLeft() throws {
        let trial = Trial()
        trial.plan.blockAt = 25 * Plan.second
        for second in 15..<40 {
            trial.at(Double(second)) { world in
                let (thief, victim) = (world.nodes[1], world.nodes[2])
                var identity = victim.gossip.identity
                identity.incarnation = 1 << 53
                let message = GossipMessage(
                    kind: .ping, sender: thief.gossip.identity, receiver: "node-0",
                    sequence: 1 << 40 + UInt64(second), facts: thief.gossip.facts,
                    updates: [MemberUpdate(identity: identity, liveness: .left)])
                world.nodes[0].schedule(at: world.now) { $0.received(message, from: thief.name) { _ in } }
            }
            trial.at(Double(second) + 0.5) { world in
                let member = world.nodes[0].members.first { $0.identity.name == "node-2" }
                #expect(member?.isAwaited == true)
            }
        }
        let answers = trial.encrypt("alpha", at: 2, 27, 58, every: 0.5)
        try trial.run()
        #expect(answers.all.count == answers.asked && answers.count(of: 200) == 0)
    }
}
