// SPDX-License-Identifier: Apache-2.0
import AccessControl
import LaneProtocol
import Routing
import SecureMemory
import SigV4
import Synchronization
import XKSProtocol

/// The way of a request: path, key store, signature, body, key, HSM, answer.
///
/// Everything up to the HSM is decided where the request came in, without waiting; what comes after runs where the
/// HSM's answer came in. Errors are translated into the API's names in one place (`OutcomeTranslation`).
package final class XKSService: ProxyRequestHandler {
    let pool: any KeyOperationPool
    let neighbours: ServiceNeighbours
    let clocks: ServiceClocks
    private let setup: Mutex<ServiceSetup>
    private let observer: any RequestObserver
    private let inFlight = Atomic<Int>(0)
    let passedOn = PassedOnRequests()
    /// What signatures say of this node's clock.
    package let signedClock = SignedClock()
    let nodeShare = NodeShare()
    /// Requests of this host's own commands.
    package let diagnostics = DiagnosticRequests()

    package init(
        settings: ServiceSettings, pool: any KeyOperationPool, neighbours: ServiceNeighbours,
        observer: any RequestObserver, clocks: ServiceClocks
    ) throws(AccessControlError) {
        setup = Mutex(try ServiceSetup(settings))
        self.pool = pool
        self.neighbours = neighbours
        self.observer = observer
        self.clocks = clocks
    }

    /// Works by other settings from the next request on; requests under way end by those they began with.
    package func replace(settings: ServiceSettings) throws(AccessControlError) {
        let new = try ServiceSetup(settings, after: setup.withLock { $0 })
        setup.withLock { $0 = new }
    }

    /// Path prefixes of the key stores for which an authenticated request has come since that moment (CLOCK_MONOTONIC,
    /// nanoseconds).
    package func keyStoresUsed(since moment: UInt64) -> [String] {
        setup.withLock { $0 }.uses.filter { $0.last > moment }.map(\.prefix)
    }

    /// When each access key was last used since this process has it (CLOCK_MONOTONIC, nanoseconds), without those that
    /// were not.
    package func credentialUses() -> [String: UInt64] {
        setup.withLock { $0 }.uses.flatMap(\.credentials).reduce(into: [:]) { uses, credential in
            let last = credential.last.load(ordering: .relaxed)
            if last > 0 { uses[credential.accessKeyID] = max(uses[credential.accessKeyID] ?? 0, last) }
        }
    }

    var currentSetup: ServiceSetup { setup.withLock { $0 } }

    /// Requests that have not been answered.
    package var requestsInFlight: Int { inFlight.load(ordering: .relaxed) }

    package func handle(_ request: ProxyRequest, reply: @escaping @Sendable (ProxyResponse) -> Void) {
        if let caller = request.caller, caller.isGone {
            // Nobody waits for it, and nobody has proven who asked: no HSM is asked, and no line of log is written.
            let error = XKSError(.dependencyTimeout, "the caller has closed the connection")
            return reply(.failure(error))
        }
        let setup = setup.withLock { $0 }
        handle(
            Exchange(
                request: request, deadline: request.receivedAt &+ setup.settings.deadline, setup: setup, reply: reply))
    }

    /// Answers a request that a peer has passed on. It is checked like any other, and not passed on again.
    ///
    /// - Parameters:
    ///   - peer: name of the node.
    ///   - isSurplus: the peer's HSMs are well, and it has more than they can do.
    ///   - deadline: what the peer leaves of the request's time, CLOCK_MONOTONIC of this host, nanoseconds.
    package func handle(
        _ request: ProxyRequest, forwardedBy peer: String, isSurplus: Bool = false, deadline: UInt64,
        reply: @escaping @Sendable (ProxyResponse) -> Void
    ) {
        let setup = setup.withLock { $0 }
        let exchange = Exchange(
            request: request, deadline: min(deadline, request.receivedAt &+ setup.settings.deadline), setup: setup,
            reply: reply)
        exchange.forwardedBy = peer
        exchange.isSurplus = isSurplus
        exchange.trace.forwardedBy = peer
        handle(exchange)
    }

    private func handle(_ exchange: Exchange) {
        inFlight.add(1, ordering: .relaxed)
        do throws(XKSError) {
            try begin(exchange)
        } catch {
            finish(exchange, .failure(error), error: error)
        }
    }

    /// Everything that can be said before an HSM is asked. Answers the request, or hands it on to what will.
    private func begin(_ exchange: Exchange) throws(XKSError) {
        let request = exchange.request
        let route = try XKSRoute(target: request.target)
        exchange.trace.operation = route.operation
        exchange.trace.keyStore = route.prefix
        exchange.trace.externalKeyID = route.externalKeyID
        guard request.method == "POST" else { throw .methodNotAllowed }
        guard let position = exchange.setup.directory.position(ofPrefix: route.prefix) else {
            throw noKeyStore(exchange)
        }
        exchange.position = position
        let store = exchange.setup.settings.keyStores[position]
        try authenticate(exchange, store)
        if neighbours.audit?.isRefusing == true {
            throw XKSError(.internalFailure, "no audit records can be written at the moment")
        }
        switch route.operation {
        case .health: try health(exchange, store)
        case .metadata: try keyMetadata(exchange, store, route.externalKeyID)
        case .encrypt: try encrypt(exchange, store, route.externalKeyID)
        case .decrypt: try decrypt(exchange, store, route.externalKeyID)
        }
    }

    /// Another node may have the key store. It is not asked: nobody has proven yet who sends this.
    private func noKeyStore(_ exchange: Exchange) -> XKSError {
        guard case .elsewhere(_, let reason) = neighbours.offers.wordOnUnoffered() else {
            return XKSError(.invalidURIPath, "there is no key store under this path prefix")
        }
        exchange.trace.reason = "there is no key store under this path prefix here, and \(reason)"
        return XKSError(
            .internalFailure, "this node has no key store under this path prefix, and another one may have it")
    }

    private func authenticate(_ exchange: Exchange, _ store: ServedKeyStore) throws(XKSError) {
        do throws(AuthenticationFailure) {
            let now = clocks.wall()
            let identity = try store.verifier.verify(exchange.request, now: now)
            exchange.skew = now &- identity.signedAt
            exchange.trace.accessKeyID = identity.accessKeyID
            exchange.trace.region = identity.region
            exchange.credentialPosition = identity.position
            exchange.isAuthenticated = true
        } catch {
            if case .clockSkew = error {
                signedClock.noteBeyondTolerance(at: exchange.request.receivedAt) {
                    store.verifier.signedTime(exchange.request).map { clocks.wall() &- $0 }
                }
            }
            var refused = RefusedRequest(exchange.request)
            refused.authentication = error.code
            refused.accessKeyID = SigV4Verifier.claimedAccessKeyID(exchange.request.headers)
            exchange.trace.refused = refused
            exchange.trace.reason = error.description
            throw XKSError(.authenticationFailed, error.clientMessage)
        }
    }

    /// Takes in what the body says of the request.
    func read(_ metadata: RequestMetadata, into exchange: Exchange) {
        let request = exchange.request
        exchange.read(
            metadata,
            isDiagnostic: request.isDiagnostic || diagnostics.contains(metadata.kmsRequestId, at: request.receivedAt))
    }

    // MARK: Answering

    func finish(_ exchange: Exchange, _ response: ProxyResponse, error: XKSError? = nil) {
        exchange.trace.status = response.status
        exchange.trace.error = error?.name
        // It would hold the exchange, which holds it, and with them the plaintext.
        exchange.retryHere = nil
        noteSignature(exchange)
        if let error { describe(exchange, error) }
        if exchange.trace.reason == nil { exchange.trace.reason = error?.message }
        if error != nil, let more = exchange.notElsewhere { exchange.trace.reason? += "; \(more)" }
        // To be asked before the answer is given: its writing may be what closes the connection.
        if let caller = exchange.request.caller, caller.isGone { exchange.noteThatNobodyWaits() }
        guard let audit = neighbours.audit, exchange.isAuthenticated,
            error != nil || exchange.setup.settings.keyStores[exchange.position].auditsSuccesses
        else { return answer(exchange, response) }
        exchange.trace.totalMicroseconds = age(of: exchange)
        guard !audit.record(exchange.trace) else { return answer(exchange, response) }
        let error = XKSError(.internalFailure, "no audit record of it can be written")
        exchange.trace.status = error.status
        exchange.trace.error = error.name
        exchange.trace.reason = error.message
        answer(exchange, .failure(error))
    }

    private func answer(_ exchange: Exchange, _ response: ProxyResponse) {
        inFlight.subtract(1, ordering: .relaxed)
        var response = response
        response.isAuthenticated = exchange.isAuthenticated
        exchange.reply(response)
        exchange.trace.totalMicroseconds = age(of: exchange)
        if let recorder = exchange.recorder { exchange.trace.recording = recorder.seal(at: clocks.monotonic()) }
        observer.answered(exchange.trace)
    }

    /// What this host's own commands sign says nothing of KMS's clock, and nothing of which credential KMS uses.
    private func noteSignature(_ exchange: Exchange) {
        guard exchange.isAuthenticated, !exchange.trace.isDiagnostic else { return }
        let received = exchange.request.receivedAt
        signedClock.note(skew: exchange.skew, at: received)
        exchange.setup.uses[exchange.position].credentials[exchange.credentialPosition].last.store(
            received, ordering: .relaxed)
    }

    /// Since its first byte, microseconds.
    private func age(of exchange: Exchange) -> UInt64 {
        let (now, received) = (clocks.monotonic(), exchange.request.receivedAt)
        return now > received ? (now - received) / 1_000 : 0
    }

    /// Keeps what the request says of itself where nothing else does.
    private func describe(_ exchange: Exchange, _ error: XKSError) {
        guard exchange.trace.refused == nil, exchange.trace.metadata == nil else { return }
        var refused = RefusedRequest(exchange.request)
        if error.name == .invalidURIPath {
            let prefixes = exchange.setup.settings.keyStores.lazy.map(\.keyStore.pathPrefix)
            refused.nearestPath = XKSPath.nearest(to: exchange.request.target, amongPrefixes: prefixes)
        }
        exchange.trace.refused = refused
    }

    func finish(_ exchange: Exchange, refusing error: XKSError) {
        finish(exchange, .failure(error), error: error)
    }
}

