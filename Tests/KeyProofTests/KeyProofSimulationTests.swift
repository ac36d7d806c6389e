// SPDX-License-Identifier: Apache-2.0
import Chance
import KeyProof
import LaneProtocol
import StatusVocabulary
import Testing

/// A pool of HSMs whose keys come, go and are swapped while workers end, HSMs come and go, and the node restarts. HSMs
/// may fail; they do not lie.
private struct World {
    static let labels: [KeyLabel] = (0..<5).map { "key-\($0)" }
    var dice: RandomChoice
    var bench: ProofBench
    /// By position; empty where it is nobody's.
    var names: [String]
    /// What each HSM's last catalogue said, while its worker lives.
    var announced: [[KeyLabel: ProofBench.Key]]
    /// What was first stored for a label and not replaced by an operator's word.
    var canaries: [KeyLabel: SealedCanary] = [:]
    /// Labels that are disputed, until an operator's word is carried out.
    var disputed: Set<KeyLabel> = []
    var trusted: Set<KeyLabel> = []
    var violations: [String] = []
    var readNews = 0

    init(seed: UInt64) {
        dice = RandomChoice(seed: seed)
        names = (0..<Int.random(in: 1...5, using: &dice)).map { "hsm-\($0)" }
        bench = ProofBench(names, seed: seed)
        announced = names.map { _ in [:] }
        for hsm in names.indices {
            for label in Self.labels where Int.random(in: 0..<4, using: &dice) > 0 { put(label, on: hsm) }
        }
    }

    func isThere(_ hsm: Int) -> Bool { !names[hsm].isEmpty }

    /// Another HSM comes to a position that is nobody's, or to a new one; with other keys than the one before.
    mutating func come() {
        let position = names.firstIndex(of: "") ?? names.count
        guard position < 7 else { return }
        let name = "hsm-\(position)-\(Int.random(in: 0..<1_000, using: &dice))"
        if position == names.count {
            names.append(name)
            announced.append([:])
        } else {
            names[position] = name
        }
        bench.join(position, name: name)
        for label in Self.labels where Bool.random(using: &dice) { put(label, on: position) }
    }

    mutating func go(_ hsm: Int) {
        guard isThere(hsm), names.contains(where: { !$0.isEmpty && $0 != names[hsm] }) else { return }
        names[hsm] = ""
        announced[hsm] = [:]
        bench.remove(hsm)
    }

    mutating func put(_ label: KeyLabel, on hsm: Int) {
        guard isThere(hsm) else { return }
        let value: UInt8 = Int.random(in: 0..<12, using: &dice) == 0 ? 2 : 1
        let usage: KeyUsage =
            switch Int.random(in: 0..<20, using: &dice) {
            case 0: .encrypt
            case 1: .decrypt
            default: [.encrypt, .decrypt]
            }
        bench.put(label, value, on: hsm, usage: usage)
    }

    mutating func list(_ hsm: Int) {
        announced[hsm] = bench.keys[hsm]
        bench.list(hsm)
    }

    mutating func end(_ hsm: Int) {
        announced[hsm] = [:]
        bench.end(hsm)
    }

    mutating func restartNode() {
        let stored = bench.stored.values.sorted { $0.label < $1.label }
        bench.checks = []
        bench.granted = []
        bench.tickets = []
        trusted = trusted.filter { bench.stored[$0]?.isTrusted == true }
        announced = names.map { _ in [:] }
        bench.proof = KeyProof(
            hsms: names, canaries: stored, now: bench.now, unixSeconds: bench.unixSeconds, seed: dice.next())
        for hsm in names.indices where !isThere(hsm) { bench.take(bench.proof.removed(hsm: hsm, now: bench.now)) }
        // What was known only in memory is gone with it.
        disputed.formIntersection(bench.stored.filter { $0.value.dispute != nil }.keys)
    }

    mutating func step() {
        let hsm = Int.random(in: names.indices, using: &dice)
        let label = Self.labels[Int.random(in: Self.labels.indices, using: &dice)]
        switch Int.random(in: 0..<1_000, using: &dice) {
        case 0..<550:
            guard !bench.checks.isEmpty else { return bench.wait(0.5) }
            let check = bench.checks.remove(at: Int.random(in: bench.checks.indices, using: &dice))
            if Int.random(in: 0..<8, using: &dice) == 0 { bench.fail(check) } else { bench.answer(check) }
        case 550..<700: bench.wait(Double(Int.random(in: 0..<6_000, using: &dice)) / 1_000)
        case 700..<710: bench.wait(3_000)
        case 710..<830: list(hsm)
        case 830..<860: put(label, on: hsm)
        case 860..<880: bench.keys[hsm][label] = nil
        case 880..<910: end(hsm)
        case 910..<940: bench.take(bench.proof.settled(hsm: hsm, now: bench.now))
        case 940..<970: bench.proof.wanted(label)
        case 970..<980:
            if case .success(let actions) = bench.proof.trust(label, hsm: hsm, now: bench.now) {
                trusted.insert(label)
                bench.take(actions)
            }
        case 980..<985: restartNode()
        case 985..<989: come()
        case 989..<992: go(hsm)
        default: bench.wait(0)
        }
    }

