// SPDX-License-Identifier: Apache-2.0
import Logging
import XKSProtocol

extension RequestTrace {
    /// Adds the fields in a fixed order; what is not known is left out.
    func add(to line: inout LogLine) {
        line.add("kmsRequestId", metadata?.kmsRequestId)
        line.add("operation", operation?.rawValue ?? "unknown")
        line.add("keystore", keyStore)
        line.add("key", externalKeyID)
        line.add("principal", metadata?.awsPrincipalArn)
        line.add("hsm", hsm)
        line.add("attempts", attempts)
        if isHedged { line.add("hedged", isHedged) }
        line.add("total_us", totalMicroseconds)
        if hsm != nil { line.add("hsm_us", hsmMicroseconds) }
        if waitedMicroseconds > 0 { line.add("waited_us", waitedMicroseconds) }
        line.add("forwardedBy", forwardedBy)
        line.add("forwardedTo", forwardedTo)
        line.add("outcome", error?.rawValue ?? "ok")
        line.add("status", status)
        line.add("peer", peer)
        line.add("reason", reason)
        line.add("accessKeyID", accessKeyID)
        line.add("kmsOperation", metadata?.kmsOperation)
        line.add("kmsKeyArn", metadata?.kmsKeyArn)
        line.add("viaService", metadata?.kmsViaService)
    }
}

/// The request as one value of swift-log's metadata: the handler of this module finds the trace in it and writes its
/// fields without making a dictionary of them; any other handler shows its description.
///
/// A class: the trace is handed through three layers, and copying it would count the references of a dozen strings.
private final class LoggedRequest: CustomStringConvertible, Sendable {
    let trace: RequestTrace

    init(_ trace: RequestTrace) { self.trace = trace }

    var description: String {
        var line = LogLine(level: .info, message: "", time: LogTime(seconds: 0, microseconds: 0), format: .json)
        trace.add(to: &line)
        return line.finish { String(decoding: $0, as: UTF8.self) }
    }
}

/// Writes one line for each request, through swift-log.
package struct RequestLog: RequestObserver {
    private static let key = "request"
    private let logger: Logger

    /// - Parameter logger: one with a `LineLogHandler`; with another handler the trace is one field, `request`.
    package init(logger: Logger) { self.logger = logger }

    /// Logs at `info`, and at `warning` what was this side's fault (status 500 and above).
    package func answered(_ trace: RequestTrace) {
        logger.log(
            level: trace.status >= 500 && trace.status != 501 ? .warning : .info, "request",
            metadata: [Self.key: .stringConvertible(LoggedRequest(trace))])
    }

    static func trace(in metadata: Logger.Metadata?) -> RequestTrace? {
        guard let metadata, metadata.count == 1, case .stringConvertible(let value)? = metadata[key] else {
            return nil
        }
        return (value as? LoggedRequest)?.trace
    }
}
