// SPDX-License-Identifier: Apache-2.0
import Crypto
import LaneProtocol
import Routing
import SecureMemory
import XKSProtocol

extension XKSService {
    /// Decrypt (XKS 1.0.3, "Decrypt").
    func decrypt(_ exchange: Exchange, _ store: ServedKeyStore, _ externalKeyID: String?) throws(XKSError) {
        let request = try DecryptRequest(body: exchange.request.body, limits: exchange.setup.settings.limits)
        read(request.metadata, into: exchange)
        do throws(Refusal) {
            let key = try admit(exchange, store, externalKeyID, for: .decrypt)
            submit(try operation(request, key, store, of: exchange), exchange, store) { self.decrypted(exchange, $0) }
        } catch {
            refuse(exchange, error, label: exchange.label)
        }
    }

    private func operation(
        _ request: DecryptRequest, _ key: AdmittedKey, _ store: ServedKeyStore, of exchange: Exchange
    ) throws(Refusal) -> KeyOperation {
        let metadata = CiphertextMetadata(request.ciphertextMetadata)
        let activated = neighbours.formats.activatedFormat
        do throws(XKSError) {
            let form = try metadata.form(foreign: store.foreignForm, activated: activated)
            return KeyOperation(
                kind: .decrypt, label: key.label,
                additionalData: try HSMAdditionalData.make(
                    form, aad: request.additionalAuthenticatedData, metadata: request.ciphertextMetadata,
                    sha256: { SHA256.hash(data: $0) }),
                initializationVector: SecretBytes(request.initializationVector),
                data: ciphertextAndTag(request.ciphertext, request.authenticationTag),
                caller: exchange, recorder: exchange.recorder)
        } catch {
            // A node of a later version reads it; one that does not is not asked.
            guard let format = metadata.formatOfOthers(activated: activated) else {
                throw Refusal(error: error, isOnlyHere: false)
            }
            throw Refusal(error: error, isOnlyHere: true, needs: ForwardingNeeds(format: format))
        }
    }

    private func decrypted(_ exchange: Exchange, _ result: OperationResult) {
        exchange.note(result)
        if let refusal = refusal(result.outcome, label: exchange.label) {
            return refuse(exchange, refusal, label: exchange.label)
        }
        guard let output = result.output else {
            return finish(exchange, refusing: XKSError(.internalFailure, "an HSM's answer was empty"))
        }
        finish(exchange, .success(output.data.withUnsafeBytes { XKSResponse.decrypt(plaintext: $0) }))
    }

    /// InvalidCiphertextException is final for KMS. It goes out only where no other node may hold the key of the
    /// ciphertext; one that does is asked.
    private func refusal(_ outcome: OperationOutcome, label: KeyLabel) -> Refusal? {
        guard case .callersFault(.ciphertextIsInvalid) = outcome else { return Refusal(outcome, of: .decrypt) }
        switch pool.word(onCiphertextOf: label) {
        case .invalid: return Refusal(outcome, of: .decrypt)
        case .elsewhere(let nodes):
            let reason = "no HSM here opens this, and other nodes hold another key under the label"
            return Refusal(
                error: XKSError(.internalFailure, reason), isOnlyHere: true, needs: ForwardingNeeds(only: Set(nodes)))
        case .unknown(let reason): return .here(.internalFailure, "no HSM here opens this: \(reason)")
        }
    }
}
