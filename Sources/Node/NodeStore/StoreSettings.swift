// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Whether the store keeps up. While it fails, the node serves all the same, from memory.
package enum StoreHealth: Sendable, Equatable {
    case ok
    /// What is wrong, in words for an operator, and since when.
    case failing(reason: String, sinceUnixSeconds: Int)

    package var isOK: Bool { self == .ok }
}

/// The store's limits. The defaults are meant for everybody; tests narrow them.
package struct StoreSettings: Sendable {
    /// How long what may wait is gathered before it is written, in milliseconds.
    package var flushDelayMilliseconds = 500
    /// Between two attempts while the store fails, in milliseconds.
    package var retryIntervalMilliseconds = 3_000
    /// How long a statement waits for another process's lock, in milliseconds.
    package var busyTimeoutMilliseconds = 1_500
    /// Between two looks at what another process has changed in the block list, in milliseconds.
    package var lookIntervalMilliseconds = 500
    /// Transitions that are kept in memory for a store that fails; the oldest go first.
    package var transitionsInMemory = 1_000
    /// Fields of the matrix key × HSM that are kept in memory; further ones are not taken.
    package var keysInMemory = 100_000
    /// Age at which transitions, and rows of HSMs and keys that nobody has written since, are deleted.
    package var keptDays = 30
    /// Size of the database file that SQLite does not exceed, in bytes.
    package var maximumBytes = 1 << 30
    /// Files set aside because they were corrupt; of more, the oldest are deleted.
    package var corruptFilesKept = 5

    package init() {}
}

/// The Unix time in seconds.
func unixSeconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return now.tv_sec
}
