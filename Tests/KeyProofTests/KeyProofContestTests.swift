// SPDX-License-Identifier: Apache-2.0
import Chance
import KeyProof
import LaneProtocol
import Testing

@Suite("Key proof: a label contested between nodes")
struct KeyProofContestTests {
    /// A node whose HSM holds key 1, made an hour ago, and peers that are live.
    private func node(_ peers: [String] = ["n2", "n3"], live: [String]? = nil, age: Int64 = 3_600) -> ProofBench {
        var bench = ProofBench(["a"], canaries: [oldCanary("k", 1, maker: "a", age: age)])
        bench.put("k", 1, on: 0)
        bench.settle()
        bench.know(peers, live: live)
        return bench
    }

    private func other(_ value: UInt8 = 2, age: Int64 = 7_200, nonce: UInt32 = 7, isProvisional: Bool = false) -> Canary
    {
        oldCanary("k", value, maker: "far", age: age, nonce: nonce, isProvisional: isProvisional)
    }

    /// Without the contest both sides encrypted, and called the other one's ciphertext invalid.
    @Test("of one node against one the older canary's side encrypts; both sides open theirs, and say so")
    func oneAgainstOne() {
        for (age, isOurs) in [(Int64(7_200), false), (1_800, true)] {
            var bench = node()
            bench.exchange([other(age: age)], with: "n2")
            bench.run()
            #expect(bench.holders("k") == [0] && bench.encrypting("k") == (isOurs ? [0] : []))
            #expect(bench.proof.hasDisagreements && bench.alarms == [.disagrees(label: "k", node: "n2", hsm: "a")])
            #expect(bench.proof.word(onCiphertextOf: "k") == .elsewhere(["n2"]))
        }
    }

    @Test("the side that more live nodes prove encrypts; a node that only was heard of, or is dead, counts for nothing")
    func majority() {
        // Ours is older.
        var bench = node(["n2", "n3"], live: ["n2"])
        for node in ["n2", "n3", "stranger"] { bench.exchange([other(age: 60)], with: node) }
        bench.run()
        #expect(bench.encrypting("k") == [0], "one against one that lives")
        bench.know(["n2", "n3"])
        #expect(bench.encrypting("k").isEmpty, "one against two")
        bench.know(["n2", "n3"], live: [])
        #expect(bench.encrypting("k") == [0])
        bench.know(["n2"], live: [])
        #expect(bench.proof.hasDisagreements, "a member that is away holds another key all the same")
    }

    @Test("of equals what is decided comes before what is provisional")
    func decidedFirst() {
        var bench = node(age: 60)
        bench.exchange([other(age: 7_200, isProvisional: true)], with: "n2")
        bench.run()
        #expect(bench.encrypting("k") == [0])
        bench.exchange([other(age: 7_200)], with: "n2")
        #expect(bench.encrypting("k").isEmpty)
    }

    /// Without: it kept the canary that it had taken over as it began, and its HSMs served nobody, while another node
    /// proved by the key that they hold.
    @Test("a node whose HSMs hold the other side's key joins that side, unless an order speaks against it")
    func joining() throws {
        for isOrder in [false, true] {
            var bench = ProofBench(["a"], canaries: [oldCanary("k", 2, maker: "far", age: 7_200, isTrusted: isOrder)])
            bench.put("k", 1, on: 0)
            bench.settle()
            bench.know(["n2", "n3"])
            bench.exchange([oldCanary("k", 2, maker: "far", age: 7_200, isTrusted: isOrder)], with: "n2")
            bench.exchange([other(1, age: 60, nonce: 9)], with: "n3")
            bench.run()
            #expect(bench.holders("k") == (isOrder ? [] : [0]))
            #expect(bench.encrypting("k") == (isOrder ? [] : [0]), "two nodes prove it now, and one the other")
        }
    }

    @Test("an order decides, whoever is in the majority")
    func order() throws {
        var bench = node()
        for node in ["n2", "n3"] { bench.exchange([other()], with: node) }
        bench.run()
        #expect(bench.encrypting("k").isEmpty)
        bench.take(try bench.proof.trust("k", hsm: 0, now: bench.now).get())
        bench.run()
        #expect(bench.encrypting("k") == [0] && bench.proof.hasDisagreements)
    }

