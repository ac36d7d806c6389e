// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Testing

/// A written plan: what goes wrong, what is asked when, and the answers.
final class Trial {
    var plan: Plan
    private let seed: UInt64 = 1

    /// Nodes with two HSMs each, and nobody asks but who is told to.
    init(nodes: Int = 3, tokensEach: Int = 2, latency: UInt64 = 500_000, sharing: Bool = false) {
        let all = sharing ? tokensEach : nodes * tokensEach
        plan = Plan(
            seed: seed, nodes: nodes, tokens: Array(repeating: latency, count: all),
            tokensOfNodes: (0..<nodes).map { node in
                (0..<tokensEach).map { sharing ? $0 : node * tokensEach + $0 }
            })
        plan.requests = 0
    }

    /// - Parameter degree: as `Fault` has it.
    func trouble(_ kind: FaultKind, _ target: Int, _ from: Double, _ until: Double, degree: Double = 0.5) {
        plan.faults.append(
            Fault(kind: kind, target: target, from: time(from), until: time(until), degree: degree))
    }

    func at(_ seconds: Double, _ act: @escaping (World) -> Void) {
        plan.steps.append(Step(at: time(seconds), act: act))
    }

    /// These tokens have a trouble that no random plan has.
    func tokens(_ tokens: [Int], have trouble: TokenTrouble, _ from: Double, _ until: Double) {
        let fault = Fault(kind: .failing, target: 0, from: time(from), until: time(until))
        for token in tokens {
            at(from) { world in
                let number = world.tokens[token].begin(trouble)
                world.checks.began(fault, now: world.now)
                world.at(fault.until) {
                    world.tokens[token].end(number, now: world.now)
                    world.checks.ended(fault, now: world.now)
                }
            }
        }
    }

    /// From the beginning on these tokens hold another key under the label.
    func foreignKey(_ label: String, on tokens: [Int]) {
        at(0) { world in
            let value = world.random.next()
            world.foreign[label] = value
            world.checks.taint(label)
            for token in tokens { world.tokens[token].exchange(KeyLabel(label), for: value, underOldHandle: true) }
        }
    }

    @discardableResult
    func encrypt(_ label: String, at node: Int, _ from: Double, _ until: Double, every pause: Double) -> Answers {
        ask(at: node, from, until, every: pause) { _, _ in .encrypt(label) }
    }

    /// Asks for what was encrypted before, one after the other.
    @discardableResult
    func decrypt(_ label: String, at node: Int, _ from: Double, _ until: Double, every pause: Double) -> Answers {
        ask(at: node, from, until, every: pause) { world, number in
            guard let kept = world.ciphertexts[label], !kept.isEmpty else { return nil }
            return .decrypt(kept[number % kept.count])
        }
    }

    private func ask(
        at node: Int, _ from: Double, _ until: Double, every pause: Double,
        _ question: @escaping (World, Int) -> Question?
    ) -> Answers {
        let answers = Answers()
        for number in 0..<Int((until - from) / pause) {
            at(from + Double(number) * pause) { world in
                guard let question = question(world, number) else { return }
                answers.asked += 1
                world.ask(world.nodes[node], question, into: answers)
            }
        }
        return answers
    }

    /// Runs it; what the checks find is a failure.
    func run() throws {
        let findings = try simulate(plan).findings
        #expect(findings.isEmpty, "\(findings.joined(separator: "\n"))")
    }

    private func time(_ seconds: Double) -> UInt64 { UInt64(seconds * 1_000_000_000) }
}
