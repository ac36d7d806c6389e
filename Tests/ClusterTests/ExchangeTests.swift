// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Cluster
import Foundation
import Gossip
import Testing

@Suite("Cluster: blocks and canaries", .timeLimit(.minutes(2)))
struct ExchangeTests {
    private func block(_ key: String, in node: ScriptedNode) throws {
        try node.state.withLock { state in
            _ = try state.blocks.block(
                try BlockTarget.parse(everything: false, keyStore: nil, key: key, principal: nil),
                id: UUID().uuidString.replacing("-", with: "").lowercased(), reason: "test", madeBy: "me@here",
                now: 1_700_000_000,
                expiresInSeconds: nil)
            state.facts.blocks = state.blocks.digest
        }
    }

    private func deliveries(
        _ node: ClusterService, order: [String] = [], within time: Duration
    ) async -> [String: BlockDelivery.Outcome] {
        var found: [String: BlockDelivery.Outcome] = [:]
        for await delivery in node.push(BlockPush(ids: order, isBlock: true), timeout: time) {
            found[delivery.node] = delivery.outcome
        }
        return found
    }

    @Test("a list that is pushed is confirmed by who has it on disk, and both sides have the union then")
    func push() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            let c = try await cluster.start("c", seeds: [a.service.address])
            try await eventually("all are there") { a.service.members.count == 2 }
            c.delegate.set { $0.disk = .failed }
            try block("of-a", in: a.delegate)
            try block("of-b", in: b.delegate)
            let outcomes = await deliveries(a.service, within: .seconds(5))
            #expect(outcomes == ["b": .confirmed, "c": .unwritten])
            #expect(a.delegate.blocks().blocks.count == 2 && b.delegate.blocks() == a.delegate.blocks())
        }
    }

    @Test("who cannot be reached is named, with the reason")
    func unreachable() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            _ = try await cluster.start("b", seeds: [a.service.address])
            try await eventually("b is there") { a.service.liveness(of: "b") == .alive }
            await cluster.stop("b")
            let outcomes = await deliveries(a.service, within: .milliseconds(600))
            guard case .unreachable(let reason) = outcomes["b"] else {
                Issue.record("\(outcomes)")
                return
            }
            #expect(!reason.isEmpty)
        }
    }

    @Test(
        "a confirmation says in force there, a disk that takes its time is told of before, and what has ended is told")
    func steps() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            try await eventually("b is there") { a.service.liveness(of: "b") == .alive }
            b.delegate.set { $0.disk = .pending }
            try block("k", in: a.delegate)
            let order = Array(a.delegate.blocks().blocks.keys)
            var outcomes: [BlockDelivery.Outcome] = []
            for await delivery in a.service.push(BlockPush(ids: order, isBlock: true), timeout: .seconds(10)) {
                outcomes.append(delivery.outcome)
                b.delegate.set { $0.disk = .written }
            }
            #expect(outcomes == [.effective, .confirmed])
            b.delegate.set { state in
                _ = try? state.blocks.lift(.key("k"), by: "me@b", now: 1_700_000_001)
            }
            #expect(await deliveries(a.service, order: order, within: .milliseconds(300)) == ["b": .ineffective])
        }
    }

    @Test("a confirmation says how much the block hits there")
    func hits() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            _ = try await cluster.start("c", seeds: [a.service.address])
            try await eventually("all are there") { a.service.members.count == 2 }
            b.delegate.set { $0.hits[.key("k")] = BlockHits(keyStores: 2, keys: 1) }
            try block("k", in: a.delegate)
            let order = BlockPush(ids: Array(a.delegate.blocks().blocks.keys), isBlock: true)
            var reported: [String: BlockHits] = [:]
            for await delivery in a.service.push(order, timeout: .seconds(10)) {
                reported[delivery.node] = delivery.hits
            }
            #expect(reported == ["b": BlockHits(keyStores: 2, keys: 1), "c": BlockHits(keyStores: 0, keys: 0)])
        }
    }

    /// Before, what a peer had said was reported half a second later: this node's own disk was waited for first.
    @Test("a disk of this node that never answers does not hold up what others say of theirs")
    func ownDisk() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            try await eventually("b is there") { a.service.liveness(of: "b") == .alive }
            a.delegate.set { $0.isDiskStuck = true }
            try block("k", in: a.delegate)
            let order = Array(a.delegate.blocks().blocks.keys)
            #expect(await deliveries(a.service, order: order, within: .seconds(10)) == ["b": .confirmed])
            #expect(b.delegate.blocks().blocks.count == 1)
            a.delegate.set { $0.isDiskStuck = false }
        }
    }

    @Test("a list of many pages goes both ways completely, and each side knows whether the other's list is known")
    func pages() async throws {
        try await withCluster { cluster in
            let (a, b) = (try await cluster.start("a"), try await cluster.start("b"))
            for (node, name) in [(a, "a"), (b, "b")] {
                let blocks = (0..<900).map { number in
                    Block(
                        id: UUID().uuidString.replacing("-", with: "").lowercased(), target: .key("\(name)-\(number)"),
                        reason: String(repeating: name, count: 250), madeAt: 1_700_000_000, expiresAt: nil,
                        madeBy: "me@\(name)")
                }
                node.delegate.set { state in
                    state.blocks = BlockList(blocks: blocks, lifts: [], knowledge: name == "a" ? .known : .none)
                    state.facts.blocks = state.blocks.digest
                }
            }
            let identity = NodeIdentity(name: "b", address: b.service.address, site: "here", incarnation: 1)
            await a.service.exchangeBlocks(with: identity)
            #expect(a.delegate.blocks().blocks.count == 1_800 && b.delegate.blocks().blocks.count == 1_800)
            #expect(
                a.delegate.get(\.exchangedBlocks) == ["b": false] && b.delegate.get(\.exchangedBlocks) == ["a": true])
            #expect(b.delegate.blocks().knowledge == .none, "what is heard does not make it known")
        }
    }

    @Test("lists that differ find together by gossip")
    func gossip() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            try block("early", in: a.delegate)
            let b = try await cluster.start("b", seeds: [a.service.address])
            let c = try await cluster.start("c", seeds: [b.service.address])
            try block("late", in: c.delegate)
            try await eventually("all have both blocks") {
                [a, b, c].allSatisfy { $0.delegate.blocks().blocks.count == 2 }
            }
        }
    }

    @Test("canaries go both ways, page by page")
    func canaries() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            // More than two pages on one side, and another label on the other.
            let many = (0..<600).map { canary("key-\(String(format: "%04d", $0))") }
            a.delegate.set { state in
                state.canaries = many
                state.facts.canaries = "many"
            }
            let b = try await cluster.start("b", seeds: [a.service.address])
            b.delegate.set { state in
                state.canaries = [canary("only-b")]
                state.facts.canaries = "one"
            }
            try await eventually("b has heard all of a's") {
                Set(b.delegate.get { $0.offers["a"]?.map(\.label) ?? [] }) == Set(many.map(\.label))
            }
            try await eventually("a has heard b's") {
                a.delegate.get { $0.offers["b"]?.map(\.label) ?? [] }.contains("only-b")
            }
        }
    }

    @Test("young canaries and orders to forget go in fields of their own, and both sides know when all has been told")
    func youngCanaries() async throws {
        try await withCluster { cluster in
            var young = canary("young")
            (young.isProvisional, young.provers) = (true, ["serial-1"])
            let reported = young
            let order = SharedForget(
                label: "gone", canaries: [Array(repeating: 7, count: 32)], givenAt: 9, author: "node a")
            let a = try await cluster.start("a")
            a.delegate.set { state in
                (state.canaries, state.forgets) = ([canary("old"), reported], [order])
                state.facts.canaries = "of a"
            }
            let b = try await cluster.start("b", seeds: [a.service.address])
            try await eventually("b has heard all, and knows that it has") {
                b.delegate.get { state in
                    state.offers["a"]?.contains(reported) == true && state.offers["a"]?.contains(canary("old")) == true
                        && state.forgetOffers["a"]?.contains(order) == true && state.exchanged["a"] != nil
                }
            }
        }
    }
}
