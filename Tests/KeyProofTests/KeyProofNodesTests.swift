// SPDX-License-Identifier: Apache-2.0
import Chance
import KeyProof
import LaneProtocol
import Testing

/// Nodes whose HSMs may hold different keys under one label, that see each other or not, exchange canaries when they do,
/// are given orders, end and begin again. HSMs may fail; nobody lies.
private struct Nodes {
    static let labels: [KeyLabel] = ["k0", "k1"]
    var dice: RandomChoice
    var nodes: [ProofBench]
    /// By pair: whether messages get through.
    var isCut: Set<Set<Int>> = []
    /// The version that a node sent another in the last exchange of both lives.
    var announced: [[UInt64?]]
    var violations: [String] = []

    /// - Parameter odd: how many of a hundred keys are another one.
    init(seed: UInt64, odd: Int) {
        dice = RandomChoice(seed: seed)
        let count = Int.random(in: 2...3, using: &dice)
        nodes = []
        announced = Array(repeating: Array(repeating: nil, count: count), count: count)
        for node in 0..<count {
            var bench = ProofBench((0..<Int.random(in: 1...3, using: &dice)).map { "h\(node)-\($0)" }, seed: seed)
            // No two nodes make the same canary.
            bench.lastNonce = UInt32(node + 1) << 16
            for hsm in bench.keys.indices {
                for label in Self.labels where Int.random(in: 0..<8, using: &dice) > 0 {
                    bench.put(label, Int.random(in: 0..<100, using: &dice) < odd ? 2 : 1, on: hsm)
                }
            }
            nodes.append(bench)
        }
        for node in nodes.indices { know(node) }
    }

    func name(_ node: Int) -> String { "n\(node)" }

    mutating func know(_ node: Int) {
        let others = nodes.indices.filter { $0 != node }
        let known = others.filter { announced[node][$0] != nil || nodes[node].hasKnown.contains(name($0)) }
        let peers = known.map { other in
            ProofPeer(
                name: name(other), isLive: !isCut.contains([node, other]), exchanged: announced[node][other])
        }
        nodes[node].hasKnown.formUnion(known.map(name))
        nodes[node].take(
            nodes[node].proof.cluster(ProofCluster(peers: peers, isSought: true), now: nodes[node].now))
    }

    /// Both send each other everything.
    mutating func exchange(_ one: Int, _ other: Int) {
        guard one != other, !isCut.contains([one, other]) else { return }
        for (from, to) in [(one, other), (other, one)] {
            let version = nodes[to].proof.exchangeBegan(with: name(from))
            nodes[to].take(nodes[to].proof.forget(nodes[from].proof.forgetOrders(), now: nodes[to].now))
            nodes[to].offer(nodes[from].proof.announced(), by: name(from))
            nodes[to].take(nodes[to].proof.exchangeEnded(with: name(from), now: nodes[to].now))
            announced[to][from] = version
            know(to)
        }
    }

    mutating func restart(_ node: Int) {
        var fresh = ProofBench(
            nodes[node].names, canaries: nodes[node].stored.values.sorted { $0.label < $1.label },
            forgets: nodes[node].forgets, ran: nodes[node].proof.ran(now: nodes[node].now), seed: dice.next())
        (fresh.keys, fresh.stored, fresh.forgets) = (nodes[node].keys, nodes[node].stored, nodes[node].forgets)
        (fresh.lastNonce, fresh.hasKnown) = (nodes[node].lastNonce, nodes[node].hasKnown)
        fresh.lastReference = nodes[node].lastReference
        (fresh.now, fresh.unixSeconds) = (nodes[node].now, nodes[node].unixSeconds)
        fresh.proof = KeyProof(
            hsms: nodes[node].names, canaries: fresh.stored.values.sorted { $0.label < $1.label },
            forgets: fresh.forgets, now: fresh.now, ran: nodes[node].proof.ran(now: fresh.now),
            unixSeconds: fresh.unixSeconds, seed: dice.next())
        nodes[node] = fresh
        for other in nodes.indices { (announced[node][other], announced[other][node]) = (nil, nil) }
        for other in nodes.indices { know(other) }
    }

