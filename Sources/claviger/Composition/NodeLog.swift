// SPDX-License-Identifier: Apache-2.0
import Logging
import Observability
import XKSProtocol
import XKSService

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

/// Writes one line for each answered request.
struct RequestLogAdapter: RequestObserver {
    let log: RequestLog

    func answered(_ trace: RequestTrace, totalMicroseconds: UInt64) {
        log.record(
            RequestRecord(
                kmsRequestID: trace.metadata?.kmsRequestId,
                operation: trace.operation.map(name) ?? "unknown",
                keyStore: trace.keyStore,
                key: trace.externalKeyID,
                principal: trace.metadata?.awsPrincipalArn,
                kmsOperation: trace.metadata?.kmsOperation,
                kmsKeyARN: trace.metadata?.kmsKeyArn,
                viaService: trace.metadata?.kmsViaService,
                accessKeyID: trace.accessKeyID,
                hsm: trace.hsm,
                attempts: trace.attempts,
                isHedged: trace.isHedged,
                totalMicroseconds: Int(clamping: totalMicroseconds),
                hsmMicroseconds: trace.hsm == nil ? nil : Int(clamping: trace.hsmMicroseconds),
                waitedMicroseconds: trace.waitedMicroseconds == 0 ? nil : Int(clamping: trace.waitedMicroseconds),
                forwardedBy: trace.forwardedBy,
                forwardedTo: trace.forwardedTo,
                status: trace.status,
                outcome: trace.error?.rawValue ?? "ok",
                reason: trace.reason,
                peer: trace.peer))
    }

    /// The operation's name in the specification.
    private func name(_ operation: XKSOperation) -> String {
        switch operation {
        case .health: "GetHealthStatus"
        case .metadata: "GetKeyMetadata"
        case .encrypt: "Encrypt"
        case .decrypt: "Decrypt"
        }
    }
}
