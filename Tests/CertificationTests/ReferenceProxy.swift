import ConnectionLimits
// SPDX-License-Identifier: Apache-2.0
import Crypto
import Logging
import NIOPosix
import SecureMemory
import SigV4
import StatusVocabulary
import Synchronization
import XKSListener
import XKSProtocol

/// What a proxy does wrongly on purpose.
struct Fault: OptionSet, Sendable {
    let rawValue: Int

    static let noAuthentication = Fault(rawValue: 1)
    /// Any path is taken for health's.
    static let anyPath = Fault(rawValue: 2)
    static let anyMethod = Fault(rawValue: 4)
    /// Tags are not looked at.
    static let tagIgnored = Fault(rawValue: 8)
    /// What cannot be read is answered as if it were right.
    static let lenient = Fault(rawValue: 16)
    static let wrongPlaintext = Fault(rawValue: 32)
    static let shortPlaintext = Fault(rawValue: 64)
    static let refusesDecrypt = Fault(rawValue: 128)
    static let refusesAll = Fault(rawValue: 256)
    /// Of a wrong tag, the refusal tells the plaintext.
    static let tellsPlaintext = Fault(rawValue: 512)
    /// A decryption is answered with the plaintext of whoever was served before.
    static let mixesAnswers = Fault(rawValue: 1_024)
    /// The refusal tells the signature that would have been right.
    static let tellsSignature = Fault(rawValue: 2_048)
}

/// A small XKS proxy over a cipher that is none: right in everything that a client can see, but for its faults.
final class ReferenceProxy: ProxyRequestHandler {
    static let key = "foo"
    private static let keys: [String: KeyUsage] = [
        key: [.encrypt, .decrypt], "bar": [.encrypt, .decrypt], "only-decrypt": [.decrypt], "only-encrypt": [.encrypt],
        "neither": [.sign],
    ]

    private let fault: Fault
    private let verifier: SigV4Verifier
    private let now: @Sendable () -> Int64
    private let vectors = Atomic<UInt64>(0)
    private let lastPlaintext = Mutex<[UInt8]>([])

    init(_ fault: Fault, credentials: [Credential], now: @escaping @Sendable () -> Int64) throws {
        self.fault = fault
        self.now = now
        verifier = try SigV4Verifier(credentials: credentials)
    }

    func handle(_ request: ProxyRequest, reply: @escaping @Sendable (ProxyResponse) -> Void) {
        do throws(XKSError) {
            reply(.success(try answer(request)))
        } catch {
            reply(.failure(error))
        }
    }

    private func answer(_ request: ProxyRequest) throws(XKSError) -> SecretBytes {
        guard request.method == "POST" || fault.contains(.anyMethod) else { throw .methodNotAllowed }
        let route: XKSRoute
        do throws(XKSError) {
            route = try XKSRoute(target: request.target)
        } catch {
            guard fault.contains(.anyPath) else { throw error }
            route = XKSRoute(prefix: "", operation: .health, externalKeyID: nil)
        }
        guard route.prefix.isEmpty || fault.contains(.anyPath) else {
            throw XKSError(.invalidURIPath, "no such key store")
        }
        try authenticate(request)
        guard !fault.contains(.refusesAll) else { throw XKSError(.validation, "refused on purpose") }
        do throws(XKSError) {
            return try serve(request, route)
        } catch  where error.name == .validation && fault.contains(.lenient) {
            return SecretBytes(#"{"plaintext":""}"#.utf8)
        }
    }

    private func authenticate(_ request: ProxyRequest) throws(XKSError) {
        guard !fault.contains(.noAuthentication) else { return }
        do throws(AuthenticationFailure) {
            _ = try verifier.verify(request, now: now())
        } catch {
            let sent = request.headers.first { $0.name.lowercased() == "authorization" }?.value ?? ""
            throw XKSError(.authenticationFailed, fault.contains(.tellsSignature) ? String(sent.suffix(64)) : "refused")
        }
    }

    private func serve(_ request: ProxyRequest, _ route: XKSRoute) throws(XKSError) -> SecretBytes {
        if route.operation == .health {
            if !fault.contains(.anyMethod) { _ = try HealthRequest(body: request.body, limits: .standard) }
            return try HealthReport(
                fleetSize: 1, proxyVendor: "Tests", proxyModel: "Reference 1.0", keyManagerVendor: "Tests",
                keyManagers: [.init(id: "a", model: "none 1", status: .active)]
            ).body()
        }
        let id = route.externalKeyID ?? ""
        guard let usage = Self.keys[id] else { throw XKSError(.keyNotFound, "no such key") }
        switch route.operation {
        case .health: throw XKSError(.internalFailure, "unreachable")
        case .metadata:
            _ = try GetKeyMetadataRequest(body: request.body, limits: .standard)
            return XKSResponse.keyMetadata(usage: usage, status: .enabled)
        case .encrypt:
            let read = try EncryptRequest(body: request.body, limits: .standard)
            guard usage.contains(.encrypt) else { throw XKSError(.invalidKeyUsage, "not for this") }
            return try encrypt(read, id)
        case .decrypt:
            let read = try DecryptRequest(body: request.body, limits: .standard)
            guard usage.contains(.decrypt) else { throw XKSError(.invalidKeyUsage, "not for this") }
            return try decrypt(read, id)
        }
    }

    private func encrypt(_ request: EncryptRequest, _ key: String) throws(XKSError) -> SecretBytes {
        let plaintext = request.plaintext.withUnsafeBytes { Array($0) }
        let number = vectors.wrappingAdd(1, ordering: .relaxed).newValue
        let vector: [UInt8] = (0..<12).map { $0 < 8 ? UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) : 0 }
        let ciphertext = plaintext.map { $0 ^ 0x5A }
        let data = request.additionalAuthenticatedData?.withUnsafeBytes { Array($0) } ?? []
        let metadata: [UInt8] = [1, 2, 3, 4]
        let tag = Self.tag(key, data, metadata, vector, ciphertext)
        let hash = Array(SHA256.hash(data: data + metadata + vector + ciphertext + tag))
        return try EncryptedFields(
            ciphertext: SecretBytes(ciphertext), initializationVector: vector, authenticationTag: tag,
            ciphertextMetadata: metadata, integrityValue: request.wantsIntegrityValue ? hash : nil
        ).body()
    }

