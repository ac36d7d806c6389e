// SPDX-License-Identifier: Apache-2.0
import AccessControl
import LaneProtocol
import Routing
import SecureMemory
import SigV4
import Synchronization
import XKSProtocol
import XKSService

/// A pool that answers as the test says, at once.
final class ScriptedPool: KeyOperationPool {
    typealias Script = @Sendable (KeyOperation) -> OperationResult

    private let script: Script
    private let told: KeyKnowledge
    private let hsms: [HSMStatus]
    private let seen = Mutex<[KeyOperation]>([])

    init(knowledge: KeyKnowledge, hsms: [HSMStatus] = [], script: @escaping Script) {
        told = knowledge
        self.hsms = hsms
        self.script = script
    }

    var operations: [KeyOperation] { seen.withLock { $0 } }

    func submit(
        _ operation: KeyOperation, on hsms: HSMSet, deadline: UInt64,
        completion: @escaping @Sendable (OperationResult) -> Void
    ) {
        seen.withLock { $0.append(operation) }
        completion(script(operation))
    }

    func knowledge(of label: String, on hsms: HSMSet) -> KeyKnowledge { told }

    func status() -> [HSMStatus] { hsms }
}

/// Keeps what it is told.
final class TraceKeeper: RequestObserver {
    private let kept = Mutex<[RequestTrace]>([])
    var traces: [RequestTrace] { kept.withLock { $0 } }
    func answered(_ trace: RequestTrace, totalMicroseconds: UInt64) { kept.withLock { $0.append(trace) } }
}

/// A service over a scripted pool, and signed requests to it.
struct ServiceBench {
    static let now: Int64 = 1_700_000_000
    static let prefix = "/example"
    let pool: ScriptedPool
    let observer = TraceKeeper()
    let service: XKSService
    let credential: Credential

    init(
        knowledge: KeyKnowledge = .held(usage: [.encrypt, .decrypt]), hsms: [HSMStatus] = [],
        foreignForm: AADForm = .specification, script: @escaping ScriptedPool.Script
    ) throws {
        credential = try Credential(
            accessKeyID: "ABCDEFGHIJKLMNOPQRST", secret: SecretBytes(String(repeating: "s", count: 43).utf8))
        pool = ScriptedPool(knowledge: knowledge, hsms: hsms, script: script)
        let store = ServedKeyStore(
            keyStore: try KeyStore(pathPrefix: Self.prefix, keys: [try KeyPattern("foo"), try KeyPattern("prod-*")]),
            verifier: try SigV4Verifier(credentials: [credential]), hsms: [0], foreignForm: foreignForm)
        service = try XKSService(
            settings: ServiceSettings(
                keyStores: [store], limits: .standard, deadline: 200_000_000, version: "Claviger test"),
            pool: pool, observer: observer,
            clocks: ServiceClocks(monotonic: { 1_000_000_000 }, wall: { Self.now }))
    }

    /// Sends a signed request and returns what comes back.
    func post(_ path: String, _ body: String, method: String = "POST", sign: Bool = true) throws -> (Int, String) {
        var request = ProxyRequest(
            method: method, target: path, headers: [HeaderField(name: "Host", value: "localhost")],
            body: SecretBytes(body.utf8), receivedAt: 999_000_000, peer: "127.0.0.1:1")
        if sign { request = try signed(request) }
        let answers = Mutex<[ProxyResponse]>([])
        service.handle(request) { response in answers.withLock { $0.append(response) } }
        let all = answers.withLock { $0 }
        guard all.count == 1, let answer = all.first else { throw WrongNumberOfAnswers(count: all.count) }
        return (answer.status, answer.body.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
    }

    private func signed(_ request: ProxyRequest) throws -> ProxyRequest {
        var request = request
        request.headers = try SigV4Signer(credential: credential, region: "eu-central-1")
            .sign(
                method: request.method, target: request.target, headers: request.headers, body: request.body,
                now: Self.now)
        return request
    }
}

struct WrongNumberOfAnswers: Error { var count: Int }

extension OperationResult {
    static func done(_ data: [UInt8], iv: [UInt8] = []) -> OperationResult {
        OperationResult(
            outcome: .done,
            output: KeyOperationOutput(initializationVector: SecretBytes(iv), data: SecretBytes(data)),
            hsm: "hsm-a", attempts: 1, hsmMicroseconds: 40)
    }
}
