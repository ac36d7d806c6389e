// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// How lines look.
package enum LogFormat: UInt8, AtomicRepresentable, Sendable, CaseIterable {
    /// One JSON object per line.
    case json
    /// For people at a terminal.
    case text
    /// The same, for a terminal that shows ASCII only: everything else is escaped.
    case ascii
}

/// What the lines of a node have in common. All its loggers share one, and the format may change while they are in use.
package final class LogStyle: Sendable {
    /// The node's name, which each line bears; empty: none.
    package let node: String
    private let current: Atomic<LogFormat>

    package init(node: String = "", format: LogFormat = .json) {
        self.node = node
        current = Atomic(format)
    }

    package var format: LogFormat {
        get { current.load(ordering: .relaxed) }
        set { current.store(newValue, ordering: .relaxed) }
    }
}
