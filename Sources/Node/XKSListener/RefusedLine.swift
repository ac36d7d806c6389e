// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SecureMemory
import XKSProtocol

/// The log's line of a request that the listener has refused, until so much of the body has come as the line needs.
///
/// A body that is too large is refused before it is read, and the id that CloudTrail shows stands in its first bytes: of
/// those that still come, and are dropped, the first few are kept until the id is among them.
final class RefusedLine {
    private let observer: any RefusalObserver
    private var trace: RequestTrace
    /// What has been read of the body; nil once the line is written.
    private var body: SecretBytes?

    /// Writes the line at once where the id has been read, or no more of the body will be.
    ///
    /// - Parameters:
    ///   - request: what has been read of it; nil where not even the head was.
    ///   - mayRead: more of its body may come, for `take`. `end` has to follow.
    init(
        _ refusal: Refusal, of request: ProxyRequest?, from peer: String, mayRead: Bool, now: UInt64,
        observer: any RefusalObserver
    ) {
        self.observer = observer
        trace = RequestTrace(of: request, from: peer, now: now)
        trace.status = refusal.status
        trace.error = refusal.error
        trace.reason = "\(refusal.message): \(refusal.kind.likelyCause)"
        if mayRead, let read = request?.body, read.count < RefusedRequest.keptBody, trace.refused?.requestID == nil {
            body = read
        } else {
            observer.refused(trace)
        }
    }

    /// Takes a piece of the body that is dropped.
    func take(_ piece: ByteBuffer) {
        guard let body else { return }
        piece.withUnsafeReadableBytes { bytes in
            let room = max(RefusedRequest.keptBody - body.count, 0)
            body.append(copying: UnsafeRawBufferPointer(rebasing: bytes.prefix(room)))
        }
        if body.count >= RefusedRequest.keptBody { end() }
    }

    /// No more of the body comes.
    func end() {
        guard let body else { return }
        self.body = nil
        trace.refused?.requestID = RefusedRequest.requestID(in: body)
        observer.refused(trace)
    }
}

extension RequestTrace {
    /// What is known of a request that the service has not seen; of one whose head was not read, the peer.
    fileprivate init(of request: ProxyRequest?, from peer: String, now: UInt64) {
        self.init()
        self.peer = peer
        guard let request else { return }
        if let route = try? XKSRoute(target: request.target) {
            operation = route.operation
            keyStore = route.prefix
            externalKeyID = route.externalKeyID
        }
        totalMicroseconds = now > request.receivedAt ? (now - request.receivedAt) / 1_000 : 0
        refused = RefusedRequest(request)
    }
}

extension ConnectionEnvironment {
    /// Counts a refused request, and writes its line, if it is to have one. nil where nothing more is to be said of it.
    func refused(
        _ refusal: Refusal, _ request: @autoclosure () -> ProxyRequest?, of client: ClientConnection, mayRead: Bool
    ) -> RefusedLine? {
        admission.count(refusal, of: client)
        guard let observer = admission.observer, observer.hasLine(peer: client.peer, error: refusal.error) else {
            return nil
        }
        let line = RefusedLine(
            refusal, of: request(), from: client.peer, mayRead: mayRead, now: monotonicNanoseconds(), observer: observer
        )
        return mayRead ? line : nil
    }

    /// Counts a request that nobody has looked at, since its client had gone by then, and writes its line. Where this side
    /// has closed the connection, that has been counted.
    func undelivered(_ request: ProxyRequest, of client: ClientConnection) {
        guard !client.isCut else { return }
        client.count(.answerUndelivered)
        guard let observer = admission.observer, observer.hasLine(peer: client.peer, error: .dependencyTimeout) else {
            return
        }
        var trace = RequestTrace(of: request, from: client.peer, now: monotonicNanoseconds())
        trace.isUndelivered = true
        trace.error = .dependencyTimeout
        trace.status = XKSError.Name.dependencyTimeout.status
        trace.reason = "the connection was closed before the request was looked at: the node had stood still"
        observer.refused(trace)
    }
}
