// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Logging
import Synchronization

/// The warnings and errors of a node that are the same again and again: a wrong label, a port that is taken, a limit that is
/// reached. All its loggers share one.
package final class RepeatedLines: Sendable {
    /// What differs each time, and says nothing of what it is about.
    private static let volatile: Set<String> = ["pid"]
    /// Lines with these tell of a change, which is news each time.
    private static let changes: Set<String> = ["state", "liveness"]
    private let repetitions: Mutex<Repetitions>
    private let now: @Sendable () -> Int64

    /// - Parameter now: seconds of a clock that is never set back.
    package init(
        now: @escaping @Sendable () -> Int64 = { Int64(clamping: claviger_monotonic_nanoseconds() / 1_000_000_000) }
    ) {
        repetitions = Mutex(Repetitions())
        self.now = now
    }

    /// How often it has happened since the last line about it; `nil` where there is to be none now.
    func happened(_ event: LogEvent) -> Int? {
        guard event.metadata?.keys.contains(where: Self.changes.contains) != true else { return 1 }
        let fields = (event.metadata ?? [:]).filter { !Self.volatile.contains($0.key) }
            .sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let error = event.error.map { ["error=\($0)"] } ?? []
        let key = (["\(event.message)"] + fields + error).joined(separator: ", ")
        return repetitions.withLock { $0.happened(key, now: now()) }
    }

    /// Says of what has been said more than once, and has not happened for two minutes, that it is over. Call it every few
    /// seconds.
    package func sayWhatHasEnded(_ logger: Logger) {
        for ended in repetitions.withLock({ $0.ended(now: now()) }) {
            logger.notice(
                "not seen any more for two minutes",
                metadata: ["what": "\(ended.key)", "times": "\(ended.times)", "seconds": "\(ended.seconds)"])
        }
    }
}