/// One request on its way through the service.
///
/// A class, because it is handed on several times and a copy would count the references of two dozen strings.
/// `@unchecked Sendable`: it is handed from one owner to the next, and only the owner touches it.
final class Exchange: @unchecked Sendable {
    let request: ProxyRequest
    /// CLOCK_MONOTONIC, nanoseconds.
    let deadline: UInt64
    /// What the service worked by when the request came in.
    let setup: ServiceSetup
    let reply: @Sendable (ProxyResponse) -> Void
    /// The node that passed it on to this one.
    var forwardedBy: String?
    /// That node has more than its HSMs can do.
    var isSurplus = false
    /// Of the key that is meant; empty until it is known.
    var label: KeyLabel = ""
    var trace = RequestTrace()
    /// As in the trace. Written before the pool or a peer is asked and never after, so that whoever looks at what is
    /// under way may read it.
    private(set) var requestID: String?
    var isAuthenticated = false
    /// `nil` where it is not traced, and before it has been read. Written before the pool or a peer is asked and never after.
    private(set) var recorder: RequestRecorder?
    /// This node's clock minus the signer's, seconds, once it is authenticated.
    var skew: Int64 = 0
    /// Of the credential that signed it, among those of the key store.
    var credentialPosition = 0
    /// Of the key store among those of the configuration.
    var position = 0
    /// It has not been passed on in vain.
    var mayForward = true
    /// Why no peer has done it, where it was done here after all.
    var notElsewhere: String?
    /// Has the pool do it after all, where it gave the operation back for a peer to be asked. It holds this exchange: it
    /// is given up with the answer.
    var retryHere: (@Sendable () -> Void)?

