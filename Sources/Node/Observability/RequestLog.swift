// SPDX-License-Identifier: Apache-2.0
import Logging

/// What is logged of one request: what XKS 1.0.3 ("Logging") asks for, and where its time went.
///
/// Nothing secret belongs in here: no plaintext, no signature, no PIN.
package struct RequestRecord: Sendable {
    /// `requestMetadata.kmsRequestId`; `nil` when the body could not be read so far.
    package var kmsRequestID: String?
    /// Of the API: `Encrypt`, `Decrypt`, `GetKeyMetadata`, `GetHealthStatus`.
    package var operation: String
    /// The key store's path prefix.
    package var keyStore: String?
    /// The external key id.
    package var key: String?
    /// `requestMetadata.awsPrincipalArn`.
    package var principal: String?
    /// `requestMetadata.kmsOperation`.
    package var kmsOperation: String?
    /// `requestMetadata.kmsKeyArn`.
    package var kmsKeyARN: String?
    /// `requestMetadata.kmsViaService`.
    package var viaService: String?
    /// Of the credential that signed.
    package var accessKeyID: String?
    /// Name of the HSM whose answer was used.
    package var hsm: String?
    /// HSM calls begun for the request.
    package var attempts: Int
    /// One of them was made beside another that was slower than usual.
    package var isHedged: Bool
    /// From the first byte of the request to the last of the answer, microseconds.
    package var totalMicroseconds: Int
    /// Inside the HSM's library, the used attempt only, microseconds.
    package var hsmMicroseconds: Int?
    /// How long it waited for an HSM's lane to become free; `nil` where it did not.
    package var waitedMicroseconds: Int?
    /// The node that passed the request on to this one.
    package var forwardedBy: String?
    /// The node that answered it for this one.
    package var forwardedTo: String?
    /// HTTP status.
    package var status: Int
    /// `ok`, or the API's error name.
    package var outcome: String
    /// For people: which statement refused, which call failed.
    package var reason: String?
    /// Address and port of the peer.
    package var peer: String

    package init(
        kmsRequestID: String? = nil, operation: String, keyStore: String? = nil, key: String? = nil,
        principal: String? = nil, kmsOperation: String? = nil, kmsKeyARN: String? = nil, viaService: String? = nil,
        accessKeyID: String? = nil, hsm: String? = nil, attempts: Int = 0, isHedged: Bool = false,
        totalMicroseconds: Int,
        hsmMicroseconds: Int? = nil, waitedMicroseconds: Int? = nil, forwardedBy: String? = nil,
        forwardedTo: String? = nil, status: Int,
        outcome: String, reason: String? = nil, peer: String
    ) {
        self.kmsRequestID = kmsRequestID
        self.operation = operation
        self.keyStore = keyStore
        self.key = key
        self.principal = principal
        self.kmsOperation = kmsOperation
        self.kmsKeyARN = kmsKeyARN
        self.viaService = viaService
        self.accessKeyID = accessKeyID
        self.hsm = hsm
        self.attempts = attempts
        self.isHedged = isHedged
        self.totalMicroseconds = totalMicroseconds
        self.hsmMicroseconds = hsmMicroseconds
        self.waitedMicroseconds = waitedMicroseconds
        self.forwardedBy = forwardedBy
        self.forwardedTo = forwardedTo
        self.status = status
        self.outcome = outcome
        self.reason = reason
        self.peer = peer
    }

    /// Adds the fields in a fixed order; what is `nil` is left out.
    func add(to line: inout LogLine) {
        line.add("kmsRequestId", kmsRequestID)
        line.add("operation", operation)
        line.add("keystore", keyStore)
        line.add("key", key)
        line.add("principal", principal)
        line.add("hsm", hsm)
        line.add("attempts", attempts)
        if isHedged { line.add("hedged", isHedged) }
        line.add("total_us", totalMicroseconds)
        if let hsmMicroseconds { line.add("hsm_us", hsmMicroseconds) }
        if let waitedMicroseconds { line.add("waited_us", waitedMicroseconds) }
        line.add("forwardedBy", forwardedBy)
        line.add("forwardedTo", forwardedTo)
        line.add("outcome", outcome)
        line.add("status", status)
        line.add("peer", peer)
        line.add("reason", reason)
        line.add("accessKeyID", accessKeyID)
        line.add("kmsOperation", kmsOperation)
        line.add("kmsKeyArn", kmsKeyARN)
        line.add("viaService", viaService)
    }
}

/// The request as one value of swift-log's metadata: the handler of this module finds the record in it and writes its
/// fields without making a dictionary of them; any other handler shows its description.
///
/// A class: the record is handed through three layers, and copying it would count the references of a dozen strings.
private final class RequestMetadata: CustomStringConvertible, Sendable {
    let record: RequestRecord

    init(record: RequestRecord) { self.record = record }

    var description: String {
        var line = LogLine(level: .info, message: "", time: LogTime(seconds: 0, microseconds: 0), format: .json)
        record.add(to: &line)
        return line.finish { String(decoding: $0, as: UTF8.self) }
    }
}

/// Writes one line for each request, through swift-log.
package struct RequestLog: Sendable {
    private static let key = "request"
    private let logger: Logger

    /// - Parameter logger: one with a `LineLogHandler`; with another handler the record is one field, `request`.
    package init(logger: Logger) { self.logger = logger }

    /// Logs at `info`, and at `warning` what was this side's fault (status 500 and above).
    package func record(_ record: RequestRecord) {
        logger.log(
            level: record.status >= 500 && record.status != 501 ? .warning : .info, "request",
            metadata: [Self.key: .stringConvertible(RequestMetadata(record: record))])
    }

    static func record(in metadata: Logger.Metadata?) -> RequestRecord? {
        guard let metadata, metadata.count == 1, case .stringConvertible(let value)? = metadata[key] else {
            return nil
        }
        return (value as? RequestMetadata)?.record
    }
}
