// SPDX-License-Identifier: Apache-2.0

/// Finds the highest rate that a proxy carries: doubles it until it is too much, then halves the distance. A hiccup of a
/// network or of a host is no limit: a rate that fails is tried once more, and the one that was found has to hold for longer.
package struct RateSearch: Sendable {
    /// What came of one rate.
    package enum Verdict: Sendable, Equatable {
        case holds
        case fails
        /// The generator could not send so much: nothing is known of the proxy.
        case unsent
    }

    package enum Step: Sendable, Equatable {
        case attempt(rate: Double)
        /// The rate that was found, for longer.
        case confirm(rate: Double)
        case done(Outcome)
    }

    package struct Outcome: Sendable, Equatable {
        /// Requests a second; `nil` where not even `least` was carried, or nothing held for longer.
        package var rate: Double?
        /// More was not tried: `most` was carried, or the generator sends no more.
        package var isGeneratorsLimit = false
        /// Rates held for a while, and none for longer: the machine, or the proxy, is not the same all the time.
        package var isUnsteady = false

        package init(rate: Double?, isGeneratorsLimit: Bool = false, isUnsteady: Bool = false) {
            self.rate = rate
            self.isGeneratorsLimit = isGeneratorsLimit
            self.isUnsteady = isUnsteady
        }
    }

    private enum Phase: Sendable { case searching, repeating, confirming }

    package static let least = 1.0

    private let precision: Double
    private let most: Double
    private var phase = Phase.searching
    private var current: Double
    /// The highest that held, the lowest that did not; and whether that was the generator's fault.
    private var held: Double?
    private var failed: Double?
    private var isGeneratorsLimit = false
    private var confirmations = 0
    private var outcome: Outcome?

    /// - Parameters:
    ///   - first: requests a second to begin with.
    ///   - most: never more than these.
    ///   - precision: what is found lies less than this part below what would fail.
    package init(first: Double, most: Double, precision: Double = 0.05) {
        self.most = most.isFinite ? max(most, Self.least) : Self.least
        self.precision = precision.isFinite ? max(precision, 0.001) : 0.05
        current = first.isFinite ? min(max(first, Self.least), self.most) : Self.least
    }

    package var step: Step {
        if let outcome { return .done(outcome) }
        return phase == .confirming ? .confirm(rate: current) : .attempt(rate: current)
    }

    /// What came of the step that was asked for.
    package mutating func add(_ verdict: Verdict) {
        guard outcome == nil else { return }
        switch (phase, verdict) {
        case (.confirming, .holds): outcome = Outcome(rate: current, isGeneratorsLimit: isGeneratorsLimit)
        case (.confirming, _):
            confirmations += 1
            // Each time a little less; what does not hold after so many was luck.
            current *= 1 - 2 * precision
            if confirmations >= 6 || current < Self.least {
                outcome = Outcome(rate: nil, isUnsteady: true)
            }
        case (_, .holds):
            phase = .searching
            held = current
            goOn()
        case (.searching, _): phase = .repeating
        case (.repeating, _):
            phase = .searching
            failed = current
            isGeneratorsLimit = verdict == .unsent
            goOn()
        }
    }

    private mutating func goOn() {
        guard let held else {
            guard current > Self.least else {
                outcome = Outcome(rate: nil)
                return
            }
            current = max(current / 2, Self.least)
            return
        }
        guard let failed else {
            if held >= most {
                isGeneratorsLimit = true
                confirm(held)
            } else {
                current = min(held * 2, most)
            }
            return
        }
        if failed - held <= failed * precision { confirm(held) } else { current = Self.round((held + failed) / 2) }
    }

    private mutating func confirm(_ rate: Double) {
        phase = .confirming
        current = rate
    }

    /// Whole numbers where they are large: people read them.
    private static func round(_ rate: Double) -> Double { rate >= 100 ? rate.rounded() : rate }
}
