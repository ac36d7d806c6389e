// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import Synchronization

/// One header field as it came in; the name keeps its case, the value its inner white space.
package struct HeaderField: Sendable, Equatable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// Whether somebody still waits for the answers on one connection. Shared by the listener, which learns of the end, and
/// by whoever works on its requests.
package final class CallerPresence: Sendable {
    private let hasLeft = Atomic(false)

    package init() {}

    /// The connection is closed: an answer would reach nobody.
    package var isGone: Bool { hasLeft.load(ordering: .relaxed) }

    package func leave() { hasLeft.store(true, ordering: .relaxed) }
}

/// One whole request, as the listener hands it on: bounded in size, nothing in it believed yet.
package struct ProxyRequest: Sendable {
    /// The method as it came in, for example `POST`.
    package var method: String
    /// The request target in origin form, undecoded: path and, after a `?`, the query.
    package var target: String
    /// All header fields in order; HTTP/2's `:authority` appears as `host`.
    package var headers: [HeaderField]
    /// The body. May hold plaintext: it is overwritten when the last holder lets go of it.
    package var body: SecretBytes
    /// When the first byte of the request was seen, nanoseconds of the monotonic clock (CLOCK_MONOTONIC).
    package var receivedAt: UInt64
    /// Address and port of the peer, for the log.
    package var peer: String
    /// nil where it is not known.
    package var caller: CallerPresence?
    /// Of the span of the peer that has passed it on, where that one traces it; never what a client says.
    package var traceContext: TraceContext?
    /// A peer that has passed it on says that a command on that peer's own host makes it (`claviger diagnose`); never what a
    /// client says.
    package var isDiagnostic = false

    package init(
        method: String, target: String, headers: [HeaderField], body: SecretBytes, receivedAt: UInt64, peer: String,
        caller: CallerPresence? = nil
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.receivedAt = receivedAt
        self.peer = peer
        self.caller = caller
    }
}

/// One whole answer. The body is always JSON (`application/json`).
package struct ProxyResponse: Sendable {
    /// HTTP status code.
    package var status: Int
    /// The JSON text. May hold plaintext: it is overwritten when the last holder lets go of it.
    package var body: SecretBytes
    /// Whether the request was signed by one of the key store's credentials, whatever then came of it.
    package var isAuthenticated: Bool

    package init(status: Int, body: SecretBytes, isAuthenticated: Bool = false) {
        self.status = status
        self.body = body
        self.isAuthenticated = isAuthenticated
    }
}

/// Answers requests. `reply` is called exactly once for each request, on any thread.
package protocol ProxyRequestHandler: Sendable {
    func handle(_ request: ProxyRequest, reply: @escaping @Sendable (ProxyResponse) -> Void)
}
