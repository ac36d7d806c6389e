// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import XKSProtocol

/// The limits that the assembler enforces.
package struct AssemblerLimits: Sendable, Equatable {
    /// Largest number of header fields.
    package var headerCount: Int
    /// Largest body in bytes.
    package var bodyBytes: Int

    package init(headerCount: Int, bodyBytes: Int) {
        self.headerCount = headerCount
        self.bodyBytes = bodyBytes
    }
}

/// Makes whole requests of heads and pieces of body, within limits. Pure: no channel, no clock.
///
/// One assembler sees the requests of one HTTP/1.1 connection one after another, or the one request of an HTTP/2
/// stream: `begin`, any number of `append`, `finish`. After a refusal it is back at the start, and its user decides
/// whether the connection can go on.
package struct RequestAssembler {
    /// What `begin` found.
    package struct Beginning: Sendable {
        /// Send `100 Continue` now: the client waits for it, and the body it announced is within the limits.
        package var sendContinue: Bool
        /// The connection cannot carry another request after this one: the client means to leave HTTP on it.
        package var closesAfter: Bool
    }

    private struct Pending {
        var head: RequestHead
        var facts: HeadFacts
        /// nil before the first piece: a header alone costs no memory for a body that may never come.
        var body: SecretBytes?
        var receivedAt: UInt64
    }

    private let limits: AssemblerLimits
    private var pending: Pending?
    /// What was read of the request that was refused last.
    private var refused: Pending?

    package init(limits: AssemblerLimits) {
        self.limits = limits
    }

    /// Bytes of body held for a request that is not finished.
    package var bufferedBytes: Int { pending?.body?.count ?? 0 }

    /// Takes the head of a request, whose first byte came at `receivedAt` (CLOCK_MONOTONIC, nanoseconds).
    package mutating func begin(_ head: RequestHead, receivedAt: UInt64) throws(Refusal) -> Beginning {
        pending = nil
        let facts: HeadFacts
        do throws(Refusal) {
            facts = try HeadFacts(head, limits: limits)
        } catch {
            refused = Pending(head: head, facts: HeadFacts(), body: nil, receivedAt: receivedAt)
            throw error
        }
        pending = Pending(head: head, facts: facts, body: nil, receivedAt: receivedAt)
        let hasBody = facts.isChunked || facts.contentLength.map { $0 > 0 } ?? (head.version == .http2)
        return Beginning(
            sendContinue: facts.expectsContinue && hasBody,
            closesAfter: facts.asksForUpgrade || head.method == "CONNECT")
    }

    /// Takes a piece of the body.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) throws(Refusal) {
        guard let pending else { throw .malformed }
        guard bytes.count <= limits.bodyBytes - (pending.body?.count ?? 0) else {
            refused = pending
            self.pending = nil
            throw .bodyTooLarge
        }
        if let body = pending.body { return body.append(copying: bytes) }
        // A declared length is only a claim: memory is taken as bytes come. Most bodies come in one piece or in two.
        let body = SecretBytes(capacity: min(pending.facts.contentLength ?? bytes.count, 2 * bytes.count))
        body.append(copying: bytes)
        self.pending?.body = body
    }

    /// Takes the end of the request and gives it out.
    package mutating func finish(peer: String, caller: CallerPresence? = nil) throws(Refusal) -> ProxyRequest {
        guard let whole = pending else { throw .malformed }
        pending = nil
        let body = whole.body ?? SecretBytes()
        if let declared = whole.facts.contentLength, declared != body.count {
            refused = whole
            throw .malformed
        }
        return ProxyRequest(
            method: whole.head.method, target: whole.head.target, headers: whole.head.headers, body: body,
            receivedAt: whole.receivedAt, peer: peer, caller: caller)
    }

    /// Gives out what has been read of a request that was refused, for whoever asks what became of it: the head, and the
    /// body as far as it was taken. nil where there is none.
    package mutating func giveUp(peer: String) -> ProxyRequest? {
        let part = pending ?? refused
        abandon()
        guard let part else { return nil }
        return ProxyRequest(
            method: part.head.method, target: part.head.target, headers: part.head.headers,
            body: part.body ?? SecretBytes(), receivedAt: part.receivedAt, peer: peer)
    }

    /// Forgets a request that will not be finished; its body is overwritten.
    package mutating func abandon() {
        pending = nil
        refused = nil
    }
}
