// SPDX-License-Identifier: Apache-2.0
import Crypto
import LaneProtocol
import Routing
import SecureMemory
import XKSProtocol

extension XKSService {
    /// Encrypt (XKS 1.0.3, "Encrypt").
    func encrypt(_ exchange: Exchange, _ store: ServedKeyStore, _ externalKeyID: String?) throws(XKSError) {
        let request = try EncryptRequest(body: exchange.request.body, limits: exchange.setup.settings.limits)
        read(request.metadata, into: exchange)
        do throws(Refusal) {
            let key = try admit(exchange, store, externalKeyID, for: .encrypt)
            guard !request.wantsIntegrityValue || key.usage.contains(.decrypt) else {
                throw .everywhere(
                    .invalidKeyUsage,
                    "the key does not allow Decrypt, without which a ciphertextDataIntegrityValue cannot be vouched for"
                )
            }
            let operation = try operation(request, key, of: exchange)
            let encryption = Encryption(exchange: exchange, store: store, request: request, operation: operation)
            submit(operation, exchange, store, calls: request.wantsIntegrityValue ? 2 : 1) {
                self.encrypted(encryption, $0)
            }
        } catch {
            refuse(exchange, error, label: exchange.label)
        }
    }

    private func operation(
        _ request: EncryptRequest, _ key: AdmittedKey, of exchange: Exchange
    ) throws(Refusal) -> KeyOperation {
        do throws(XKSError) {
            return KeyOperation(
                kind: .encrypt, label: key.label,
                additionalData: try HSMAdditionalData.specification(
                    aad: request.additionalAuthenticatedData, metadata: CiphertextMetadata.current),
                initializationVector: SecretBytes(), data: request.plaintext, caller: exchange,
                recorder: exchange.recorder)
        } catch {
            throw Refusal(error: error, isOnlyHere: false)
        }
    }

    private func encrypted(_ encryption: Encryption, _ result: OperationResult) {
        encryption.exchange.note(result)
        if let refusal = Refusal(result.outcome, of: .encrypt) {
            return refuse(encryption.exchange, refusal, label: encryption.operation.label)
        }
        do throws(XKSError) {
            guard let output = result.output else { throw XKSError(.internalFailure, "an HSM's answer was empty") }
            var fields = try Self.fields(from: output, plaintextLength: encryption.request.plaintext.count)
            guard encryption.request.wantsIntegrityValue else {
                finish(encryption.exchange, .success(try fields.body()))
                return
            }
            fields.integrityValue = Self.integrityValue(
                of: fields, aad: encryption.request.additionalAuthenticatedData)
            try prove(encryption, body: try fields.body())
        } catch {
            finish(encryption.exchange, refusing: error)
        }
    }

    /// Decrypts what stands in the finished body, and sends that body only if the plaintext comes back
    /// (XKS 1.0.3, Appendix C: the value is computed before, so that nothing that happens after goes unnoticed).
    private func prove(_ encryption: Encryption, body: SecretBytes) throws(XKSError) {
        let fields = try EncryptedFields(readingBack: body)
        let operation = KeyOperation(
            kind: .decrypt, label: encryption.operation.label,
            additionalData: try HSMAdditionalData.specification(
                aad: encryption.request.additionalAuthenticatedData, metadata: fields.ciphertextMetadata),
            initializationVector: SecretBytes(fields.initializationVector),
            data: ciphertextAndTag(fields.ciphertext, fields.authenticationTag),
            caller: encryption.exchange, recorder: encryption.exchange.recorder)
        submit(operation, encryption.exchange, encryption.store, isContinuation: true) {
            self.proved(encryption, body: body, $0)
        }
    }

    private func proved(_ encryption: Encryption, body: SecretBytes, _ result: OperationResult) {
        let exchange = encryption.exchange
        exchange.note(result)
        if case .callersFault(.ciphertextIsInvalid) = result.outcome {
            let message = "the ciphertext just made does not decrypt; it was not handed out"
            return finish(exchange, refusing: XKSError(.internalFailure, message))
        }
        if let refusal = Refusal(result.outcome, of: .decrypt) {
            return refuse(exchange, refusal, label: exchange.label)
        }
        guard let plaintext = result.output?.data, plaintext.constantTimeEquals(encryption.request.plaintext) else {
            let message = "the ciphertext just made decrypts to something else; it was not handed out"
            return finish(exchange, refusing: XKSError(.internalFailure, message))
        }
        finish(exchange, .success(body))
    }

    private static func fields(
        from output: KeyOperationOutput, plaintextLength: Int
    ) throws(XKSError) -> EncryptedFields {
        let tagLength = XKSLimits.authenticationTagBytes
        guard output.data.count == plaintextLength + tagLength else {
            throw XKSError(.internalFailure, "an HSM's ciphertext has not the length of the plaintext and a tag")
        }
        return output.data.withUnsafeBytes { bytes in
            EncryptedFields(
                ciphertext: SecretBytes(copying: UnsafeRawBufferPointer(rebasing: bytes[..<plaintextLength])),
                initializationVector: output.initializationVector.withUnsafeBytes { Array($0) },
                authenticationTag: Array(bytes[plaintextLength...]),
                ciphertextMetadata: CiphertextMetadata.current)
        }
    }

    private static func integrityValue(of fields: EncryptedFields, aad: SecretBytes?) -> [UInt8] {
        var hash = SHA256()
        IntegrityValue.feed(additionalAuthenticatedData: aad, fields: fields) { hash.update(bufferPointer: $0) }
        return Array(hash.finalize())
    }
}

/// An encryption on its way.
private final class Encryption: Sendable {
    let exchange: Exchange
    let store: ServedKeyStore
    let request: EncryptRequest
    let operation: KeyOperation

    init(exchange: Exchange, store: ServedKeyStore, request: EncryptRequest, operation: KeyOperation) {
        self.exchange = exchange
        self.store = store
        self.request = request
        self.operation = operation
    }
}

/// What C_Decrypt takes: the tag follows the ciphertext (PKCS#11 2.40, CK_GCM_PARAMS).
package func ciphertextAndTag(_ ciphertext: SecretBytes, _ tag: [UInt8]) -> SecretBytes {
    let data = SecretBytes(capacity: ciphertext.count + tag.count)
    ciphertext.withUnsafeBytes { data.append(copying: $0) }
    data.append(contentsOf: tag)
    return data
}
