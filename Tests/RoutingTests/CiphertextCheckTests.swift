// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import Routing
import SeededRandom
import Testing

/// What an HSM of these tests makes of a question; `turn` counts the calls of one HSM from 0.
private typealias Character = @Sendable (_ question: LaneQuestion, _ turn: Int) -> Disposition

private let honest: Character = { question, _ in question == .canary ? .done : .ambiguous }

@Suite("Pool machine: a refused ciphertext")
struct CiphertextCheckTests {
    /// Has HSMs answer everything until the operation ends.
    private func outcome(
        of kind: LaneOperation = .decrypt, _ bench: inout Bench, holders: HSMSet, terms: OperationTerms = .init(),
        hsms: [Character]
    ) -> (outcome: OperationOutcome?, asked: [Dispatch]) {
        var (_, actions) = bench.machine.submit(
            kind, holders: holders, terms: terms, deadline: bench.now + 200 * millisecond, group: 0, now: bench.now)
        var (open, asked) = ([Dispatch](), [Dispatch]())
        for _ in 0..<100 {
            if let finish = actions.finishes.first {
                // Nobody waits for these any more; their lanes are free when they are in.
                for late in open {
                    _ = bench.answer(late, hsms[late.lane.hsm](late.question, turns.next(late.lane.hsm)))
                }
                return (finish.outcome, asked)
            }
            open += actions.dispatches
            asked += actions.dispatches
            guard !open.isEmpty else {
                actions = bench.tick(after: 1)
                continue
            }
            let next = open.removeFirst()
            let hsm = next.lane.hsm
            let word = hsms[hsm](next.question, turns.next(hsm))
            bench.now += millisecond
            actions = bench.answer(next, word)
        }
        return (nil, asked)
    }

    private let turns = Turns()

    @Test(
        "each lane refuses twice in succession and opens a canary, whether the code is clear or not", arguments: 1...3)
    func invalid(hsms: Int) {
        for clear in [Disposition.ambiguous, .callersFault(.ciphertextIsInvalid)] {
            for seed: UInt64 in 0..<40 {
                var bench = Bench(hsms: hsms, lanes: 2, seed: seed)
                let word: Character = { question, _ in question == .canary ? .done : clear }
                let (outcome, asked) = outcome(
                    &bench, holders: HSMSet(0..<hsms), hsms: Array(repeating: word, count: hsms))
                #expect(outcome == .callersFault(.ciphertextIsInvalid))
                #expect([4, 5].contains(asked.count(where: { $0.question == .request })))
                for (lane, questions) in Dictionary(grouping: asked, by: \.lane).mapValues({ $0.map(\.question) }) {
                    #expect(zip(questions, questions.dropFirst()).contains { $0 == (.request, .request) }, "\(lane)")
                }
                #expect(asked.count(where: { $0.question == .canary }) == 2)
                #expect(Set(asked.map(\.lane)).count == 2, "spread over two lanes")
                let refusers = Set(asked.filter { $0.question == .request }.map(\.lane.hsm))
                #expect(hsms == 1 || refusers.count == 2, "of two HSMs, where there are two")
            }
        }
    }

    @Test("an HSM with one lane is enough where it is alone")
    func oneLane() {
        for seed: UInt64 in 0..<40 {
            var bench = Bench(hsms: 1, lanes: 1, seed: seed)
            #expect(outcome(&bench, holders: [0], hsms: [honest]).outcome == .callersFault(.ciphertextIsInvalid))
        }
    }

    /// Without two refusals in direct succession on one session 33 of 4,000 were called invalid with three HSMs, and hardly
    /// any was opened.
    @Test("an HSM that fails every second call never makes good ciphertext invalid", arguments: 1...3)
    func everySecondCall(hsms: Int) {
        let busy: Character = { _, turn in turn.isMultiple(of: 2) ? .ambiguous : .done }
        for seed: UInt64 in 0..<20 {
            var bench = Bench(hsms: hsms, lanes: 2, seed: seed)
            for _ in 0..<200 {
                let (outcome, _) = outcome(
                    &bench, holders: HSMSet(0..<hsms), hsms: Array(repeating: busy, count: hsms))
                #expect(outcome == .done)
            }
        }
    }

    /// While one order of the questions had all three refusals from one HSM, and only a canary from the other, 20 of 4,000
    /// were called invalid beside one HSM, 18 beside two.
    @Test(
        "an HSM that refuses by chance never makes good ciphertext invalid beside one that is well", arguments: [2, 3])
    func byChance(hsms: Int) {
        var dice = RandomChoice(seed: 1)
        let well: Character = { _, _ in .done }
        for seed: UInt64 in 0..<4_000 {
            // A new bench each time: what it has failed at before must not be why it is not believed.
            var bench = Bench(hsms: hsms, lanes: 2, seed: seed)
            let fails = (0..<8).map { _ in dice.chance(500) }
            let chancy: Character = { _, turn in fails[turn % 8] ? .ambiguous : .done }
            turns.begin()
            let (outcome, _) = outcome(
                &bench, holders: HSMSet(0..<hsms), hsms: [chancy] + Array(repeating: well, count: hsms - 1))
            #expect(outcome != .callersFault(.ciphertextIsInvalid))
        }
    }

    /// With a refused canary taken for an opened one all 50 were called invalid.
    @Test("HSMs that open no canary are no witnesses, however many")
    func sick() {
        var bench = Bench(hsms: 3, lanes: 2)
        for _ in 0..<50 {
            let sick: Character = { _, _ in .ambiguous }
            let (outcome, _) = outcome(&bench, holders: [0, 1, 2], hsms: [sick, sick, sick])
            #expect(outcome != .callersFault(.ciphertextIsInvalid) && outcome != .done)
        }
    }

