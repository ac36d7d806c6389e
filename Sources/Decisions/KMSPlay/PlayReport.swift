// SPDX-License-Identifier: Apache-2.0

/// What KMS's callers have seen.
package struct PlayReport: Sendable, Codable, Equatable {
    package struct Failure: Sendable, Codable, Equatable {
        package var view: CallerView
        package var count: Int
        /// The proxy's first errorMessage for it.
        package var message: String?
    }

    package struct Operation: Sendable, Codable, Equatable {
        package var operation: PlayedOperation
        package var calls = 0
        package var failed = 0
        /// Requests that were tried a second time.
        package var retries = 0
        /// From the moment at which a call should have begun, milliseconds; of those that succeeded.
        package var p50 = 0.0
        package var p99 = 0.0
        package var max = 0.0
        package var failures: [Failure] = []
    }

    package var url: String
    package var key: String
    package var rate: Double
    package var seconds: Double
    package private(set) var operations: [Operation]
    /// Calls that did not begin, because so many were under way: the client's limit, not the proxy's word.
    package var notBegun = 0

    private var times: [PlayedOperation: [Double]] = [:]

    private enum CodingKeys: CodingKey { case url, key, rate, seconds, operations, notBegun }

    package init(url: String, key: String, rate: Double, seconds: Double) {
        self.url = url
        self.key = key
        self.rate = rate
        self.seconds = seconds
        operations = PlayedOperation.allCases.map { Operation(operation: $0) }
    }

    package mutating func add(_ result: PlayedResult, of operation: PlayedOperation, milliseconds: Double) {
        guard let index = operations.firstIndex(where: { $0.operation == operation }) else { return }
        operations[index].calls += 1
        operations[index].retries += result.retries
        guard let view = result.view else {
            times[operation, default: []].append(milliseconds)
            return
        }
        operations[index].failed += 1
        if let known = operations[index].failures.firstIndex(where: { $0.view == view }) {
            operations[index].failures[known].count += 1
        } else {
            operations[index].failures.append(Failure(view: view, count: 1, message: result.message))
        }
    }

    /// Computes what is told of the times, and drops operations that nobody has called.
    package mutating func finish() {
        for index in operations.indices {
            let sorted = (times[operations[index].operation] ?? []).sorted()
            operations[index].p50 = Self.percentile(sorted, 0.5)
            operations[index].p99 = Self.percentile(sorted, 0.99)
            operations[index].max = Self.percentile(sorted, 1)
            operations[index].failures.sort { $0.count > $1.count }
        }
        operations.removeAll { $0.calls == 0 }
        times = [:]
    }

    /// The nearest rank; 0 where there is none.
    private static func percentile(_ sorted: [Double], _ share: Double) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((Double(sorted.count) * share).rounded(.up))
        return (sorted[Swift.min(Swift.max(rank, 1), sorted.count) - 1] * 10).rounded() / 10
    }

    package var calls: Int { operations.reduce(0) { $0 + $1.calls } }
    package var failed: Int { operations.reduce(0) { $0 + $1.failed } }
    /// That something was asked, and every caller got what it asked for.
    package var isGood: Bool { calls > 0 && failed == 0 && notBegun == 0 }

    // MARK: For people

    /// - Parameter sentence: what KMS says, by the word's id.
    package func text(sentence: (String) -> String?) -> String {
        var lines = [
            "\(url), key \(key): \(calls) calls at \(rate) a second, \(failed) failed",
            "operation          calls  failed  retries     p50     p99     max",
        ]
        for one in operations {
            lines.append(
                Self.padded(one.operation.rawValue, 17)
                    + [one.calls, one.failed].map { Self.padded("\($0)", -7) }.joined()
                    + Self.padded("\(one.retries)", -9)
                    + [one.p50, one.p99, one.max].map { Self.padded("\($0)", -8) }.joined())
        }
        for one in operations where !one.failures.isEmpty {
            lines += ["", "What callers of \(one.operation.kmsName) saw:"]
            for failure in one.failures {
                lines.append("  \(failure.count) x \(failure.view.exception) (\(failure.view.cause))")
                if let said = failure.view.word.flatMap(sentence) { lines.append("    \(said)") }
                if let message = failure.message { lines.append("    the proxy said: \(message)") }
            }
        }
        if notBegun > 0 { lines += ["", "\(notBegun) calls did not begin: too many were under way"] }
        return lines.joined(separator: "\n")
    }

    /// To the left where the width is negative.
    private static func padded(_ text: String, _ width: Int) -> String {
        let blanks = String(repeating: " ", count: Swift.max(abs(width) - text.count, 0))
        return width < 0 ? blanks + text : text + blanks
    }
}
