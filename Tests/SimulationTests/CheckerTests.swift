// SPDX-License-Identifier: Apache-2.0
import Routing
import Testing

/// A checker that cannot fail shows nothing: each finds what a deliberately broken driver does.
@Suite("Simulation: every checker can fail")
struct CheckerTests {
    @Test(
        "a broken driver is found out",
        arguments: [
            (Sabotage.sleepsThroughTicks, Violation.late), (.swallowsFinishes, .lost), (.finishesTwice, .answeredTwice),
            (.answersEarly, .laneInTwoStates), (.slanders, .outWithoutEvidence), (.retriesByItself, .overBudget),
            (.believesOneWord, .calledInvalid), (.believesOneMissing, .keyGoneTooSoon),
            (.dropsFrames, .failedWithoutNeed), (.forgetsLateAnswers, .leftBehind), (.ignoresRestarts, .notRecovered),
            (.givesUpWorkers, .refusedTooSoon),
        ])
    func brokenDriver(sabotage: Sabotage, violation: Violation) {
        var found: [Violation] = []
        for seed: UInt64 in 0..<200 where !found.contains(violation) {
            var simulation = Simulation(scenario(seed, for: sabotage), sabotage: sabotage)
            simulation.run()
            found += simulation.check.violations.map(\.violation)
        }
        #expect(found.contains(violation), "found only \(found)")
    }

    @Test("chance that does not come from the seed gives another trace")
    func trueChance() {
        var (one, other) = (
            Simulation(Scenario(seed: 3), sabotage: .usesTrueChance), Simulation(Scenario(seed: 3))
        )
        one.run()
        other.run()
        #expect(one.trace.hash != other.trace.hash)
    }

    /// A scenario in which the sabotage shows.
    private func scenario(_ seed: UInt64, for sabotage: Sabotage) -> Scenario {
        var scenario = Scenario(seed: seed)
        switch sabotage {
        case .retriesByItself:
            // Every HSM always refuses, and stays: each request fails at once.
            scenario.gap = millisecond
            scenario.faults = scenario.characters.indices.map {
                Fault(
                    kind: .busy(rate: 1_000), hsm: $0, from: Scenario.start + 100 * millisecond,
                    until: scenario.calmFrom)
            }
        case .forgetsLateAnswers:
            // Otherwise its lanes count as stuck before the end.
            for index in scenario.characters.indices { scenario.characters[index].stuckAfter = 100_000 * millisecond }
        default: break
        }
        return scenario
    }
}
