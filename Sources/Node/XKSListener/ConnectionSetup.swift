// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import NIOTLS
import TLSLinks

/// Stands behind the TLS handler until the handshake is over, then makes way for the protocol that was negotiated.
///
/// Nothing of HTTP exists on the connection before that, so a client whose handshake fails costs no more than it.
final class ConnectionSetupHandler: OpeningHandler {
    typealias InboundIn = Any

    let environment: ConnectionEnvironment
    let client: ClientConnection
    private let linger: HandshakeLinger
    private let witness: LinkWitness
    private let deadline: UInt64
    private var hasFailed = false

    init(
        environment: ConnectionEnvironment, client: ClientConnection, linger: HandshakeLinger, witness: LinkWitness,
        deadline: UInt64
    ) {
        self.environment = environment
        self.client = client
        self.linger = linger
        self.witness = witness
        self.deadline = deadline
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        guard client.generation >= environment.table.generation else {
            // Whom to let in has changed in the meantime.
            client.cut()
            return
        }
        do {
            if negotiated == "h2" {
                // Streams have flow control of their own; the connection reads whatever comes.
                try environment.addHTTP2Handlers(to: context.channel, client: client)
                try context.channel.syncOptions?.setOption(.autoRead, value: true)
            } else {
                try environment.addHTTP1Handlers(to: context.channel, client: client)
            }
            client.slowToClose = linger.tls
            context.pipeline.syncOperations.removeHandler(linger, promise: nil)
            witness.succeed(on: context.channel)
            context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        } catch {
            errorCaught(context: context, error: error)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail("TLS handshake failed: \(error)", RefusalKind(firstBytes: linger.firstBytes, error: "\(error)"))
        // After a wrong name NIOSSL closes by itself, without a word. Closing here, an orderly close, would first send
        // the Finished message that TLS 1.2 still holds back, and the client would take the handshake for good.
        if !(error is ClientNameMismatch) { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail("TLS handshake not finished", RefusalKind(firstBytes: linger.firstBytes, error: nil))
        context.fireChannelInactive()
    }

    private func fail(_ cause: String, _ kind: RefusalKind) {
        guard !hasFailed else { return }
        hasFailed = true
        environment.handshakeFailed(client, cause, kind)
    }

    func check(now: UInt64) {
        guard now >= deadline else { return }
        fail("TLS handshake not finished in time", .handshakeTimeout)
        abort()
    }

    /// In the order of TLS, so that the client learns why.
    func abort() { client.close() }
}

extension ConnectionEnvironment {
    func addProtocol(to channel: any Channel, tls: TLSContext?, client: ClientConnection) throws {
        guard let tls else {
            try channel.pipeline.syncOperations.addHandler(FirstBytesHandler(client))
            return try addHTTP1Handlers(to: channel, client: client)
        }
        try channel.pipeline.syncOperations.addHandler(
            SilentHandshakeHandler(environment: self, client: client, tls: tls))
    }

    /// Puts the parser and the handler of HTTP/1 at the end of the pipeline.
    func addHTTP1Handlers(to channel: any Channel, client: ClientConnection) throws {
        var parserLimits = NIOHTTPDecoderLimitConfiguration()
        parserLimits.maxHeaderFieldSize = limits.headerBytes
        parserLimits.maxHeaderListSize = limits.headerBytes
        parserLimits.maxHeaderFieldCount = limits.headerCount
        let parser = HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: parserLimits)
        // The parser keeps at most one unfinished field, and after an upgrade request whatever follows it.
        let decoder = ByteToMessageHandler(parser, maximumBufferSize: limits.headerBytes + 65_536)
        try channel.pipeline.syncOperations.addHandlers([
            decoder, HTTP1Handler(environment: self, client: client),
        ])
    }

    /// Puts TLS first in the pipeline, with the check of the client's name inside the handshake.
    ///
    /// BoringSSL verifies the chain, the dates and the purpose of the client's certificate; then, and before NIOSSL
    /// says that the handshake is complete or lets a byte of HTTP through, the callback looks at the name. In TLS 1.2
    /// our Finished is not sent before that. It also runs on resumed sessions.
    ///
    /// - Parameter deadline: of the handshake, CLOCK_MONOTONIC in nanoseconds.
    func addTLSHandlers(
        to channel: any Channel, tls: TLSContext, client: ClientConnection, deadline: UInt64
    ) throws {
        let handler: NIOSSLServerHandler
        let names = tls.clientNames
        if !names.isEmpty {
            handler = ._makeSSLServerHandler(context: tls.context) { certificate, channel in
                channel.eventLoop.makeCompletedFuture {
                    guard certificate.bears(oneOf: names) else {
                        throw ClientNameMismatch(certificate, expected: names)
                    }
                }
            }
        } else {
            handler = NIOSSLServerHandler(context: tls.context)
        }
        let linger = HandshakeLinger(patience: .milliseconds(Int64(timeouts.linger)), tls: handler)
        client.slowToClose = linger
        let witness = LinkWitness(.server, tally: links)
        try channel.pipeline.syncOperations.addHandlers([
            linger, witness, handler,
            ConnectionSetupHandler(
                environment: self, client: client, linger: linger, witness: witness, deadline: deadline),
        ])
    }
}
