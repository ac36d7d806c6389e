// SPDX-License-Identifier: Apache-2.0
import Routing
import Testing

@Suite("Retry budget")
struct RetryBudgetTests {
    private let second: UInt64 = 1_000_000_000

    /// How many tokens can be taken at a time.
    private func drain(_ budget: inout RetryBudget, now: UInt64) -> Int {
        var count = 0
        while budget.withdraw(now: now) { count += 1 }
        return count
    }

    @Test("it starts full, and ends")
    func start() {
        var budget = RetryBudget(now: 5)
        #expect(drain(&budget, now: 5) == 200)
        #expect(drain(&budget, now: 5) == 0)
    }

    @Test("five operations pay for one retry")
    func operations() {
        var budget = RetryBudget(now: 0)
        _ = drain(&budget, now: 0)
        for _ in 0..<4 { budget.deposit(now: 0) }
        #expect(drain(&budget, now: 0) == 0)
        for _ in 0..<996 { budget.deposit(now: 0) }
        // A fifth is no binary fraction.
        #expect((199...200).contains(drain(&budget, now: 0)))
    }

    @Test("a quiet node earns ten a second")
    func time() {
        var budget = RetryBudget(now: second)
        _ = drain(&budget, now: second)
        #expect(drain(&budget, now: 2 * second) == 10)
        #expect(drain(&budget, now: 2 * second + second / 20) == 0)
        #expect(drain(&budget, now: 2 * second + second / 10) == 1)
    }

    @Test("no more than 200 are saved up")
    func capacity() {
        var budget = RetryBudget(now: 0)
        for _ in 0..<10_000 { budget.deposit(now: 3_600 * second) }
        #expect(drain(&budget, now: 7_200 * second) == 200)
        #expect(drain(&budget, now: .max) == 200)
    }

    @Test("a clock that seems to go back earns nothing")
    func backwards() {
        var budget = RetryBudget(now: 100 * second)
        _ = drain(&budget, now: 100 * second)
        #expect(drain(&budget, now: 50 * second) == 0)
        #expect(drain(&budget, now: 101 * second) == 10)
    }
}
