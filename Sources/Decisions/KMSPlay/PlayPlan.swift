// SPDX-License-Identifier: Apache-2.0
import Chance

/// Which calls begin when: a constant rate, whatever comes of them.
package struct PlayPlan: Sendable {
    /// How often each operation is asked for, as shares of their sum. The health poll has a time of its own.
    package struct Mix: Sendable, Equatable {
        package var shares: [PlayedOperation: Int]

        package static let standard = Mix(shares: [
            .generateDataKey: 45, .decrypt: 45, .reEncrypt: 8, .createKey: 2,
        ])

        package init(shares: [PlayedOperation: Int]) { self.shares = shares }

        /// `generate-data-key=45,decrypt=55`; `nil` for what is not of this form, or asks for nothing.
        package init?(_ text: String) {
            var shares: [PlayedOperation: Int] = [:]
            for part in text.split(separator: ",") {
                let words = part.split(separator: "=", omittingEmptySubsequences: false)
                guard words.count == 2, let operation = PlayedOperation(rawValue: String(words[0])),
                    operation != .healthPoll, shares[operation] == nil, let share = Int(words[1]),
                    (0...1_000_000).contains(share)
                else { return nil }
                shares[operation] = share
            }
            guard shares.values.contains(where: { $0 > 0 }) else { return nil }
            self.shares = shares
        }
    }

    private let interval: UInt64
    private let end: UInt64
    private let pollInterval: UInt64
    private let order: [(operation: PlayedOperation, share: Int)]
    private let sum: Int
    private var random: RandomChoice
    private var nextCall: UInt64 = 0
    private var nextPoll: UInt64 = 0

    /// - Parameters:
    ///   - rate: calls a second, above 0.
    ///   - seconds: for how long calls begin.
    ///   - pollSeconds: between two health polls; the first comes at once.
    package init(mix: Mix, rate: Double, seconds: Double, pollSeconds: Double, seed: UInt64) {
        interval = UInt64(max(1e9 / max(rate, 0.001), 1))
        end = UInt64(max(seconds, 0) * 1e9)
        pollInterval = UInt64(max(pollSeconds, 0.1) * 1e9)
        order = PlayedOperation.allCases.compactMap { operation in
            mix.shares[operation].flatMap { $0 > 0 ? (operation, $0) : nil }
        }
        sum = order.reduce(0) { $0 + $1.share }
        random = RandomChoice(seed: seed)
    }

    /// The next call, and when it begins, nanoseconds from the beginning; `nil` when all have.
    package mutating func next() -> (operation: PlayedOperation, at: UInt64)? {
        if nextPoll <= nextCall, nextPoll < end {
            defer { nextPoll += pollInterval }
            return (.healthPoll, nextPoll)
        }
        guard nextCall < end else { return nil }
        defer { nextCall += interval }
        var left = random.below(sum)
        for entry in order {
            if left < entry.share { return (entry.operation, nextCall) }
            left -= entry.share
        }
        return (.generateDataKey, nextCall)
    }
}
