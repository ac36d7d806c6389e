// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Routing
import Testing

// Requests that an HSM could do, and nodes that stand still or come back.
extension KnownTroubleTests {
    // With five times the last start as patience for ever: each new worker is killed before it is up, to the end.
    @Test("workers whose logins have become slow come back")
    func slowLogins() throws {
        let trial = Trial()
        trial.tokens([0, 1], have: .logsIn(after: 7_000_000_000), 10, 60)
        trial.trouble(.workersKilled, 0, 12, 12)
        trial.at(50) { world in
            let node = world.nodes[0]
            let states = node.pool.statuses(now: node.now, unixSeconds: node.wall).map(\.shown.state)
            #expect(states == [.active, .active])
        }
        try trial.run()
    }

    // With requests that keep their whole time here: 394 of 500 fail.
    @Test("while all HSMs of a node hang, a peer is asked in time")
    func hangingHSMs() throws {
        let trial = Trial()
        for token in [0, 1] { trial.trouble(.hang, token, 20, 30) }
        let answers = trial.encrypt("alpha", at: 0, 19, 24, every: 0.01)
        try trial.run()
        #expect(answers.count(of: 200) == answers.asked)
    }

    // With nobody who waits for workers on their way back: the ten requests of that time are refused at once.
    @Test("requests wait for workers that all ended in one moment", arguments: [1, 2])
    func allWorkersEnd(tokens: Int) throws {
        let trial = Trial(nodes: 1, tokensEach: tokens)
        trial.tokens(Array(0..<tokens), have: .logsIn(after: 20_000_000), 0, 60)
        trial.trouble(.workersKilled, 0, 20, 20)
        let answers = trial.encrypt("alpha", at: 0, 19.9, 20.5, every: 0.0025)
        try trial.run()
        #expect(answers.count(of: 200) == answers.asked)
    }

    // With starts that nobody can ask for: pauses grow and overlap, and 1,097 of 3,400 requests fail.
    @Test("workers that are killed again and again are started when they are asked for")
    func workersEndAgain() throws {
        let trial = Trial(nodes: 1)
        trial.tokens([0, 1], have: .logsIn(after: 20_000_000), 0, 60)
        for number in 0..<24 {
            trial.at(20 + Double(number) * 0.7) { world in
                let workers = world.nodes[0].workers.sorted { $0.key < $1.key }.map(\.value).filter { !$0.isDead }
                if !workers.isEmpty { workers[world.random.below(workers.count)].die() }
            }
        }
        let answers = trial.encrypt("alpha", at: 0, 20, 37, every: 0.005)
        try trial.run()
        #expect(answers.count(of: 200) == answers.asked)
    }

    // With replays that are only refused: its peers refuse what it says for as long as its last life was.
    @Test("a node whose store was put back to before its last life is heard at once")
    func usedIncarnation() throws {
        let trial = Trial()
        trial.trouble(.nodeKilled, 2, 10, 10.05)
        trial.trouble(.storeRestored, 2, 35, 35.05)
        func replays(_ world: World) -> [UInt64] {
            world.nodes.prefix(2).map { UInt64($0.gossip.counters.refused[.replayed] ?? 0) }
        }
        var early: [UInt64] = []
        trial.at(38) { early = replays($0) }
        trial.at(44) { world in
            #expect(early.contains { $0 > 0 })
            #expect(replays(world) == early)
        }
        try trial.run()
    }

    // With a line that asks about deadlines only: at 1.3 times the capacity 89 of 1,562 are answered.
    @Test("where more is asked than HSMs can do, what they can do is done")
    func moreThanCapacity() throws {
        // Three lanes, 25 ms a call.
        let trial = Trial(nodes: 1, tokensEach: 1, latency: 20_000_000)
        trial.at(0) { $0.checks.taint("alpha") }
        trial.encrypt("alpha", at: 0, 16, 20, every: 0.02)
        let answers = trial.encrypt("alpha", at: 0, 20, 30, every: 0.0064)
        try trial.run()
        #expect(answers.count(of: 200) > 1_000, "\(answers.count(of: 200)) of \(answers.asked)")
    }

    // With silence that counts over the time in which the node stood still: a worker that is well is killed.
    @Test("a node that stood still takes no HSM out for it")
    func standstill() throws {
        let trial = Trial(nodes: 1)
        trial.encrypt("alpha", at: 0, 18, 22.5, every: 0.002)
        trial.trouble(.nodePaused, 0, 20.0005, 22.5)
        // Its workers stand still, too.
        trial.tokens([0, 1], have: .hangs(until: 22_500_000_000), 19.9999, 22.5)
        var before: [Int: UInt64] = [:]
        trial.at(19) { before = $0.nodes[0].workers.mapValues(\.epoch) }
        trial.at(26) { #expect($0.nodes[0].workers.mapValues(\.epoch) == before) }
        let answers = trial.encrypt("alpha", at: 0, 22.51, 26, every: 0.005)
        try trial.run()
        #expect(answers.count(of: 200) == answers.asked)
    }
}
