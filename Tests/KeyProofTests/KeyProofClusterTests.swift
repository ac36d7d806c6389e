// SPDX-License-Identifier: Apache-2.0
import Chance
import KeyProof
import LaneProtocol
import Testing

/// Nodes, each with HSMs of its own, that send each other their canaries.
private struct ProofCluster {
    static let labels: [KeyLabel] = ["k0", "k1", "k2"]
    var dice: RandomChoice
    var nodes: [ProofBench]

    /// Every HSM holds the same keys: `value` under each label.
    init(seed: UInt64, sizes: [Int], values: [UInt8]) {
        dice = RandomChoice(seed: seed)
        nodes = sizes.enumerated().map { node, size in
            var bench = ProofBench((0..<size).map { "hsm-\(node)-\($0)" }, seed: seed &+ UInt64(node))
            // No two nodes make the same canary, nor at the same time.
            bench.lastNonce = UInt32(node) << 16
            bench.unixSeconds += Int64(node)
            for hsm in 0..<size {
                for label in Self.labels { bench.put(label, values[node], on: hsm) }
            }
            return bench
        }
    }

    mutating func announce(from: Int, to: Int) {
        nodes[to].exchange(nodes[from].proof.announced(), with: "node-\(from)")
        nodes[to].know(nodes.indices.filter { $0 != to }.map { "node-\($0)" })
    }

    /// Everybody sends to everybody, and every check is done.
    mutating func exchange(rounds: Int = 3) {
        for _ in 0..<rounds {
            for from in nodes.indices {
                for to in nodes.indices where to != from { announce(from: from, to: to) }
            }
            for node in nodes.indices { nodes[node].run() }
        }
    }

    /// Each by itself until its canaries decide.
    mutating func settle() {
        for node in nodes.indices {
            nodes[node].settle()
            nodes[node].wait(11)
            nodes[node].run()
        }
    }

    mutating func step() {
        let node = Int.random(in: nodes.indices, using: &dice)
        let hsm = Int.random(in: nodes[node].keys.indices, using: &dice)
        switch Int.random(in: 0..<100, using: &dice) {
        case 0..<45:
            guard !nodes[node].checks.isEmpty else { return nodes[node].wait(0.5) }
            let check = nodes[node].checks.remove(at: Int.random(in: nodes[node].checks.indices, using: &dice))
            if Int.random(in: 0..<8, using: &dice) == 0 { nodes[node].fail(check) } else { nodes[node].answer(check) }
        case 45..<60: nodes[node].wait(Double(Int.random(in: 0..<4_000, using: &dice)) / 1_000)
        case 60..<62: nodes[node].wait(3_000)
        case 62..<75: nodes[node].list(hsm)
        case 75..<79: nodes[node].end(hsm)
        case 79..<97: announce(from: Int.random(in: nodes.indices, using: &dice), to: node)
        case 97..<98:
            let label = Self.labels[Int.random(in: Self.labels.indices, using: &dice)]
            if case .success(let actions) = nodes[node].proof.trust(label, hsm: hsm, now: nodes[node].now) {
                nodes[node].take(actions)
            }
        default: nodes[node].agree(with: "node-\(Int.random(in: nodes.indices, using: &dice))")
        }
    }

    /// Nodes of which an HSM may encrypt.
    func encrypting(_ label: KeyLabel) -> [Int] {
        nodes.indices.filter { !nodes[$0].proof.servers(of: label, for: .encrypt).isEmpty }
    }

    func canaries(_ label: KeyLabel) -> Set<SealedCanary?> { Set(nodes.map { $0.proof.canary(of: label)?.sealed }) }
}

@Suite("Key proof: several nodes")
struct KeyProofClusterTests {
    @Test("nodes that hold the same keys never differ, and end with the same canary for each, served everywhere")
    func sameKeys() {
        for seed in 0..<UInt64(60) {
            var cluster = ProofCluster(seed: seed, sizes: [1, 2, 3], values: [1, 1, 1])
            for _ in 0..<300 { cluster.step() }
            cluster.settle()
            for _ in 0..<2 {
                for node in cluster.nodes.indices {
                    cluster.nodes[node].wait(31)
                    cluster.nodes[node].run()
                }
                cluster.exchange()
            }
            for label in ProofCluster.labels {
                #expect(cluster.canaries(label).count == 1, "seed \(seed), \(label)")
                for node in cluster.nodes {
                    #expect(node.holders(label) == Array(node.keys.indices), "seed \(seed), \(label)")
                    #expect(node.stored[label]?.sealed == node.proof.canary(of: label)?.sealed)
                }
            }
            for node in cluster.nodes {
                #expect(node.alarms.isEmpty && !node.proof.hasDisagreements, "seed \(seed)")
                #expect(node.proof.shared().map(\.label) == ProofCluster.labels)
            }
        }
    }

    @Test("two sites that hold different keys under one label: both say so, both open theirs, one of them encrypts")
    func differentKeys() throws {
        var cluster = ProofCluster(seed: 1, sizes: [1, 1], values: [1, 2])
        cluster.settle()
        cluster.exchange()
        for node in cluster.nodes { #expect(node.holders("k0") == [0]) }
        #expect(cluster.nodes.map(\.proof.hasDisagreements) == [true, true])
        #expect(cluster.nodes.map { $0.alarms.count } == [3, 3])
        #expect(cluster.encrypting("k0") == [0], "the one with the older canary")
        let before = cluster.nodes[1].tickets.count
        cluster.exchange()
        #expect(cluster.nodes[1].tickets.count == before && cluster.nodes[1].alarms.count == 3, "once is enough")
        // An operator says at the other site that its key is right.
        cluster.nodes[1].take(try cluster.nodes[1].proof.trust("k0", hsm: 0, now: cluster.nodes[1].now).get())
        cluster.nodes[1].run()
        cluster.exchange()
        #expect(cluster.encrypting("k0") == [1] && cluster.encrypting("k1") == [0])
        #expect(cluster.nodes.allSatisfy { $0.proof.disagreements().count == 3 && $0.holders("k0") == [0] })
    }

    @Test("a node that joins with a wrong key is reported before it can make up its mind")
    func newcomer() {
        var cluster = ProofCluster(seed: 2, sizes: [2, 1], values: [1, 2])
        cluster.nodes[0].settle()
        cluster.nodes[0].wait(11)
        cluster.announce(from: 0, to: 1)
        cluster.nodes[1].settle()
        #expect(cluster.nodes[1].holders("k0").isEmpty && cluster.nodes[1].alarms.count == 3)
        #expect(cluster.nodes[1].alarms.first == .differs(label: "k0", hsm: "hsm-1-0", maker: "hsm-0-0"))
        cluster.exchange()
        #expect(cluster.nodes[0].holders("k0") == [0, 1] && cluster.nodes[0].alarms.isEmpty)
    }

    @Test("a canary reaches nodes that only know a node that knows it, and outlives the one that made it")
    func passedOn() {
        var cluster = ProofCluster(seed: 3, sizes: [1, 1, 1], values: [1, 1, 1])
        cluster.nodes[0].settle()
        cluster.nodes[0].wait(11)
        cluster.announce(from: 0, to: 1)
        cluster.announce(from: 1, to: 2)
        for node in 1..<3 {
            cluster.nodes[node].settle()
            #expect(cluster.nodes[node].holders("k2") == [0])
            #expect(cluster.nodes[node].stored["k2"]?.maker == "hsm-0-0")
        }
        #expect(cluster.canaries("k2").count == 1)
    }
}
