// SPDX-License-Identifier: Apache-2.0
import AccessControl
import LaneProtocol
import Routing
import SecureMemory
import SigV4
import XKSProtocol

/// The way of a request: path, key store, signature, body, key, HSM, answer.
///
/// Everything up to the HSM is decided where the request came in, without waiting; what comes after runs where the
/// HSM's answer came in. Errors are translated into the API's names in one place (`OutcomeTranslation`).
package final class XKSService: ProxyRequestHandler {
    let settings: ServiceSettings
    let pool: any KeyOperationPool
    private let directory: KeyStoreDirectory
    private let observer: any RequestObserver
    private let clocks: ServiceClocks

    package init(
        settings: ServiceSettings, pool: any KeyOperationPool, observer: any RequestObserver, clocks: ServiceClocks
    ) throws(AccessControlError) {
        self.settings = settings
        self.pool = pool
        self.observer = observer
        self.clocks = clocks
        directory = try KeyStoreDirectory(settings.keyStores.map(\.keyStore))
    }

    package func handle(_ request: ProxyRequest, reply: @escaping @Sendable (ProxyResponse) -> Void) {
        let exchange = Exchange(request: request, deadline: request.receivedAt &+ settings.deadline, reply: reply)
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
        guard let position = directory.position(ofPrefix: route.prefix) else {
            throw XKSError(.invalidURIPath, "there is no key store under this path prefix")
        }
        let store = settings.keyStores[position]
        try authenticate(exchange, store)
        switch route.operation {
        case .health: try health(exchange)
        case .metadata: try keyMetadata(exchange, store, route.externalKeyID)
        case .encrypt: try encrypt(exchange, store, route.externalKeyID)
        case .decrypt: try decrypt(exchange, store, route.externalKeyID)
        }
    }

    private func authenticate(_ exchange: Exchange, _ store: ServedKeyStore) throws(XKSError) {
        do throws(AuthenticationFailure) {
            let identity = try store.verifier.verify(exchange.request, now: clocks.wall())
            exchange.trace.accessKeyID = identity.accessKeyID
            exchange.trace.region = identity.region
        } catch {
            exchange.trace.reason = error.description
            throw XKSError(.authenticationFailed, error.clientMessage)
        }
    }

    /// The label of the key that is meant.
    func label(_ externalKeyID: String?, in store: ServedKeyStore) throws(XKSError) -> String {
        guard let externalKeyID, let label = store.keyStore.resolve(externalKeyID: externalKeyID) else {
            throw XKSError(.keyNotFound, "this key store serves no key of this id")
        }
        return label
    }

    /// The usage of a key that at least one HSM holds. What `purpose` needs and the key's own attributes forbid is the
    /// caller's to say, whether HSMs may serve the key or not: a key that may not encrypt is no matter of state.
    ///
    /// - Parameter purpose: nothing for the key's metadata.
    func usage(
        ofKey label: String, in store: ServedKeyStore, purpose: KeyUsage
    ) throws(XKSError) -> KeyUsage {
        switch pool.knowledge(of: label, on: store.hsms) {
        case .held(let usage): return usage
        case .refused(let reason, let usage):
            let isForbidden = !usage.isSuperset(of: purpose)
            let isOnlyTold = purpose.isEmpty && !usage.isSuperset(of: [.encrypt, .decrypt])
            guard isForbidden || isOnlyTold else { throw XKSError(.invalidState, reason) }
            return usage
        case .absent(let detail):
            throw XKSError(.keyNotFound, detail ?? "every HSM that can be asked says that it has no key of this id")
        case .unknown: throw XKSError(.internalFailure, "no HSM can be asked at the moment")
        }
    }

    // MARK: Answering

    func finish(_ exchange: Exchange, _ response: ProxyResponse, error: XKSError? = nil) {
        exchange.trace.status = response.status
        exchange.trace.error = error?.name
        if exchange.trace.reason == nil { exchange.trace.reason = error?.message }
        exchange.reply(response)
        let now = clocks.monotonic()
        let received = exchange.trace.receivedAt
        observer.answered(exchange.trace, totalMicroseconds: now > received ? (now - received) / 1_000 : 0)
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
    let reply: @Sendable (ProxyResponse) -> Void
    var trace = RequestTrace()

    init(request: ProxyRequest, deadline: UInt64, reply: @escaping @Sendable (ProxyResponse) -> Void) {
        self.request = request
        self.deadline = deadline
        self.reply = reply
        trace.peer = request.peer
        trace.method = request.method
        trace.receivedAt = request.receivedAt
    }

    /// Takes in what the pool says of an operation.
    func note(_ result: OperationResult) {
        trace.hsm = result.hsm ?? trace.hsm
        trace.attempts += result.attempts
        trace.hsmMicroseconds += UInt64(result.hsmMicroseconds)
    }
}
