// SPDX-License-Identifier: Apache-2.0
import AccessControl
import KeyProof
import LaneProtocol
import Policy
import Quota
import Routing
import SecureMemory
import SigV4
import StatusVocabulary
import Synchronization
import XKSProtocol
import XKSService

/// A pool that answers as the test says, at once.
final class ScriptedPool: KeyOperationPool {
    typealias Script = @Sendable (KeyOperation) -> OperationResult

    private let script: Script
    private let reported: KeyDecision
    private let word: CiphertextWord
    private let seen = Mutex<[(operation: KeyOperation, terms: OperationTerms)]>([])

    init(
        decision: KeyDecision, word: CiphertextWord = .invalid, script: @escaping Script
    ) {
        self.word = word
        reported = decision
        self.script = script
    }

    var operations: [KeyOperation] { seen.withLock { $0.map(\.operation) } }
    /// Lets go of the operations that it has seen.
    func forget() { seen.withLock { $0 = [] } }
    var terms: [OperationTerms] { seen.withLock { $0.map(\.terms) } }

    func submit(
        _ operation: KeyOperation, on hsms: HSMSet, deadline: UInt64, terms: OperationTerms,
        completion: @escaping @Sendable (OperationResult) -> Void
    ) {
        seen.withLock { $0.append((operation, terms)) }
        completion(script(operation))
    }

    /// What the test says, but for what the usage that it reports forbids.
    func decision(on label: KeyLabel, for purpose: KeyPurpose, on hsms: HSMSet) -> KeyDecision {
        guard case .use(_, let terms) = reported, !terms.usage.isSuperset(of: purpose.needed) else { return reported }
        return .forbidden(terms.usage)
    }

    func word(onCiphertextOf label: KeyLabel) -> CiphertextWord { word }
}

/// Keeps what it is given.
final class TraceKeeper: RequestObserver {
    private let kept = Mutex<[RequestTrace]>([])
    var traces: [RequestTrace] { kept.withLock { $0 } }
    func answered(_ trace: RequestTrace) { kept.withLock { $0.append(trace) } }
}

/// A block list that a test can change.
final class HeldBlocks: BlockSource {
    private let list: Mutex<BlockList>
    init(_ list: BlockList) { self.list = Mutex(list) }
    func current() -> BlockList { list.withLock { $0 } }
    func set(_ list: BlockList) { self.list.withLock { $0 = list } }
}

/// A peer that answers as the test says, at once.
final class ScriptedForwarder: RequestForwarder {
    private let outcome: ForwardOutcome
    private let isThere: Bool
    private let seen = Mutex<[KeyLabel]>([])
    private let needed = Mutex<[ForwardingNeeds]>([])
    /// Whether the last one was a diagnostic command's.
    let isLastDiagnostic = Mutex(false)

    init(_ outcome: ForwardOutcome, isThere: Bool = true) {
        self.outcome = outcome
        self.isThere = isThere
    }

    private struct Weak { weak var operation: KeyOperation? }
    private let watching = Mutex(Weak())

    /// Looks whether an operation is kept.
    func watch(_ operation: KeyOperation) { watching.withLock { $0.operation = operation } }
    var watched: KeyOperation? { watching.withLock { $0.operation } }

    /// Labels of the keys of the requests that were passed on.
    var labels: [KeyLabel] { seen.withLock { $0 } }

    /// Which peers could have been asked for them.
    var needs: [ForwardingNeeds] { needed.withLock { $0 } }

    func canForward(label: KeyLabel, needs: ForwardingNeeds) -> Bool { isThere }

    func forward(
        _ request: ProxyRequest, label: KeyLabel, needs: ForwardingNeeds, deadline: UInt64,
        asking: @escaping @Sendable (String) -> Void, completion: @escaping @Sendable (ForwardOutcome) -> Void
    ) {
        seen.withLock { $0.append(label) }
        needed.withLock { $0.append(needs) }
        isLastDiagnostic.withLock { $0 = request.isDiagnostic }
        completion(outcome)
    }
}

/// The HSMs of one node, as the test says.
struct ScriptedFleet: FleetSource {
    var hsms: [FleetHSM]
    func fleet(of names: Set<String>?) -> Fleet { Fleet(nodes: 1, hsms: hsms) }
}

/// What other nodes may offer, as the test says.
struct ScriptedOffers: OfferSource {
    var word: UnofferedWord
    func wordOnUnoffered() -> UnofferedWord { word }
}

/// A service over a scripted pool, and signed requests to it.
struct ServiceBench {
    static let now: Int64 = 1_700_000_000
    static let prefix = "/example"
    let pool: ScriptedPool
    let observer = TraceKeeper()
    let blocks: HeldBlocks
    let service: XKSService
    let credential: Credential
    private let foreignForm: AADForm
    private let answeredAsAuthenticated = Kept()

    private final class Kept: Sendable { let last = Mutex<Bool?>(nil) }

    /// Of the last answer to `post`.
    var lastAnswerIsAuthenticated: Bool? { answeredAsAuthenticated.last.withLock { $0 } }