    mutating func step() {
        let node = Int.random(in: nodes.indices, using: &dice)
        let hsm = Int.random(in: nodes[node].keys.indices, using: &dice)
        let label = Self.labels[Int.random(in: Self.labels.indices, using: &dice)]
        switch Int.random(in: 0..<1_000, using: &dice) {
        case 0..<450:
            guard !nodes[node].checks.isEmpty else { return wait(0.5) }
            let check = nodes[node].checks.remove(at: Int.random(in: nodes[node].checks.indices, using: &dice))
            if Int.random(in: 0..<10, using: &dice) == 0 { nodes[node].fail(check) } else { nodes[node].answer(check) }
        case 450..<560: wait(Double(Int.random(in: 0..<4_000, using: &dice)) / 1_000)
        case 560..<565: wait(4_000)
        case 565..<690: nodes[node].list(hsm)
        case 690..<710: nodes[node].end(hsm)
        case 710..<930: exchange(node, Int.random(in: nodes.indices, using: &dice))
        case 930..<960:
            let pair: Set<Int> = [node, Int.random(in: nodes.indices, using: &dice)]
            if pair.count == 2 {
                if isCut.remove(pair) == nil { isCut.insert(pair) }
                for node in pair { know(node) }
            }
        case 960..<970:
            if case .success(let actions) = nodes[node].proof.trust(label, hsm: hsm, now: nodes[node].now) {
                nodes[node].take(actions)
            }
        case 970..<975: nodes[node].keys[hsm][label] = nil
        case 975..<985: nodes[node].put(label, 1, on: hsm)
        case 985..<990:
            let (now, seconds) = (nodes[node].now, nodes[node].unixSeconds)
            if case .success(let actions) = nodes[node].proof.forget(
                label, author: name(node), now: now, unixSeconds: seconds)
            {
                nodes[node].take(actions)
            }
        default: restart(node)
        }
        check()
    }

    mutating func wait(_ seconds: Double) { for node in nodes.indices { nodes[node].wait(seconds) } }

    /// What holds at any time.
    mutating func check() {
        for node in nodes.indices {
            for label in Self.labels {
                let value = nodes[node].proof.canary(of: label)?.sealed.ciphertext.first
                for hsm in nodes[node].encrypting(label) {
                    guard let reference = nodes[node].proof.reference(of: label, hsm: hsm) else {
                        violations.append("\(label): node \(node) encrypts with a key that is not listed")
                        continue
                    }
                    let held = nodes[node].keys[hsm][label]
                    if held?.reference == reference, held?.value != value {
                        violations.append("\(label): node \(node) encrypts with another key than its canary's")
                    }
                }
                if !nodes[node].encrypting(label).isEmpty, nodes[node].stored[label] == nil {
                    violations.append("\(label): node \(node) encrypts, and nothing is stored")
                }
            }
        }
    }

    /// Everybody sees everybody, and is well.
    mutating func calm() {
        isCut = []
        for node in nodes.indices {
            for hsm in nodes[node].keys.indices { nodes[node].list(hsm) }
            know(node)
        }
        for _ in 0..<20 {
            for one in nodes.indices {
                for other in nodes.indices where other > one { exchange(one, other) }
            }
            for node in nodes.indices { nodes[node].run() }
            wait(3)
            for node in nodes.indices { nodes[node].run() }
            check()
        }
        for label in Self.labels { settled(label) }
    }

    private mutating func settled(_ label: KeyLabel) {
        func values(_ hsms: (ProofBench) -> [Int]) -> Set<UInt8> {
            Set(nodes.flatMap { node in hsms(node).compactMap { node.keys[$0][label]?.value } })
        }
        let encrypting = values { $0.encrypting(label) }
        if encrypting.count > 1 { violations.append("\(label): two keys encrypt") }
        let opening = values { $0.holders(label) }
        if opening.count > 1 {
            for node in nodes where node.proof.word(onCiphertextOf: label) == .invalid {
                if !node.holders(label).isEmpty { violations.append("\(label): called invalid while contested") }
            }
            if !nodes.contains(where: { $0.proof.hasDisagreements }) { violations.append("\(label): nobody says so") }
        }
        let all = values { Array($0.keys.indices) }
        let isDisputed = nodes.contains { node in
            if case .disputed = node.proof.standing(of: label) { true } else { false }
        }
        // An order may stand for a key that no HSM holds any more.
        let isOrdered = nodes.contains { $0.proof.canary(of: label)?.isTrusted ?? false }
        guard all.count == 1, !isDisputed, !isOrdered else { return }
        for (index, node) in nodes.enumerated() {
            let holding = node.keys.indices.filter { node.keys[$0][label] != nil }
            let isRight = node.proof.canary(of: label).map { all.contains($0.sealed.ciphertext.first ?? 0) } ?? true
            if isRight, node.encrypting(label) != holding {
                violations.append(
                    "\(label): node \(index) encrypts on \(node.encrypting(label)), not on \(holding): "
                        + "\(node.verdicts(label)) \(node.proof.standing(of: label)) \(node.proof.disagreements())")
            }
        }
    }
}

@Suite("Key proof: simulation of nodes")
struct KeyProofNodesTests {
    /// Without the contest a seed ended with two keys that encrypt under one label.
    @Test(
        "random clusters: one key encrypts in the end, nothing is called invalid while two open, all that agree serve")
    func random() {
        for seed in 0..<UInt64(150) {
            var world = Nodes(seed: seed, odd: seed % 2 == 0 ? 0 : 25)
            for _ in 0..<250 { world.step() }
            world.calm()
            #expect(world.violations.isEmpty, "seed \(seed): \(world.violations.first ?? "")")
            if !world.violations.isEmpty { return }
        }
    }
}
