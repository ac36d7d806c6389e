// SPDX-License-Identifier: Apache-2.0
import Crypto
import LaneProtocol
import Routing
import SecureMemory
import XKSProtocol

extension XKSService {
    /// Decrypt (XKS 1.0.3, "Decrypt").
    func decrypt(_ exchange: Exchange, _ store: ServedKeyStore, _ externalKeyID: String?) throws(XKSError) {
        let request = try DecryptRequest(body: exchange.request.body, limits: settings.limits)
        exchange.trace.metadata = request.metadata
        do throws(XKSError) {
            let label = try label(externalKeyID, in: store)
            guard try usage(ofKey: label, in: store, purpose: .decrypt).contains(.decrypt) else {
                throw XKSError(.invalidKeyUsage, "the key does not allow Decrypt")
            }
            let form = try CiphertextMetadata(request.ciphertextMetadata).form(foreign: store.foreignForm)
            let operation = KeyOperation(
                kind: .decrypt, label: label,
                additionalData: try HSMAdditionalData.make(
                    form, aad: request.additionalAuthenticatedData, metadata: request.ciphertextMetadata,
                    sha256: { SHA256.hash(data: $0) }),
                initializationVector: SecretBytes(request.initializationVector),
                data: ciphertextAndTag(request.ciphertext, request.authenticationTag))
            pool.submit(operation, on: store.hsms, deadline: exchange.deadline) { result in
                self.decrypted(exchange, result)
            }
        } catch {
            finish(exchange, refusing: error)
        }
    }

    private func decrypted(_ exchange: Exchange, _ result: OperationResult) {
        exchange.note(result)
        if let error = XKSError(result.outcome, of: .decrypt) { return finish(exchange, refusing: error) }
        guard let output = result.output else {
            return finish(exchange, refusing: XKSError(.internalFailure, "an HSM's answer was empty"))
        }
        finish(exchange, .success(output.data.withUnsafeBytes { XKSResponse.decrypt(plaintext: $0) }))
    }
}