    init(
        decision: KeyDecision = .usable(), word: CiphertextWord = .invalid, hsms: [FleetHSM] = [],
        foreignForm: AADForm = .specification, blocks: BlockList = BlockList(),
        forwarder: (any RequestForwarder)? = nil, formats: any FormatSource = FirstFormat(),
        unoffered: UnofferedWord = .nowhere, secret: Character = "s", policy: String? = nil,
        quota: QuotaLimits? = nil, nodes: any NodeCountSource = SingleNode(), tracing: RequestTracing? = nil,
        script: @escaping ScriptedPool.Script
    ) throws {
        credential = try Credential(
            accessKeyID: "ABCDEFGHIJKLMNOPQRST", secret: SecretBytes(String(repeating: secret, count: 43).utf8))
        pool = ScriptedPool(decision: decision, word: word, script: script)
        self.blocks = HeldBlocks(blocks)
        self.foreignForm = foreignForm
        service = try XKSService(
            settings: Self.settings(
                ["foo", "prod-*"], credential, foreignForm, policy: policy, quota: quota, tracing: tracing),
            pool: pool,
            neighbours: ServiceNeighbours(
                blocks: self.blocks, forwarder: forwarder, fleet: ScriptedFleet(hsms: hsms), formats: formats,
                offers: ScriptedOffers(word: unoffered), nodes: nodes),
            observer: observer,
            clocks: ServiceClocks(monotonic: { 1_000_000_000 }, wall: { Self.now }))
    }

    private static func settings(
        _ keys: [String], _ credential: Credential, _ foreignForm: AADForm, policy: String? = nil,
        quota: QuotaLimits? = nil, others: [Credential]? = nil, tracing: RequestTracing? = nil
    ) throws -> ServiceSettings {
        let store = ServedKeyStore(
            keyStore: try KeyStore(pathPrefix: prefix, keys: try keys.map { try KeyPattern($0) }),
            verifier: try SigV4Verifier(credentials: others ?? [credential]), hsms: [0], foreignForm: foreignForm,
            policy: try policy.map { try KeyStorePolicy(text: Array($0.utf8)) }, quota: quota)
        var limits = XKSLimits.standard
        limits.keepsUnknownFields = store.policy?.asksForUnknownFields == true
        return ServiceSettings(
            keyStores: [store], limits: limits, deadline: 200_000_000, version: "Claviger test", tracing: tracing)
    }

    /// As a reload does.
    func replaceKeys(_ keys: [String]) throws {
        try service.replace(settings: Self.settings(keys, credential, foreignForm))
    }

    /// As a reload does that brings other credentials.
    func replaceCredentials(_ credentials: [Credential]) throws {
        try service.replace(settings: Self.settings(["foo"], credential, foreignForm, others: credentials))
    }

    /// As a reload does that brings a policy.
    func replacePolicy(_ policy: String?) throws {
        try service.replace(settings: Self.settings(["foo", "prod-*"], credential, foreignForm, policy: policy))
    }

    /// As a reload does that brings a quota.
    func replaceQuota(_ quota: QuotaLimits?) throws {
        try service.replace(settings: Self.settings(["foo", "prod-*"], credential, foreignForm, quota: quota))
    }

    /// Sends a signed request and returns what comes back.
    ///
    /// - Parameters:
    ///   - forwardedBy: the peer that passes it on, with all of the request's time.
    ///   - caller: who waits for the answer.
    ///   - isSurplus: because it has more than its HSMs can do.
    ///   - signer: another credential than the key store's.
    ///   - traceContext: of the peer that passes it on.
    func post(
        _ path: String, _ body: String, method: String = "POST", sign: Bool = true, forwardedBy: String? = nil,
        isSurplus: Bool = false, caller: CallerPresence? = nil, signedBy signer: Credential? = nil,
        peer: String = "127.0.0.1:1", traceContext: TraceContext? = nil, isDiagnostic: Bool = false
    ) throws -> (Int, String) {
        var request = ProxyRequest(
            method: method, target: path, headers: [HeaderField(name: "Host", value: "localhost")],
            body: SecretBytes(body.utf8), receivedAt: 999_000_000, peer: peer, caller: caller)
        request.traceContext = traceContext
        request.isDiagnostic = isDiagnostic
        if sign { request = try signed(request, by: signer ?? credential) }
        let answers = Mutex<[ProxyResponse]>([])
        let reply: @Sendable (ProxyResponse) -> Void = { response in answers.withLock { $0.append(response) } }
        if let forwardedBy {
            service.handle(request, forwardedBy: forwardedBy, isSurplus: isSurplus, deadline: .max, reply: reply)
        } else {
            service.handle(request, reply: reply)
        }
        let all = answers.withLock { $0 }
        guard all.count == 1, let answer = all.first else { throw WrongNumberOfAnswers(count: all.count) }
        answeredAsAuthenticated.last.withLock { $0 = answer.isAuthenticated }
        return (answer.status, answer.body.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
    }

    private func signed(_ request: ProxyRequest, by credential: Credential) throws -> ProxyRequest {
        var request = request
        request.headers = try SigV4Signer(credential: credential, region: "eu-central-1")
            .sign(
                method: request.method, target: request.target, headers: request.headers, body: request.body,
                now: Self.now)
        return request
    }
}

extension KeyDecision {
    /// HSM 0 may use the key for this, between these days.
    static func usable(
        _ usage: KeyUsage = [.encrypt, .decrypt], validity: KeyValidity = KeyValidity()
    ) -> KeyDecision {
        .use([0], KeyTerms(usage: usage, validity: validity))
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
