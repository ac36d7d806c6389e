// SPDX-License-Identifier: Apache-2.0
import Logging
import Observability

/// The node's log: one JSON object a line on standard error.
struct NodeLog: Sendable {
    let logger: Logger
    let requests: RequestLog
    private let sink: LogSink

    static func start() -> NodeLog {
        let sink = LogSink()
        let logger = Logger(label: "claviger") { label in LineLogHandler(label: label, sink: sink) }
        return NodeLog(logger: logger, requests: RequestLog(logger: logger), sink: sink)
    }

    /// Writes out what is left, for the end of the process.
    func flush() { sink.close() }
}