    @Test("Encrypt is refused across a contest, and not as if another node could do it; Decrypt goes on")
    func decision() {
        var bench = node()
        bench.exchange([other()], with: "n2")
        bench.run()
        guard case .contested(let text) = bench.decision("k", .encrypt) else {
            Issue.record("\(bench.decision("k", .encrypt))")
            return
        }
        #expect(text.contains("n2"))
        guard case .use([0], _) = bench.decision("k", .decrypt), case .use = bench.decision("k", .metadata) else {
            Issue.record("\(bench.decision("k", .decrypt))")
            return
        }
    }

    /// Nodes compare by a digest of the canaries that decide. Without: a new node's were all provisional, so that its digest
    /// was everybody's, and what it proved otherwise was forgotten each second. When it died within the ten seconds, its
    /// ciphertext was called invalid.
    @Test("that nodes agree on the canaries that decide says nothing of one that does not decide yet")
    func agreementOnWhatDecides() {
        var bench = node()
        bench.exchange([other(isProvisional: true)], with: "n2")
        bench.run()
        #expect(bench.proof.hasDisagreements)
        bench.agree(with: "n2")
        #expect(bench.proof.hasDisagreements)
        bench.know(["n2", "n3"], live: ["n3"])
        #expect(bench.proof.word(onCiphertextOf: "k") == .elsewhere([]))
    }

    /// Without: both nodes prove the key by one canary, so nothing was contested, and this one called invalid what the
    /// peer's excluded HSM opens.
    /// A person gives the HSMs of one side the key of the other, one after the other, while catalogues are read, checks are
    /// under way and fail, and the other side may be out of sight. Without: where both HSMs were found to hold another key
    /// before one had tried the other side's, the key was disputed for good, though all HSMs of both nodes held the same.
    @Test("HSMs that are given the other side's key serve it in the end, whatever came between", arguments: 1...200)
    func replaced(seed: UInt64) {
        var dice = RandomChoice(seed: seed)
        var bench = ProofBench(["a", "b"], seed: seed)
        for hsm in 0...1 { bench.put("k", 1, on: hsm) }
        bench.settle()
        bench.wait(11)
        bench.know(["n2"])
        bench.exchange([other()], with: "n2")
        bench.run()
        #expect(bench.holders("k") == [0, 1] && bench.encrypting("k").isEmpty)
        var steps = [2, 2]
        var rest = 12
        while rest > 0 {
            if steps == [0, 0] { rest -= 1 }
            switch Int.random(in: 0..<9, using: &dice) {
            case 0, 1:
                let hsm = Int.random(in: 0...1, using: &dice)
                guard steps[hsm] > 0 else { continue }
                steps[hsm] -= 1
                if steps[hsm] == 1 { bench.remove("k", 1, on: hsm) } else { bench.put("k", 2, on: hsm) }
            case 2: bench.list(Int.random(in: 0...1, using: &dice))
            case 3: bench.know(["n2"], live: Bool.random(using: &dice) ? ["n2"] : [])
            case 4: bench.end(Int.random(in: 0...1, using: &dice))
            case 5: bench.wait(1)
            case 6, 7:
                guard let check = bench.checks.indices.randomElement(using: &dice) else { continue }
                bench.answer(bench.checks.remove(at: check))
            default:
                guard let check = bench.checks.indices.randomElement(using: &dice) else { continue }
                bench.fail(bench.checks.remove(at: check))
            }
        }
        for hsm in [0, 1].shuffled(using: &dice) { bench.list(hsm) }
        bench.run()
        bench.know(["n2"])
        for _ in 0..<10 {
            bench.run()
            bench.wait(30)
        }
        #expect(bench.proof.matrix().first?.dispute == nil)
        #expect(bench.holders("k") == [0, 1] && bench.encrypting("k") == [0, 1] && !bench.proof.hasDisagreements)
    }

