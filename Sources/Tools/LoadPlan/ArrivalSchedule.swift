// SPDX-License-Identifier: Apache-2.0
import Chance

/// When requests are due: an open loop, in which a request is due whether or not those before it have been answered.
/// Times are nanoseconds since the beginning.
package struct ArrivalSchedule: Sendable {
    package enum Spacing: Sendable, Equatable {
        /// All gaps are alike.
        case constant
        /// As from many callers who do not know of each other: a Poisson process.
        case poisson
    }

    /// Rates that can be asked for, requests a second.
    package static let rates: ClosedRange<Double> = 0.1...1_000_000

    private let rate: Double
    private let spacing: Spacing
    private let phase: Double
    private var number = 0.0
    private var moment: Double
    private var random: RandomChoice

    /// - Parameters:
    ///   - rate: requests a second; what is outside of `rates` becomes its nearest end.
    ///   - phase: 0 … 1, the part of a gap by which all of it is later: several schedules interleave.
    ///   - seed: of the Poisson process.
    package init(rate: Double, spacing: Spacing = .constant, phase: Double = 0, seed: UInt64 = 0) {
        self.rate = rate.isFinite ? min(max(rate, Self.rates.lowerBound), Self.rates.upperBound) : 1
        self.spacing = spacing
        self.phase = phase.isFinite ? min(max(phase, 0), 1) : 0
        random = RandomChoice(seed: seed)
        moment = 0
        moment = spacing == .constant ? self.phase / self.rate : random.exponential() / self.rate
    }

    /// When the next request is due. A century is the end of time here.
    package var next: UInt64 { UInt64(min(moment, 3.2e9) * 1e9) }

    /// The request that was next has been taken.
    package mutating func advance() {
        switch spacing {
        case .constant:
            // By its number, so that gaps that are no whole nanoseconds do not add up to a drift.
            number += 1
            moment = (number + phase) / rate
        case .poisson: moment += random.exponential() / rate
        }
    }
}

extension RandomChoice {
    /// A number of the exponential distribution of mean 1, by comparisons alone (von Neumann 1951; Knuth, The Art of
    /// Computer Programming, volume 2, 3.4.1).
    mutating func exponential() -> Double {
        var whole = 0.0
        // Each round ends it with a probability of 63 %.
        while whole < 1_000 {
            let first = fraction()
            var last = first
            var length = 1
            while true {
                let next = fraction()
                guard next < last else { break }
                last = next
                length += 1
            }
            if length % 2 == 1 { return whole + first }
            whole += 1
        }
        return whole
    }
}
