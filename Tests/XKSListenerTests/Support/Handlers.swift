// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Dispatch
import Logging
import NIOCore
import NIOPosix
import SecureMemory
import Synchronization
import XKSListener
import XKSProtocol

extension SecretBytes {
    var text: String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}

extension ProxyResponse {
    init(_ status: Int, _ text: String) {
        self.init(status: status, body: SecretBytes(text.utf8))
    }
}

/// Answers with what the closure makes of the request, at once and on the same thread.
struct ImmediateHandler: ProxyRequestHandler {
    let make: @Sendable (ProxyRequest) -> ProxyResponse

    func handle(_ request: ProxyRequest, reply: @escaping @Sendable (ProxyResponse) -> Void) {
        reply(make(request))
    }
}

/// Answers `<method> <target> <body>`.
let echo = ImmediateHandler { ProxyResponse(200, "\($0.method) \($0.target) \($0.body.text)") }

/// Answers as if each request were signed, but those of `/unsigned`.
let authenticating = ImmediateHandler { request in
    ProxyResponse(
        status: request.target == "/unsigned" ? 401 : 200, body: SecretBytes("{}".utf8),
        isAuthenticated: request.target != "/unsigned")
}

/// Holds requests until it is asked to answer, on a thread of its own.
final class HoldingHandler: ProxyRequestHandler {
    private let held = Mutex<[(ProxyRequest, @Sendable (ProxyResponse) -> Void)]>([])
    private let arrivals = DispatchSemaphore(value: 0)

    func handle(_ request: ProxyRequest, reply: @escaping @Sendable (ProxyResponse) -> Void) {
        held.withLock { $0.append((request, reply)) }
        arrivals.signal()
    }

    /// Whether all that is held would be answered to nobody.
    var callersHaveGone: Bool { held.withLock { $0.allSatisfy { $0.0.caller?.isGone == true } } }

    /// Waits until one more request is here.
    func waitForRequest() throws {
        guard arrivals.wait(timeout: .now() + 10) == .success else { throw SocketTimeout() }
    }

    /// Answers everything held, each `times` times, from another thread.
    func answerAll(_ response: ProxyResponse = ProxyResponse(200, "{}"), times: Int = 1) {
        let all = held.withLock { held in
            defer { held = [] }
            return held
        }
        DispatchQueue.global().async {
            for (_, reply) in all { for _ in 0..<times { reply(response) } }
        }
    }
}

let silentLogger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// Settings for tests: one loopback port that the system chooses.
func loopback(_ transport: ListenerTransport = .plaintext) -> ListenerConfiguration {
    ListenerConfiguration(addresses: [ListenAddress(host: "127.0.0.1", port: 0)], transport: transport)
}

/// Runs `body` with a listener of its own, and shuts it down.
func withListener(
    _ configuration: ListenerConfiguration = loopback(), handler: any ProxyRequestHandler = echo,
    refusals: RefusalCounter = RefusalCounter { 0 }, observer: (any RefusalObserver)? = nil,
    body: (XKSListener, Int) async throws -> Void
) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    let listener = try await XKSListener.start(
        configuration: configuration, handler: handler, refusals: refusals, observer: observer, group: group,
        logger: silentLogger)
    do {
        try await body(listener, listener.addresses[0].port)
    } catch {
        await listener.shutdown(gracePeriod: .milliseconds(10))
        try await group.shutdownGracefully()
        throw error
    }
    await listener.shutdown(gracePeriod: .milliseconds(10))
    try await group.shutdownGracefully()
}

/// Waits until `condition` holds, looking every few milliseconds, at most ten seconds.
func eventually(_ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<2_000 {
        if condition() { return true }
        try await Task.sleep(nanoseconds: 5_000_000)
    }
    return condition()
}
