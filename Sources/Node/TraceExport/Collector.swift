// SPDX-License-Identifier: Apache-2.0
import AsyncHTTPClient
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import RequestTraces
import XKSProtocol

/// Where traces go.
package struct TraceDestination: Sendable, Equatable {
    /// `http://…` or `https://…`, with its path.
    package var url: String
    /// Sent with each message, for authorization for example. Secret.
    package var headers: [HeaderField]
    /// That the collector's certificate may be signed by; `nil`: those of the system.
    package var authorities: [NIOSSLCertificate]?
    /// Whether keys are named.
    package var showsKeys: Bool

    package init(
        url: String, headers: [HeaderField] = [], authorities: [NIOSSLCertificate]? = nil, showsKeys: Bool = false
    ) {
        self.url = url
        self.headers = headers
        self.authorities = authorities
        self.showsKeys = showsKeys
    }
}

extension TraceDestination {
    /// Sends a message that holds no span.
    ///
    /// - Returns: why it is not taken, for people; `nil` where it is.
    package func trouble(within patience: Duration = .seconds(5)) async -> String? {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let collector = Collector(self, group: group)
        let (answer, reason) = await collector.post(#"{"resourceSpans":[]}"#, within: patience)
        await collector.close()
        try? await group.shutdownGracefully()
        if case .taken = answer { return nil }
        return reason
    }
}

/// A collector that is given one message after the other.
final class Collector: Sendable {
    /// Nothing that a collector answers is longer, bytes.
    private static let longestAnswer = 64 * 1_024

    let destination: TraceDestination
    private let client: HTTPClient

    init(_ destination: TraceDestination, group: MultiThreadedEventLoopGroup) {
        self.destination = destination
        var tls = TLSConfiguration.makeClientConfiguration()
        if let authorities = destination.authorities { tls.trustRoots = .certificates(authorities) }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls, redirectConfiguration: .disallow)
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = .seconds(5)
        // How often a message is tried is decided elsewhere.
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroup: group, configuration: configuration)
    }

    func close() async { try? await client.shutdown() }

    /// - Returns: what came of it, and, where it was not taken, why, for people.
    func post(_ text: String, within patience: Duration) async -> (TraceOutbox.Answer, reason: String) {
        var request = HTTPClientRequest(url: destination.url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        for header in destination.headers { request.headers.add(name: header.name, value: header.value) }
        request.body = .bytes(ByteBuffer(string: text))
        do {
            let (status, body) = try await execute(request, within: patience)
            switch status {
            case 200..<300: return (.taken(rejecting: ExportResponse.rejectedSpans(body)), "")
            // OTLP 1.x, "Retryable Response Codes".
            case 429, 502, 503, 504: return (.notNow, "it answers \(status)")
            default: return (.refused, "it answers \(status)")
            }
        } catch {
            return (.notNow, Self.words(error))
        }
    }

    private struct TimeIsOver: Error {}

    /// The library's own limit ends with the head of the answer.
    private func execute(_ request: HTTPClientRequest, within patience: Duration) async throws -> (UInt, [UInt8]) {
        try await withThrowingTaskGroup(of: (UInt, [UInt8]).self) { group in
            group.addTask { [client] in
                let response = try await client.execute(request, timeout: TimeAmount(patience))
                var body = try await response.body.collect(upTo: Self.longestAnswer)
                return (response.status.code, body.readBytes(length: body.readableBytes) ?? [])
            }
            group.addTask {
                try await Task.sleep(for: patience)
                throw TimeIsOver()
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw TimeIsOver() }
            return first
        }
    }

    /// Without what was sent, which a library's error might hold.
    private static func words(_ error: any Error) -> String {
        switch error {
        case is TimeIsOver: "no answer in time"
        case let error as HTTPClientError where [.deadlineExceeded, .connectTimeout].contains(error):
            "no answer in time"
        case is NIOTooManyBytesError: "its answer is too long"
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError: words(error)
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: "TLS: \(error)"
        case let error as HTTPClientError: error.shortDescription
        case is HTTPParserError: "its answer is no HTTP"
        default: "\(type(of: error))"
        }
    }

    private static func words(_ error: NIOConnectionError) -> String {
        if let first = error.connectionErrors.first { return words(first.error) }
        return error.dnsAError != nil || error.dnsAAAAError != nil ? "its name is not known" : "no connection"
    }
}