    init(
        request: ProxyRequest, deadline: UInt64, setup: ServiceSetup,
        reply: @escaping @Sendable (ProxyResponse) -> Void
    ) {
        self.request = request
        self.setup = setup
        self.deadline = deadline
        self.reply = reply
        trace.peer = request.peer
        trace.receivedAt = request.receivedAt
    }

    /// Takes in what the body says of the request, whose signature is good.
    fileprivate func read(_ metadata: RequestMetadata, isDiagnostic: Bool) {
        requestID = metadata.kmsRequestId
        trace.isDiagnostic = isDiagnostic
        trace.metadata = metadata
        if let tracing = setup.settings.tracing {
            recorder = tracing.recorder(of: metadata.kmsRequestId, after: request.traceContext)
        }
    }

    /// The caller has closed the connection: the answer will not be written.
    func noteThatNobodyWaits() {
        trace.isUndelivered = true
        trace.reason = trace.reason ?? "the client has closed the connection before its answer"
    }

    /// Takes in what the pool says of an operation.
    func note(_ result: OperationResult) {
        trace.hsm = result.hsm ?? trace.hsm
        trace.attempts += result.attempts
        trace.failovers += max(result.attempts - (result.isHedged ? 2 : 1), 0)
        trace.isHedged = trace.isHedged || result.isHedged
        trace.hsmMicroseconds += UInt64(result.hsmMicroseconds)
        trace.waitedMicroseconds += result.waitedMicroseconds
    }
}
