// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import LoadGenerator
import NIOCore
import XKSCalls
import XKSClient
import XKSProtocol

/// What a load asks for.
enum BenchOperation: String, CaseIterable, ExpressibleByArgument {
    case encrypt
    /// With a ciphertextDataIntegrityValue, as KMS asks for data keys: a node makes two calls of an HSM for it.
    case encryptWithIntegrity = "encrypt-integrity"
    case decrypt
    case metadata
    case health

    var path: XKSOperation {
        switch self {
        case .encrypt, .encryptWithIntegrity: .encrypt
        case .decrypt: .decrypt
        case .metadata: .metadata
        case .health: .health
        }
    }

    /// KMS's own name for what it does then.
    var kmsOperation: String {
        switch self {
        case .encrypt, .encryptWithIntegrity: "Encrypt"
        case .decrypt: "Decrypt"
        case .metadata: "DescribeKey"
        case .health: "KmsHealthCheck"
        }
    }
}

/// Requests of a load, signed as KMS signs them.
struct BenchCalls: LoadSource {
    /// What KMS sends with the data keys of an ordinary encryption context.
    private static let additionalData = Array("project=nile,department=marketing".utf8)
    /// Ciphertexts that are opened in turn.
    private static let ciphertexts = 16
    /// For each call at the beginning.
    private static let patience = TimeAmount.seconds(5)

    private let signer: CallSigner
    private let key: String
    private let operations: [BenchOperation]
    private let plaintextSize: Int
    private let principal: String
    private let region: String
    private let run = UUID().uuidString.lowercased().prefix(8)
    private var sealed: [(fields: SealedFields, plaintext: [UInt8])] = []

    init(
        signer: CallSigner, key: String, operations: [BenchOperation], plaintextSize: Int, principal: String,
        region: String
    ) {
        self.signer = signer
        self.key = key
        self.operations = operations
        self.plaintextSize = plaintextSize
        self.principal = principal
        self.region = region
    }

    func make(_ number: Int) -> LoadRequest {
        let operation = operations[number % operations.count]
        guard operation == .decrypt, !sealed.isEmpty else { return request(operation, body(operation, number)) }
        let (fields, plaintext) = sealed[number / operations.count % sealed.count]
        let body = CallBody.decrypt(
            metadata(operation, number), fields, additionalData: Self.additionalData)
        return request(operation, body, awaited: Array(JSONObject.base64(plaintext).utf8))
    }

    private func request(_ operation: BenchOperation, _ body: JSONObject, awaited: [UInt8]? = nil) -> LoadRequest {
        // Only a clock outside of four digits of years cannot be signed for; the proxy then says what it thinks of nothing.
        let bytes = (try? signer.request(operation.path, key: key, body: body, now: Int64(time(nil)))) ?? []
        return LoadRequest(bytes: ByteBuffer(bytes: bytes), awaited: awaited)
    }

    private func body(_ operation: BenchOperation, _ number: Int) -> JSONObject {
        let metadata = metadata(operation, number)
        return switch operation {
        case .health: CallBody.health(metadata)
        case .metadata: CallBody.metadata(metadata)
        case .encrypt, .encryptWithIntegrity, .decrypt:
            CallBody.encrypt(
                metadata, plaintext: plaintext(), additionalData: Self.additionalData,
                integrity: operation == .encryptWithIntegrity)
        }
    }

    private func plaintext() -> [UInt8] { (0..<plaintextSize).map { _ in UInt8.random(in: .min ... .max) } }

    /// For people who read the log: KMS's ids are UUIDs.
    private func metadata(_ operation: BenchOperation, _ number: Int) -> CallMetadata {
        CallMetadata(
            principal: principal, keyARN: "arn:aws:kms:\(region):000000000000:key/claviger-bench",
            operation: operation.kmsOperation, requestID: "bench-\(run)-\(number)")
    }

    // MARK: Before the load

    /// Tries each operation once, and makes what is decrypted. Ends the command where one is not answered well: a load would
    /// measure refusals.
    mutating func prepare(_ connector: XKSConnector, on loop: any EventLoop) async throws {
        let connection: XKSConnection
        do {
            connection = try await connector.open(on: loop, within: Self.patience).get()
        } catch {
            throw failure("\(signer.endpoint): \(error)", status: ExitStatus.notDone)
        }
        defer { connection.close() }
        if operations.contains(.decrypt) {
            for number in 0..<Self.ciphertexts {
                let plaintext = plaintext()
                let body = CallBody.encrypt(
                    metadata(.encrypt, number), plaintext: plaintext, additionalData: Self.additionalData)
                let answer = try await answer(.encrypt, request(.encrypt, body), connection)
                guard let value = JSONValue(answer.body), let fields = SealedFields(value) else {
                    throw failure("encrypt was answered with no ciphertext", status: ExitStatus.notDone)
                }
                sealed.append((fields, plaintext))
            }
        }
        for (number, operation) in operations.enumerated() where !operations[..<number].contains(operation) {
            _ = try await answer(operation, make(number), connection)
        }
    }

    private func answer(
        _ operation: BenchOperation, _ request: LoadRequest, _ connection: XKSConnection
    ) async throws -> HTTPAnswer {
        let answer: HTTPAnswer
        do {
            answer = try await connection.call(request.bytes, within: Self.patience).get().answer
        } catch {
            throw failure("\(operation.rawValue): \(error)", status: ExitStatus.notDone)
        }
        guard answer.status == 200 else {
            let error = JSONValue(answer.body)
            let words = ["errorName", "errorMessage"].compactMap { name -> String? in
                guard case .string(let text)? = error?[name] else { return nil }
                return String(text.prefix(200))
            }
            throw failure(
                "\(operation.rawValue) was answered with \((["\(answer.status)"] + words).joined(separator: ", "))",
                status: ExitStatus.notDone)
        }
        return answer
    }
}
