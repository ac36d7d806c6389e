// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOSSL
import NIOTLS
import TLSFacts
import TLSLinks

/// Who is at the other end of a connection, by the certificate that it has shown.
struct PeerCertificate: Sendable, Equatable {
    /// The node's name.
    let name: String
    let serial: CertificateSerial

    /// `nil` when it bears no node's name, or the names of two.
    init?(_ certificate: NIOSSLCertificate) {
        guard let name = NodeName.of(certificate), let serial = CertificateSerial(octets: certificate.serialNumber)
        else { return nil }
        self.name = name
        self.serial = serial
    }
}

/// Looks at the certificate of a finished handshake, on either side of a connection; nothing else passes before. Who
/// shows no node's name, or a certificate that is refused, or takes too long, is closed.
final class PeerIdentityHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// How long a handshake may take. Longer than a lost packet's second repetition by TCP.
    static let handshakeTime = TimeAmount.seconds(5)

    /// Given who it is, or why nobody; exactly once.
    private var report: ((Result<PeerCertificate, PeerFailure>) -> Void)?
    private let tls: ClusterTLS
    private var timer: Scheduled<Void>?

    /// - Parameters:
    ///   - tls: knows which certificates are refused.
    ///   - report: called on the event loop, exactly once.
    init(tls: ClusterTLS, report: @escaping (Result<PeerCertificate, PeerFailure>) -> Void) {
        self.tls = tls
        self.report = report
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: Self.handshakeTime) {
            let (handler, context) = bound.value
            handler.end(.failure(.handshake("the TLS handshake took too long")), context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(.failure(.closed), context) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event { end(peer(context), context) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.failure(.tls(error)), context)
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.failure(.closed), context)
        context.fireChannelInactive()
    }

    private func peer(_ context: ChannelHandlerContext) -> Result<PeerCertificate, PeerFailure> {
        let pipeline = context.pipeline.syncOperations
        let certificate =
            (try? pipeline.handler(type: NIOSSLServerHandler.self))?.peerCertificate
            ?? (try? pipeline.handler(type: NIOSSLClientHandler.self))?.peerCertificate
        guard let peer = certificate.flatMap(PeerCertificate.init) else {
            return .failure(.handshake("the certificate bears no node's name"))
        }
        // By the list of this moment: it may have changed since the connection was opened.
        guard !tls.refuses(peer, at: context.channel.remoteAddress?.ipAddress ?? "") else {
            return .failure(.revoked(node: peer.name, serial: peer.serial))
        }
        return .success(peer)
    }

    private func end(_ result: Result<PeerCertificate, PeerFailure>, _ context: ChannelHandlerContext) {
        guard let report else { return }
        self.report = nil
        timer?.cancel()
        report(result)
        if case .failure = result { context.close(promise: nil) }
    }
}

/// Why a peer did not answer, in words for the log.
enum PeerFailure: Error, Sendable, Equatable, CustomStringConvertible {
    case badAddress(String)
    case unreachable(String)
    case handshake(String)
    /// The same by TLS: the library's own text, which tells the cause, and is for nobody to read.
    case tls(cause: String, words: String)
    /// Its certificate is among those that `[cluster] refused` names.
    case revoked(node: String, serial: CertificateSerial)
    /// Another node answers at the address.
    case foreign(found: String)
    case closed
    case timeout
    case oversized
    /// HTTP status of an answer that is not what was asked for.
    case refused(Int)
    case malformed
    case busy

    var description: String {
        switch self {
        case .badAddress(let address): "\"\(address)\" is no address"
        case .unreachable(let reason): "no connection: \(reason)"
        case .handshake(let reason), .tls(_, let reason): reason
        case .revoked(let node, let serial): "it shows a certificate of \(node) that is refused (serial \(serial))"
        case .foreign(let found): "the node \(found) answers at its address"
        case .closed: "it closed the connection"
        case .timeout: "no answer in time"
        case .oversized: "its answer is too long"
        case .refused(let status): "it answered with status \(status)"
        case .malformed: "its answer is not of the form"
        case .busy: "too many requests are under way to it"
        }
    }
}

extension PeerFailure {
    /// - Parameter error: whatever has been thrown.
    init(_ error: any Error) { self = error as? PeerFailure ?? .unreachable(Self.words(error)) }

    static func tls(_ error: any Error) -> PeerFailure { .tls(cause: "\(error)", words: words(error)) }

    private static func words(_ error: any Error) -> String { LinkFailure.words(error, authority: "this cluster's CA") }
}

/// Overwrites what has been encrypted: bodies may hold plaintext of KMS requests. Stands right above TLS.
final class OverwritingHandler: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let buffer = unwrapOutboundIn(data)
        let written = promise ?? context.eventLoop.makePromise()
        written.futureResult.whenComplete { _ in buffer.overwrite() }
        context.write(wrapOutboundOut(buffer), promise: written)
    }
}
