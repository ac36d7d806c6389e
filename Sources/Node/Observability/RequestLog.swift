// SPDX-License-Identifier: Apache-2.0
import CPlatform
import ConnectionLimits
import Logging
import Synchronization
import XKSProtocol

extension RequestTrace {
    /// Adds the fields in a fixed order; what is not known is left out.
    func add(to line: inout LogLine) {
        // What the body says is as good as proven where the signature that covers it was.
        line.add("kmsRequestId", metadata?.kmsRequestId ?? (accessKeyID == nil ? nil : refused?.requestID))
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
        line.add("outcome", isUndelivered ? "undelivered" : error?.rawValue ?? "ok")
        line.add("status", status)
        line.add("policy", policyStatement)
        line.add("peer", peer)
        line.add("reason", reason)
        line.add("accessKeyID", accessKeyID)
        line.add("kmsOperation", metadata?.kmsOperation)
        line.add("kmsKeyArn", metadata?.kmsKeyArn)
        line.add("viaService", metadata?.kmsViaService)
        line.add("sourceVpc", metadata?.awsSourceVpc)
        line.add("sourceVpce", metadata?.awsSourceVpce)
        line.add("region", region)
        guard let refused else { return }
        line.add("path", refused.path)
        line.add("host", refused.host)
        line.add("nearestPath", refused.nearestPath)
        line.add("authentication", refused.authentication)
        if accessKeyID == nil {
            line.add("claimedRequestId", refused.requestID)
            line.add("claimedAccessKeyID", refused.accessKeyID)
        }
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

/// Writes one line for each request, through swift-log. Of requests that were refused before it was known who asks, only
/// as many have a line as `LineAllowance` lets; all are counted by address.
package final class RequestLog: RequestObserver {
    private static let key = "request"
    private let logger: Logger
    private let refusals: RefusalCounter?
    private let allowance = Mutex(LineAllowance())

    /// - Parameters:
    ///   - logger: one with a `LineLogHandler`; with another handler the trace is one field, `request`.
    ///   - refusals: counts the requests that were refused before it was known who asks.
    package init(logger: Logger, refusals: RefusalCounter? = nil) {
        self.logger = logger
        self.refusals = refusals
    }

    /// Requests that had no line of their own, since the start.
    package var withheldLines: Int { allowance.withLock { $0.withheld } }

    /// Logs at `info`, and at `warning` what was this side's fault (status 500 and above) or came too late.
    package func answered(_ trace: RequestTrace) {
        if trace.accessKeyID == nil {
            guard isForStrangers(trace) else { return }
        } else if trace.isUndelivered {
            refusals?.count(.answerUndelivered, at: .xks, from: NetworkAddress(hostAndPort: trace.peer)?.prefix)
        }
        log(trace)
    }

    /// Counts a request of which it is not known who asks, and says whether it has a line.
    private func isForStrangers(_ trace: RequestTrace) -> Bool {
        let address = NetworkAddress(hostAndPort: trace.peer)?.prefix
        let kind: RefusalKind = trace.error == .authenticationFailed ? .unauthenticated : .unknownPath
        refusals?.count(kind, at: .xks, from: address, detail: trace.reason)
        return admits(address, trace.error)
    }

    private func admits(_ address: AddressPrefix?, _ error: XKSError.Name?) -> Bool {
        allowance.withLock { $0.admits(address, error: error, now: claviger_monotonic_nanoseconds()) }
    }

    private func log(_ trace: RequestTrace) {
        logger.log(
            level: trace.isUndelivered || trace.status >= 500 && trace.status != 501 ? .warning : .info, "request",
            metadata: [Self.key: .stringConvertible(LoggedRequest(trace))])
    }

    /// Each has a line, or is counted by `LineAllowance`.
    static func isRequest(_ metadata: Logger.Metadata?) -> Bool { metadata?[key] != nil }

    static func trace(in metadata: Logger.Metadata?) -> RequestTrace? {
        guard let metadata, metadata.count == 1, case .stringConvertible(let value)? = metadata[key] else {
            return nil
        }
        return (value as? LoggedRequest)?.trace
    }
}

/// The listener has counted them.
extension RequestLog: RefusalObserver {
    package func hasLine(peer: String, error: XKSError.Name) -> Bool {
        admits(NetworkAddress(hostAndPort: peer)?.prefix, error)
    }

    package func refused(_ trace: RequestTrace) { log(trace) }
}
