// SPDX-License-Identifier: Apache-2.0
import Chance
import LoadPlan
import Testing

@Suite("The search of the rate")
struct RateSearchTests {
    /// Steps until it is done, at a proxy of which `verdict` says what becomes of a rate.
    private func run(
        _ search: RateSearch, _ verdict: (Double, _ isConfirmation: Bool) -> RateSearch.Verdict
    ) -> (outcome: RateSearch.Outcome, rates: [Double]) {
        var search = search
        var rates: [Double] = []
        while rates.count < 500 {
            switch search.step {
            case .attempt(let rate):
                rates.append(rate)
                search.add(verdict(rate, false))
            case .confirm(let rate):
                rates.append(rate)
                search.add(verdict(rate, true))
            case .done(let outcome): return (outcome, rates)
            }
        }
        return (.init(rate: .nan), rates)
    }

    @Test(
        "finds what a proxy carries, from above and from below, in few trials",
        arguments: [1.5, 47, 812, 3_170, 40_000])
    func capacity(_ capacity: Double) throws {
        let (outcome, rates) = run(RateSearch(first: 100, most: 100_000)) { rate, _ in
            rate <= capacity ? .holds : .fails
        }
        let found = try #require(outcome.rate)
        #expect(found <= capacity && found > capacity * 0.93, "\(found)")
        #expect(!outcome.isGeneratorsLimit && rates.count < 30)
    }

    @Test("a rate that fails once is tried again, and one hiccup changes nothing")
    func hiccup() throws {
        for place in 0..<12 {
            var number = 0
            let (outcome, _) = run(RateSearch(first: 100, most: 100_000)) { rate, isConfirmation in
                defer { number += 1 }
                return rate <= 1_000 && (number != place || isConfirmation) ? .holds : .fails
            }
            let found = try #require(outcome.rate)
            #expect(found <= 1_000 && found > 930, "\(place): \(found)")
        }
    }

    @Test("what was found has to hold for longer; else a little less is tried")
    func confirmation() throws {
        let (outcome, rates) = run(RateSearch(first: 100, most: 100_000)) { rate, isConfirmation in
            rate <= (isConfirmation ? 850 : 1_000) ? .holds : .fails
        }
        let found = try #require(outcome.rate)
        #expect(found <= 850 && found > 750 && rates.last == found)
        let never = run(RateSearch(first: 100, most: 100_000)) { rate, isConfirmation in
            !isConfirmation && rate <= 1_000 ? .holds : .fails
        }
        #expect(never.outcome == .init(rate: nil, isUnsteady: true))
    }

    @Test("a proxy that carries nothing, and one that carries all")
    func ends() {
        let nothing = run(RateSearch(first: 100, most: 1_000)) { _, _ in .fails }
        #expect(nothing.outcome == .init(rate: nil) && nothing.rates.last == 1)
        let all = run(RateSearch(first: 100, most: 1_000)) { _, _ in .holds }
        #expect(all.outcome == .init(rate: 1_000, isGeneratorsLimit: true))
    }

    @Test("what the generator cannot send is no limit of the proxy's, and is said")
    func generator() throws {
        let (outcome, _) = run(RateSearch(first: 100, most: 100_000)) { rate, _ in rate <= 2_000 ? .holds : .unsent }
        let found = try #require(outcome.rate)
        #expect(outcome.isGeneratorsLimit && found <= 2_000 && found > 1_850)
    }

    @Test("any sequence of verdicts comes to an end")
    func anything() {
        var random = RandomChoice(seed: 11)
        for _ in 0..<500 {
            let first = random.fraction() * 5_000
            let (outcome, rates) = run(RateSearch(first: first, most: 20_000)) { _, _ in
                [.holds, .fails, .unsent][random.below(3)]
            }
            #expect(rates.count < 400 && outcome.rate.map { (0.5...20_000).contains($0) } ?? true)
        }
        #expect(run(RateSearch(first: .nan, most: .nan, precision: .nan)) { _, _ in .fails }.outcome.rate == nil)
    }
}