    mutating func check() {
        for news in bench.log[readNews...] {
            switch news {
            case .disputed(let label, _, _): disputed.insert(label)
            case .trusted(let label, _):
                disputed.remove(label)
                canaries[label] = nil
                if trusted.remove(label) == nil { violations.append("\(label): trusted by nobody") }
            default: break
            }
        }
        readNews = bench.log.count
        for (label, canary) in bench.stored {
            if let first = canaries[label], first != canary.sealed {
                violations.append("\(label): two canaries decide")
            }
            canaries[label] = canary.sealed
        }
        var served: Set<KeyHolding> = []
        for label in Self.labels {
            let value = bench.proof.canary(of: label)?.sealed.ciphertext.first
            for hsm in bench.holders(label) {
                served.insert(KeyHolding(label: label, hsm: hsm))
                if announced[hsm][label] == nil {
                    violations.append("\(label): served by \(hsm), which does not list it")
                }
                if announced[hsm][label]?.value != value { violations.append("\(label): \(hsm) serves another key") }
                if bench.stored[label] == nil { violations.append("\(label): served before its canary was stored") }
            }
            if disputed.contains(label), !bench.proof.holders(of: label).isEmpty {
                violations.append("\(label): served while disputed")
            }
        }
        if served != bench.granted { violations.append("what was granted is not what may serve") }
        for hsm in names.indices where bench.checks.filter({ $0.hsm == hsm }).count > 4 {
            violations.append("too many checks on \(hsm)")
        }
    }

    /// Everybody is up, honest and well: within a bounded time all that can be proven is proven.
    mutating func calm() {
        for hsm in names.indices { list(hsm) }
        for _ in 0..<60 {
            bench.run()
            bench.wait(1)
            check()
        }
        bench.run()
        check()
        for label in Self.labels {
            let verdicts = bench.verdicts(label)
            let canary = bench.proof.canary(of: label)
            for hsm in names.indices {
                guard let key = bench.keys[hsm][label] else { continue }
                let agrees = key.value == canary?.sealed.ciphertext.first
                let canBeOpened = key.usage.contains(.decrypt) && canary != nil
                let shallServe = canBeOpened && agrees && !disputed.contains(label)
                if bench.proof.holders(of: label).contains(hsm) != shallServe {
                    violations.append("\(label) on \(hsm): served is not \(shallServe)")
                }
                if canBeOpened, !agrees, verdicts[hsm] != .different(than: canary?.maker ?? "") {
                    violations.append("\(label) on \(hsm): not told to be different")
                }
            }
            let canMake = names.indices.contains { bench.keys[$0][label]?.usage == [.encrypt, .decrypt] }
            if canary == nil, canMake { violations.append("\(label): no canary was made") }
        }
    }
}

@Suite("Key proof: simulation")
struct KeyProofSimulationTests {
    @Test("random pools: no key under a wrong name, no dispute forgotten, and in the end everything served that can be")
    func random() {
        for seed in 0..<UInt64(300) {
            var world = World(seed: seed)
            for _ in 0..<250 {
                world.step()
                world.check()
            }
            world.calm()
            #expect(world.violations.isEmpty, "seed \(seed): \(world.violations.first ?? "")")
            if !world.violations.isEmpty { return }
        }
    }

    @Test("the same seed reports the same story")
    func replay() {
        var runs: [([ProofNews], Int)] = []
        for _ in 0..<2 {
            var world = World(seed: 77)
            for _ in 0..<400 { world.step() }
            runs.append((world.bench.log, world.bench.tickets.count))
        }
        #expect(runs[0].0 == runs[1].0 && runs[0].1 == runs[1].1)
        #expect(!runs[0].0.isEmpty)
    }

    @Test("ten thousand keys on eight HSMs: every key is checked once on each, and an unchanged catalogue asks nothing")
    func many() {
        let names = (0..<8).map { "hsm-\($0)" }
        let labels: [KeyLabel] = (0..<10_000).map { "key-\($0)" }
        let canaries = labels.map { oldCanary($0, 1, maker: "hsm-0") }
        var bench = ProofBench(names, canaries: canaries)
        let entries = labels.enumerated().map {
            CatalogueEntry(reference: UInt32($0.offset + 1), label: $0.element, usage: [.encrypt, .decrypt])
        }
        for hsm in names.indices {
            bench.keys[hsm] = Dictionary(
                uniqueKeysWithValues: entries.map { ($0.label, ProofBench.Key(value: 1, reference: $0.reference)) })
            bench.take(bench.proof.listed(hsm: hsm, entries: entries, now: bench.now))
        }
        var done = 0
        while done < bench.checks.count {
            bench.answer(bench.checks[done])
            done += 1
        }
        #expect(done == 80_000 && bench.granted.count == 80_000)
        for hsm in names.indices {
            #expect(bench.proof.listed(hsm: hsm, entries: entries, now: bench.now) == ProofActions())
        }
        #expect(bench.proof.tick(now: bench.now) == ProofActions())
        bench.take(bench.proof.workerEnded(hsm: 3, now: bench.now))
        #expect(bench.granted.count == 70_000 && bench.proof.holders(of: "key-9999") == [0, 1, 2, 4, 5, 6, 7])
    }
}
