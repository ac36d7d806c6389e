// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Chance
import SeededRandom
import Testing

/// Nodes that order, lift, send each other and lose their stores, each beside a plain record of what it must know.
private struct Replicas {
    struct Node {
        var list = BlockList()
        /// Ids of the blocks and lifts that it has learnt of, and whether it knows that this is all.
        var blocks: Set<String> = []
        var lifts: Set<String> = []
        var isKnown = true
    }

    static let targets: [BlockTarget] = [.everything, .key("k"), .keyStore("/s")]
    var random: RandomChoice
    var nodes = Array(repeating: Node(), count: 4)
    /// Lists on their way, some of them for long.
    var messages: [(list: BlockList, blocks: Set<String>, lifts: Set<String>)] = []
    var now = blockTime
    var orders = 0

    init(seed: UInt64) { random = RandomChoice(seed: seed) }

    mutating func step() throws {
        now += Int64.random(in: 0...20, using: &random)
        let at = Int.random(in: nodes.indices, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<15: try block(at)
        case 15..<25: lift(at)
        case 25..<60:
            messages.append((nodes[at].list, nodes[at].blocks, nodes[at].lifts))
        case 60..<97:
            guard !messages.isEmpty else { return }
            let position = Int.random(in: messages.indices, using: &random)
            deliver(messages[position], to: at)
            // Some arrive twice, or out of turn.
            if Bool.random(using: &random) { messages.remove(at: position) }
        case 97..<99: nodes[at] = Node(list: .unknown("lost"), isKnown: false)
        default:
            nodes[at].list.confirm()
            nodes[at].isKnown = true
        }
    }

    private mutating func block(_ at: Int) throws {
        let target = Self.targets[Int.random(in: Self.targets.indices, using: &random)]
        let seconds: Int64? = random.chance(oneIn: 3) ? Int64.random(in: 1...200, using: &random) : nil
        let block = try nodes[at].list.order(target, id: random.blockID(), at: now, for: seconds)
        nodes[at].blocks.insert(block.id)
        orders += 1
    }

    private mutating func lift(_ at: Int) {
        let target = Self.targets[Int.random(in: Self.targets.indices, using: &random)]
        let known = nodes[at].list.inForce(now: now).filter { $0.target == target }
        let lifted = try? nodes[at].list.lift(target, by: "me", now: now)
        #expect(lifted?.map(\.id) ?? [] == known.map(\.id))
        nodes[at].lifts.formUnion(known.map(\.id))
    }

    private mutating func deliver(
        _ message: (list: BlockList, blocks: Set<String>, lifts: Set<String>), to at: Int
    ) {
        nodes[at].list.merge(message.list, now: now)
        nodes[at].blocks.formUnion(message.blocks)
        nodes[at].lifts.formUnion(message.lifts)
    }

    func check() {
        for node in nodes {
            #expect(Set(node.list.blocks.keys) == node.blocks && Set(node.list.lifts.keys) == node.lifts)
            #expect((node.list.unknown == nil) == node.isKnown)
            let standing = node.list.blocks.values.filter { block in
                !node.lifts.contains(block.id) && block.expiresAt.map { now < $0 } ?? true
            }
            #expect(node.list.inForce(now: now).count == standing.count)
            let isBlocked = standing.contains { $0.target == .everything || $0.target == .key("k") }
            #expect((node.list.verdict(id: "k", at: now) != nil) == (isBlocked || !node.isKnown))
        }
    }

    /// Everybody has learnt of everything, and an operator has said so.
    mutating func heal() {
        for _ in 0..<2 {
            for from in nodes.indices {
                for to in nodes.indices { deliver((nodes[from].list, nodes[from].blocks, nodes[from].lifts), to: to) }
            }
        }
        for at in nodes.indices {
            nodes[at].list.confirm()
            nodes[at].isKnown = true
        }
    }
}

@Suite("Block list: several nodes")
struct BlockReplicaTests {
    @Test(
        "whatever is lost, late, doubled or out of turn, each node knows what it was told, and in the end all the same")
    func nodes() throws {
        var orders = 0
        for seed in 0..<UInt64(60) {
            var replicas = Replicas(seed: seed)
            for _ in 0..<120 {
                try replicas.step()
                replicas.check()
            }
            replicas.heal()
            replicas.check()
            for node in replicas.nodes {
                #expect(node.list == replicas.nodes[0].list && node.list.digest == replicas.nodes[0].list.digest)
            }
            orders += replicas.orders
        }
        #expect(orders > 500)
    }
}
