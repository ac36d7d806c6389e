// SPDX-License-Identifier: Apache-2.0
import Logging
import Synchronization

/// The level below which nothing is logged. All loggers of a node share one, and it may change while they are in use.
package final class LogLevel: Sendable {
    private static let levels = Logger.Level.allCases
    private let index: Atomic<Int>

    package init(_ level: Logger.Level) { index = Atomic(Self.index(of: level)) }

    package var current: Logger.Level {
        let index = index.load(ordering: .relaxed)
        return Self.levels.indices.contains(index) ? Self.levels[index] : .info
    }

    package func set(_ level: Logger.Level) { index.store(Self.index(of: level), ordering: .relaxed) }

    private static func index(of level: Logger.Level) -> Int { levels.firstIndex(of: level) ?? 0 }
}
