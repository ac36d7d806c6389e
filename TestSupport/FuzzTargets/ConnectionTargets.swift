// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOEmbedded
import SecureMemory
import Synchronization
import XKSListener
import XKSProtocol

extension FuzzTarget {
    /// A connection of HTTP/1.1, whose first byte says in parts of how many bytes the others arrive.
    static let http1 = FuzzTarget(name: "http1") { feed(.http1, $0) }

    /// The same with frames of HTTP/2.
    static let http2 = FuzzTarget(name: "http2") { feed(.http2, $0) }

    private static func feed(_ version: DetachedConnection.Version, _ bytes: UnsafeRawBufferPointer) -> String? {
        var input = FuzzInput(bytes)
        let size = Int(input.byte())
        var limits = ListenerLimits()
        // So low that an input reaches them.
        (limits.headerBytes, limits.bodyBytes, limits.headerCount) = (1_024, 2_048, 16)
        (limits.bufferedBodyBytes, limits.requestsInFlight, limits.pipelinedRequests) = (8_192, 8, 4)
        limits.streams = 8
        let service = CheckingService(limits: limits)
        let channel = EmbeddedChannel()
        var logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        do {
            let connection = try DetachedConnection(
                version, on: channel, limits: limits, handler: service, logger: logger)
            channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
            for part in input.parts(of: size) where channel.isActive {
                // What is wrong with the input the handlers answer; an error that is left over is no finding.
                _ = try? channel.writeInbound(ByteBuffer(bytes: part))
            }
            channel.embeddedEventLoop.run()
            channel.close(promise: nil)
            channel.embeddedEventLoop.run()
            _ = try? channel.finish(acceptAlreadyClosed: true)
            let left = connection.statistics
            guard left.requestsInFlight == 0, left.bufferedBodyBytes == 0 else {
                return "after its end the connection holds \(left.requestsInFlight) requests and "
                    + "\(left.bufferedBodyBytes) bytes of bodies"
            }
        } catch {
            return "the connection cannot be made: \(error)"
        }
        return service.complaint
    }
}

/// Answers every request at once, and looks whether it is within its limits.
private final class CheckingService: ProxyRequestHandler {
    private let limits: ListenerLimits
    private let found = Mutex<String?>(nil)

    init(limits: ListenerLimits) {
        self.limits = limits
    }

    var complaint: String? { found.withLock { $0 } }

    func handle(_ request: ProxyRequest, reply: @escaping @Sendable (ProxyResponse) -> Void) {
        let size =
            request.target.utf8.count + request.headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        let complaint: String? =
            if request.body.count > limits.bodyBytes {
                "a body of \(request.body.count) bytes was handed on"
            } else if size > 3 * limits.headerBytes {
                // A byte that is no UTF-8 becomes U+FFFD, three bytes.
                "header fields of \(size) bytes were handed on"
            } else if request.headers.count(where: { $0.name.lowercased() == "host" }) > 1 {
                "a request with two hosts was handed on"
            } else if !request.target.hasPrefix("/") {
                "a target that is no path was handed on"
            } else {
                nil
            }
        if let complaint { found.withLock { $0 = $0 ?? complaint } }
        reply(ProxyResponse(status: 200, body: SecretBytes("{}".utf8)))
    }
}