    /// As long as one HSM holds the key that ciphertext was made with, or opens nothing, only a person can know.
    @Test(
        "a dispute goes on while an HSM here holds the disputed key, or not the other nodes', or nobody lives who proves it"
    )
    func dispute() {
        for (values, live, age) in [
            ([1, 2], true, 7_200), ([3, 3], true, 7_200), ([2, 3], true, 7_200), ([2, 2], false, 60),
        ]
            as [([UInt8], Bool, Int64)]
        {
            var bench = ProofBench(["a", "b"])
            for hsm in 0...1 { bench.put("k", 1, on: hsm) }
            bench.settle()
            bench.wait(11)
            bench.know(["n2"], live: live ? ["n2"] : [])
            for (hsm, value) in [UInt8(3), 3].enumerated() { bench.put("k", value, on: hsm) }
            bench.settle()
            #expect(bench.proof.matrix().first?.dispute != nil)
            bench.exchange([other(age: age)], with: "n2")
            for (hsm, value) in values.enumerated() { bench.put("k", value, on: hsm) }
            bench.settle()
            bench.wait(100)
            bench.run()
            #expect(bench.proof.matrix().first?.dispute != nil && bench.holders("k").isEmpty, "\(values)")
        }
    }

    @Test("what nothing here opens may be under the key of an HSM that is excluded at another node")
    func excludedElsewhere() throws {
        var far = ProofBench(["b", "c"], canaries: [oldCanary("k", 1, maker: "a")])
        far.put("k", 1, on: 0)
        far.put("k", 2, on: 1)
        far.settle()
        let told = try #require(far.proof.announced().first)
        #expect(told.history.excludes)

        var bench = node()
        bench.exchange([told], with: "n2")
        #expect(!bench.proof.hasDisagreements && bench.encrypting("k") == [0])
        #expect(bench.proof.word(onCiphertextOf: "k") == .elsewhere(["n2"]))
        bench.know(["n2", "n3"], live: ["n3"])
        #expect(bench.proof.word(onCiphertextOf: "k") == .elsewhere([]), "nobody can be asked who could open it")

        // That HSM gets the right key.
        far.put("k", 1, on: 1)
        far.settle()
        let later = try #require(far.proof.announced().first)
        #expect(!later.history.excludes)
        bench.exchange([later], with: "n2")
        #expect(bench.proof.word(onCiphertextOf: "k") == .invalid)
    }

    @Test("it is over when the peer takes our canary over, has none any more, or is no member any more")
    func over() {
        for event in 0..<3 {
            var bench = node()
            bench.exchange([other()], with: "n2")
            bench.run()
            #expect(bench.proof.hasDisagreements)
            switch event {
            case 0: bench.exchange([oldCanary("k", 1, maker: "a")], with: "n2")
            case 1: bench.exchange([], with: "n2")
            default: bench.know(["n3"])
            }
            bench.know(["n3"])
            #expect(!bench.proof.hasDisagreements && bench.encrypting("k") == [0], "event \(event)")
            #expect(bench.proof.word(onCiphertextOf: "k") == .invalid)
        }
    }

    @Test("a better canary is tried by every HSM that lists the key, and is taken over when one opens it")
    func otherHSM() {
        var bench = ProofBench(["x", "y"], canaries: [oldCanary("k", 1, maker: "x")])
        bench.put("k", 1, on: 0)
        bench.put("k", 2, on: 1)
        bench.settle()
        #expect(bench.holders("k") == [0])
        bench.know(["n2", "n3"])
        for node in ["n2", "n3"] { bench.exchange([other()], with: node) }
        bench.run()
        // Without asking the HSM that was excluded, this node would not encrypt at all.
        #expect(bench.holders("k") == [1] && bench.encrypting("k") == [1])
        #expect(bench.proof.different("k") == [0] && !bench.proof.hasDisagreements)
    }

