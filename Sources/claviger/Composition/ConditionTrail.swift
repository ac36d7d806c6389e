// SPDX-License-Identifier: Apache-2.0
import Conditions
import Logging
import StatusVocabulary
import Synchronization

/// Looks each second at what a person should know of, informs the peers, and says in the log what has begun and ended.
final class ConditionTrail: Sendable {
    private static let interval = Duration.seconds(1)

    /// For those whose state has changed, so that it is looked at now; they are there before the trail is.
    final class Bell: Sendable {
        private let answer = Mutex<(@Sendable () -> Void)?>(nil)

        func ring() { answer.withLock { $0 }?() }

        fileprivate func connect(_ new: @escaping @Sendable () -> Void) { answer.withLock { $0 = new } }
    }

    private let source: PoolStatusSource
    private let logger: Logger
    private let bell: Bell
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(_ source: PoolStatusSource, bell: Bell, logger: Logger) {
        self.source = source
        self.bell = bell
        self.logger = logger
    }

    func start() {
        let new = Task {
            while (try? await Task.sleep(for: Self.interval)) != nil { look() }
        }
        task.withLock { $0 = new }
        bell.connect { [weak self] in Task { self?.look() } }
    }

    private func look() {
        for news in source.look() { say(news) }
    }

    func stop() { task.withLock { $0 }?.cancel() }

    private func say(_ news: ConditionBook.News) {
        switch news {
        case .began(let condition):
            let metadata = full(condition)
            switch condition.severity {
            case .critical: logger.error("condition began", metadata: metadata)
            case .warning: logger.warning("condition began", metadata: metadata)
            case .note: logger.info("condition began", metadata: metadata)
            }
        case .changed(let condition, let before):
            var metadata = full(condition)
            metadata["was"] = "\(before.rawValue)"
            switch condition.severity {
            case .critical: logger.error("condition changed", metadata: metadata)
            case .warning: logger.warning("condition changed", metadata: metadata)
            case .note: logger.info("condition changed", metadata: metadata)
            }
        case .ended(let condition, let seconds, let times):
            var metadata = metadata(condition)
            metadata["lasted_s"] = "\(seconds)"
            metadata["count"] = "\(times)"
            if condition.severity == .note {
                logger.info("condition ended", metadata: metadata)
            } else {
                logger.notice("condition ended", metadata: metadata)
            }
        }
    }

    private func full(_ condition: Condition) -> Logger.Metadata {
        var metadata = metadata(condition)
        metadata["severity"] = "\(condition.severity.rawValue)"
        if let details = condition.details { metadata["details"] = "\(details.joined(separator: "; "))" }
        if let mend = condition.known?.mend { metadata["mend"] = "\(mend)" }
        return metadata
    }

    private func metadata(_ condition: Condition) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["code": "\(condition.code)", "reason": "\(condition.text)"]
        if condition.node != source.name { metadata["node"] = "\(condition.node)" }
        if !condition.subject.isEmpty { metadata["subject"] = "\(condition.subject)" }
        return metadata
    }
}
