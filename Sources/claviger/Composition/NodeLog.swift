// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import ConnectionLimits
import Glibc
import Logging
import Observability

/// The node's log: one JSON object a line on standard error.
struct NodeLog: Sendable {
    let logger: Logger
    let requests: RequestLog
    /// Whom the listeners have turned away; said by `RefusalTrail`.
    let refusals: RefusalCounter
    /// Below it nothing is logged.
    let level: LogLevel
    private let sink: LogSink

    static func start() -> NodeLog {
        let sink = LogSink()
        let level = LogLevel(.info)
        let logger = Logger(label: "claviger") { label in LineLogHandler(label: label, sink: sink, level: level) }
        let refusals = RefusalCounter { Int64(time(nil)) }
        return NodeLog(
            logger: logger, requests: RequestLog(logger: logger, refusals: refusals), refusals: refusals, level: level,
            sink: sink)
    }

    /// Writes out what is left, for the end of the process.
    func flush() { sink.close() }

    /// For `claviger status --json`.
    var status: LogStatus {
        let dropped = sink.droppedLines
        return LogStatus(
            level: level.current.rawValue,
            dropped: Dictionary(uniqueKeysWithValues: LogRoom.allCases.map { ($0.rawValue, dropped[$0]) }),
            withheld: requests.withheldLines, waitingBytes: sink.waitingBytes)
    }
}

extension RefusalStatus {
    init(_ count: RefusalCount) {
        self.init(
            listener: count.listener.rawValue, kind: count.kind.rawValue, address: count.address?.description,
            count: count.count, first: count.first, last: count.last, detail: count.detail,
            cause: count.kind.likelyCause(at: count.listener))
    }
}