    /// Without a word on the ciphertext of contested keys it was `.invalid`.
    @Test("nothing final is said of a ciphertext while a peer's canary has not been tried, nor after a restart amid it")
    func unsettled() {
        var bench = node()
        bench.exchange([other()], with: "n2")
        guard case .unknown = bench.proof.word(onCiphertextOf: "k") else {
            Issue.record("\(bench.proof.word(onCiphertextOf: "k"))")
            return
        }
        bench.run()
        var later = ProofBench(["a"], canaries: bench.stored.values.map { $0 })
        later.put("k", 1, on: 0)
        later.settle()
        later.know(["n2"], live: [], exchanged: [])
        #expect(later.proof.word(onCiphertextOf: "k") != .invalid, "n2 may hold the key of this ciphertext")
        later.exchange([oldCanary("k", 1, maker: "a")], with: "n2")
        later.know(["n2"])
        #expect(later.proof.word(onCiphertextOf: "k") == .invalid)
    }
}

@Suite("Key proof: first sight in a cluster")
struct KeyProofClusterSightTests {
    private func fresh(_ value: UInt8 = 1, isSought: Bool = true) -> ProofBench {
        var bench = ProofBench(["a"])
        bench.know([], isSought: isSought)
        bench.put("k", value, on: 0)
        bench.settle()
        return bench
    }

    @Test("a key that is new serves when another node has been informed, or after ten seconds alone")
    func waiting() {
        // Without the wait it served before any other node had been informed.
        var bench = fresh()
        #expect(bench.holders("k").isEmpty && bench.proof.announced().map(\.label) == ["k"] && bench.stored.isEmpty)
        #expect(bench.proof.announced().first?.history.isProvisional == true && bench.proof.shared().isEmpty)
        bench.wait(9.9)
        #expect(bench.holders("k").isEmpty)
        bench.wait(0.1)
        #expect(bench.holders("k") == [0] && bench.log.contains(.decidedAlone(label: "k")))
        #expect(bench.proof.word(onCiphertextOf: "k") == .invalid, "no member is known")

        var announced = fresh()
        announced.know(["n2"], exchanged: [])
        #expect(announced.holders("k").isEmpty)
        announced.exchange([], with: "n2")
        announced.know(["n2"])
        #expect(announced.holders("k") == [0] && !announced.log.contains(.decidedAlone(label: "k")))

        #expect(fresh(isSought: false).holders("k") == [0], "there is no other node")
    }

    /// Without a word on the ciphertext of keys that nobody has confirmed it was `.invalid`.
    @Test("who decides alone while a member is away says nothing final until it has exchanged canaries with one")
    func alone() {
        var bench = fresh()
        bench.know(["n2"], live: [], exchanged: [])
        bench.wait(10)
        #expect(bench.holders("k") == [0])
        for _ in 0..<2 {
            guard case .unknown = bench.proof.word(onCiphertextOf: "k") else {
                Issue.record("\(bench.proof.word(onCiphertextOf: "k"))")
                return
            }
            #expect(bench.stored["k"]?.history.isUnconfirmed == true)
            // It outlasts a restart.
            let stored = bench.stored
            bench = ProofBench(["a"], canaries: stored.values.map { $0 })
            bench.stored = stored
            bench.put("k", 1, on: 0)
            bench.settle()
            bench.know(["n2"], live: [], exchanged: [])
        }
        bench.exchange([oldCanary("k", 1, maker: "a")], with: "n2")
        bench.run()
        bench.know(["n2"])
        #expect(bench.proof.word(onCiphertextOf: "k") == .invalid && bench.stored["k"]?.history.isUnconfirmed == false)
    }

    @Test("of two fresh nodes with different keys only one serves its own; the other one's HSM is out")
    func twoFresh() {
        var nodes = [fresh(1), fresh(2)]
        for node in 0..<2 { nodes[node].know(["n\(1 - node)"], exchanged: []) }
        for _ in 0..<3 {
            let announced = nodes.map { $0.proof.announced() }
            for node in 0..<2 {
                nodes[node].exchange(announced[1 - node], with: "n\(1 - node)")
                nodes[node].know(["n\(1 - node)"])
                nodes[node].run()
            }
        }
        let serving = (0..<2).filter { !nodes[$0].encrypting("k").isEmpty }
        #expect(serving.count == 1)
        #expect(nodes[0].proof.canary(of: "k")?.sealed == nodes[1].proof.canary(of: "k")?.sealed)
        #expect(nodes.contains { !$0.alarms.isEmpty })
    }
}