    /// Without a look at what the witnesses have failed at lately the first was called invalid, too.
    @Test("the word of an HSM that has failed lately is not enough, whatever its code")
    func failedLately() throws {
        var bench = Bench(hsms: 1, lanes: 2)
        let retry = try #require(bench.answer(try bench.send([0]), .hsmSuspect).dispatches.first)
        _ = bench.answer(retry, .done)
        let clear: Character = { question, _ in question == .canary ? .done : .callersFault(.ciphertextIsInvalid) }
        #expect(outcome(&bench, holders: [0], hsms: [clear]).outcome?.isUnavailable == true)
        for _ in 0..<100 { _ = bench.answer(try bench.send([0]), .done) }
        #expect(outcome(&bench, holders: [0], hsms: [clear]).outcome == .callersFault(.ciphertextIsInvalid))
    }

    @Test("who refuses what is then opened has failed; who is right has not")
    func refuted() throws {
        var bench = Bench(hsms: 1, lanes: 2)
        let once: Character = { _, turn in turn == 0 ? .ambiguous : .done }
        #expect(outcome(&bench, holders: [0], hsms: [once]).outcome == .done)
        #expect(bench.machine.failureShare(of: 0, now: bench.now) > 0)

        var well = Bench(hsms: 2, lanes: 4)
        for _ in 0..<500 { _ = outcome(&well, holders: [0, 1], hsms: [honest, honest]) }
        #expect(well.machine.failureShare(of: 0, now: well.now) == 0 && well.machine.phase(of: 0) == .serving)
        #expect(well.machine.failureShare(of: 1, now: well.now) == 0 && well.machine.phase(of: 1) == .serving)
    }

    @Test("what the key's HSMs do not open is tried on one that holds another key under the label")
    func excluded() {
        let opens: Character = { _, _ in .done }
        let terms = OperationTerms(excluded: [1])
        var opened = Bench(hsms: 2, lanes: 2)
        #expect(outcome(&opened, holders: [0], terms: terms, hsms: [honest, opens]).outcome == .done)
        var refused = Bench(hsms: 2, lanes: 2)
        let (outcome, asked) = outcome(&refused, holders: [0], terms: terms, hsms: [honest, honest])
        #expect(outcome == .callersFault(.ciphertextIsInvalid) && asked.last?.question == .excluded)
        var silent = Bench(hsms: 2, lanes: 2)
        _ = silent.machine.ended(1, returning: true, now: silent.now)
        #expect(
            self.outcome(&silent, holders: [0], terms: terms, hsms: [honest, honest]).outcome?.isUnavailable == true)
    }

    /// While an operation could wait for a check and have one, each of these kept a share of an HSM's checks for good:
    /// after so many as an HSM has shares, no bad ciphertext that it refused first was looked into any more.
    @Test("one that two HSMs refuse, the first without room for a check, is looked into once and leaves nothing")
    func refusedTwice() throws {
        var bench = Bench(hsms: 2, lanes: 3)
        for hsm in 0..<2 { try bench.teach(hsm) }
        // The first HSM looks into another one, and has room for one at a time.
        let other = bench.submit([0], kind: .decrypt).1
        var open = bench.answer(try #require(other.dispatches.first), .ambiguous).dispatches
        #expect(bench.machine.checksOpen == 1)
        // It is slow to answer, so that the second HSM is asked as well; both refuse.
        let (id, begun) = bench.submit([0, 1], kind: .decrypt)
        let first = try #require(begun.dispatches.first)
        bench.now += 6 * millisecond
        let hedge = try #require(bench.machine.tick(now: bench.now).dispatches.first { $0.operation == id })
        let flights = [first, hedge].sorted { $0.lane.hsm < $1.lane.hsm }
        #expect(flights.map(\.lane.hsm) == [0, 1])
        for flight in flights { open += bench.answer(flight, .ambiguous).dispatches }
        #expect(bench.machine.checksOpen == 2)
        var finished: [OperationOutcome] = []
        while !open.isEmpty {
            let next = open.removeFirst()
            let actions = bench.answer(next, honest(next.question, 0))
            open += actions.dispatches
            finished += actions.finishes.map(\.outcome)
        }
        #expect(finished == Array(repeating: .callersFault(.ciphertextIsInvalid), count: 2))
        #expect(bench.machine.unfinished == 0 && bench.machine.checksOpen == 0)
    }

    @Test("of many at once all are informed, one after the other")
    func flood() throws {
        var bench = Bench(hsms: 1, lanes: 4)
        var (open, finished) = ([Dispatch](), [OperationOutcome]())
        for _ in 0..<4 { open += bench.submit([0], kind: .decrypt).1.dispatches }
        while !open.isEmpty {
            let next = open.removeFirst()
            bench.now += millisecond
            let actions = bench.answer(next, honest(next.question, 0))
            open += actions.dispatches
            finished += actions.finishes.map(\.outcome)
        }
        #expect(finished == Array(repeating: .callersFault(.ciphertextIsInvalid), count: 4))
        #expect(bench.machine.unfinished == 0 && bench.machine.lanes(of: 0).busy == 0)
    }
}

/// How many calls each HSM has had.
private final class Turns {
    private var turns: [Int: Int] = [:]

    func begin() { turns = [:] }

    func next(_ hsm: Int) -> Int {
        defer { turns[hsm, default: 0] += 1 }
        return turns[hsm, default: 0]
    }
}