    private func decrypt(_ request: DecryptRequest, _ key: String) throws(XKSError) -> SecretBytes {
        guard !fault.contains(.refusesDecrypt) else { throw XKSError(.internalFailure, "refused on purpose") }
        let ciphertext = request.ciphertext.withUnsafeBytes { Array($0) }
        let data = request.additionalAuthenticatedData?.withUnsafeBytes { Array($0) } ?? []
        let tag = Self.tag(
            key, data, request.ciphertextMetadata ?? [], request.initializationVector, ciphertext)
        var plaintext = ciphertext.map { $0 ^ 0x5A }
        if tag != request.authenticationTag, !fault.contains(.tagIgnored) {
            let told = plaintext.withUnsafeBytes { Base64.encode($0) }.withUnsafeBytes {
                String(decoding: $0, as: UTF8.self)
            }
            throw XKSError(.invalidCiphertext, fault.contains(.tellsPlaintext) ? told : "wrong tag")
        }
        if fault.contains(.wrongPlaintext) { plaintext[0] ^= 1 }
        if fault.contains(.shortPlaintext) { plaintext.removeLast() }
        if fault.contains(.mixesAnswers) {
            plaintext = lastPlaintext.withLock { last in
                defer { last = plaintext }
                return last
            }
        }
        return plaintext.withUnsafeBytes { XKSResponse.decrypt(plaintext: $0) }
    }

    private static func tag(
        _ key: String, _ data: [UInt8], _ metadata: [UInt8], _ vector: [UInt8], _ ciphertext: [UInt8]
    ) -> [UInt8] {
        var hash = SHA256()
        for part in [Array(key.utf8), data, metadata, vector, ciphertext] {
            hash.update(data: Array("\(part.count):".utf8) + part)
        }
        return Array(hash.finalize().prefix(16))
    }
}

/// Runs `body` with the proxy behind the product's own listener, and stops both.
func withReference<Value>(
    _ proxy: ReferenceProxy, _ transport: ListenerTransport = .plaintext,
    _ body: (_ port: Int) async throws -> Value
) async throws -> Value {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let listener = try await XKSListener.start(
        configuration: ListenerConfiguration(
            addresses: [ListenAddress(host: "127.0.0.1", port: 0)], transport: transport), handler: proxy,
        refusals: RefusalCounter { 0 }, observer: nil, group: group,
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    let result: Result<Value, any Error>
    do { result = .success(try await body(listener.addresses[0].port)) } catch { result = .failure(error) }
    await listener.shutdown(gracePeriod: .milliseconds(10))
    try await group.shutdownGracefully()
    return try result.get()
}
