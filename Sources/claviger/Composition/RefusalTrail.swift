// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Glibc
import Logging
import Observability
import Synchronization

/// Says in the log, from time to time, what was only counted: whom the listeners have turned away and why that happens most
/// often, and which trouble is over that was there again and again.
final class RefusalTrail: Sendable {
    private static let interval = Duration.seconds(2)

    private let refusals: RefusalCounter
    private let repeated: RepeatedLines
    private let logger: Logger
    private let report = Mutex(RefusalReport())
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(_ refusals: RefusalCounter, _ repeated: RepeatedLines, logger: Logger) {
        self.refusals = refusals
        self.repeated = repeated
        self.logger = logger
    }

    func start() {
        let new = Task {
            while (try? await Task.sleep(for: Self.interval)) != nil { self.say() }
        }
        task.withLock { $0 = new }
    }

    /// Says what there still is to say.
    func stop() {
        task.withLock { $0 }?.cancel()
        say()
    }

    private func say() {
        repeated.sayWhatHasEnded(logger)
        let counts = refusals.counts
        guard !counts.isEmpty else { return }
        let said = report.withLock { $0.lines(of: counts, now: Int64(time(nil))) }
        for line in said.lines {
            var metadata: Logger.Metadata = [
                "listener": "\(line.listener.rawValue)", "kind": "\(line.kind.rawValue)", "count": "\(line.count)",
                "total": "\(line.total)", "cause": "\(line.kind.likelyCause(at: line.listener))",
            ]
            if let address = line.address { metadata["address"] = "\(address)" }
            if let detail = line.detail { metadata["detail"] = "\(detail)" }
            logger.warning("turned away", metadata: metadata)
        }
        if said.others > 0 {
            logger.warning(
                "turned away, and not said one by one",
                metadata: ["count": "\(said.others)", "more": "claviger status --json has every count"])
        }
    }
}
