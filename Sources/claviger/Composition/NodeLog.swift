// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import ConnectionLimits
import Glibc
import Logging
import NodeConfig
import Observability

/// The node's log on standard error.
struct NodeLog: Sendable {
    let logger: Logger
    let requests: RequestLog
    /// Whom the listeners have turned away; said by `RefusalTrail`.
    let refusals: RefusalCounter
    /// Below it nothing is logged.
    let level: LogLevel
    /// Which warnings and errors have a line that are the same again and again; `RefusalTrail` says when they are over.
    let repeated: RepeatedLines
    private let style: LogStyle
    private let sink: LogSink

    static func start(_ settings: NodeIdentitySettings) -> NodeLog {
        let style = LogStyle(node: settings.id, format: format(settings.logFormat))
        let sink = LogSink { LogLine.dropNotice($0, style: style) }
        let level = LogLevel(.info)
        let repeated = RepeatedLines()
        let logger = Logger(label: "claviger") { label in
            LineLogHandler(label: label, sink: sink, style: style, level: level, repeated: repeated)
        }
        let refusals = RefusalCounter { Int64(time(nil)) }
        return NodeLog(
            logger: logger, requests: RequestLog(logger: logger, refusals: refusals), refusals: refusals, level: level,
            repeated: repeated, style: style, sink: sink)
    }

    /// Has lines look so from now on.
    func setFormat(_ setting: LogFormatSetting) { style.format = Self.format(setting) }

    private static func format(_ setting: LogFormatSetting) -> LogFormat {
        switch setting {
        case .json: .json
        case .automatic where isatty(STDERR_FILENO) == 0: .json
        case .automatic, .text: Terminals.showsUnicode ? .text : .ascii
        }
    }

    /// Writes out what is left, for the end of the process.
    func flush() { sink.close() }

    /// The last lines that were written, the oldest first.
    var tail: [String] { sink.tail }

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
