// SPDX-License-Identifier: Apache-2.0
import Crypto
import XKSCalls

/// What the four answers of success must hold (XKS 1.0.3, the operations' "Response Payload Parameters"). Each function returns
/// what is wrong, `nil` where nothing is.
enum AnswerShape {
    struct Flaw: Error {
        var text: String
    }

    // MARK: GetHealthStatus

    static func healthFlaw(_ json: JSONValue?) -> String? {
        fleetSizeFlaw(json) ?? healthNamesFlaw(json) ?? fleetFlaw(json)
    }

    static func fleetSizeFlaw(_ json: JSONValue?) -> String? {
        guard let size = json?["xksProxyFleetSize"]?.integer else { return "xksProxyFleetSize is no whole number" }
        return size > 0 ? nil : "xksProxyFleetSize is not greater than zero"
    }

    static func healthNamesFlaw(_ json: JSONValue?) -> String? {
        for name in ["xksProxyVendor", "xksProxyModel", "ekmVendor"] where json?[name]?.text?.isEmpty != false {
            return "\(name) is no text, or empty"
        }
        return nil
    }

    static func fleetFlaw(_ json: JSONValue?) -> String? {
        guard let fleet = json?["ekmFleetDetails"]?.elements else { return "ekmFleetDetails is no array" }
        guard (1...10).contains(fleet.count) else { return "ekmFleetDetails has \(fleet.count) entries" }
        var ids: Set<String> = []
        for entry in fleet {
            guard let id = entry["id"]?.text, !id.isEmpty, entry["model"]?.text?.isEmpty == false else {
                return "an entry of ekmFleetDetails has no id or model"
            }
            guard ["ACTIVE", "DEGRADED", "UNAVAILABLE"].contains(entry["healthStatus"]?.text) else {
                return "a healthStatus is none of ACTIVE, DEGRADED, UNAVAILABLE"
            }
            guard ids.insert(id).inserted else { return "an id stands twice in ekmFleetDetails" }
        }
        return nil
    }

    // MARK: GetKeyMetadata

    static func metadataFlaw(_ json: JSONValue?) -> String? {
        keySpecFlaw(json) ?? keyUsageFlaw(json) ?? keyStatusFlaw(json)
    }

    static func keySpecFlaw(_ json: JSONValue?) -> String? {
        json?["keySpec"]?.text == "AES_256" ? nil : "keySpec is not AES_256"
    }

    static func keyUsageFlaw(_ json: JSONValue?) -> String? {
        guard let usage = json?["keyUsage"]?.elements else { return "keyUsage is no array" }
        guard usage.allSatisfy({ $0.text != nil }) else { return "keyUsage holds something else than texts" }
        return usage.count <= 10 ? nil : "keyUsage has \(usage.count) values"
    }

    static func keyStatusFlaw(_ json: JSONValue?) -> String? {
        ["ENABLED", "DISABLED"].contains(json?["keyStatus"]?.text) ? nil : "keyStatus is neither ENABLED nor DISABLED"
    }

    // MARK: Encrypt

    static func sealed(_ json: JSONValue?, plaintext: [UInt8]) -> Result<SealedFields, Flaw> {
        func flaw(_ text: String) -> Result<SealedFields, Flaw> { .failure(Flaw(text: text)) }
        guard let json, let sealed = SealedFields(json) else {
            return flaw("ciphertext, initializationVector or authenticationTag is missing, or no base64")
        }
        guard sealed.ciphertext.count == plaintext.count else {
            return flaw("the ciphertext has \(sealed.ciphertext.count) bytes for \(plaintext.count) of plaintext")
        }
        guard [12, 16].contains(sealed.initializationVector.count) else {
            return flaw("the initialization vector has \(sealed.initializationVector.count) bytes")
        }
        guard sealed.authenticationTag.count == 16 else {
            return flaw("the authentication tag has \(sealed.authenticationTag.count) bytes")
        }
        if json["ciphertextMetadata"] != nil {
            guard let metadata = sealed.ciphertextMetadata else { return flaw("ciphertextMetadata is no base64") }
            guard metadata.count <= 20 else { return flaw("ciphertextMetadata has \(metadata.count) bytes") }
        }
        return .success(sealed)
    }

    /// SHA-256 over AAD, metadata, vector, ciphertext and tag (Appendix C).
    static func integrityValue(_ sealed: SealedFields, additionalData: [UInt8]?) -> [UInt8] {
        let all =
            (additionalData ?? []) + (sealed.ciphertextMetadata ?? []) + sealed.initializationVector + sealed.ciphertext
            + sealed.authenticationTag
        return Array(SHA256.hash(data: all))
    }

    // MARK: Errors

    static func errorFlaw(_ json: JSONValue?) -> String? {
        guard case .object? = json else { return "the body is not a JSON object" }
        guard json?["errorName"]?.text?.isEmpty == false else { return "the body has no errorName" }
        return nil
    }

    static func errorMessageFlaw(_ json: JSONValue?) -> String? {
        guard let message = json?["errorMessage"] else { return nil }
        guard let text = message.text else { return "errorMessage is no text" }
        guard text.unicodeScalars.count < 512 else { return "errorMessage has 512 characters or more" }
        let isPlain = text.unicodeScalars.allSatisfy { (0x20...0x7E).contains($0.value) }
        return isPlain ? nil : "errorMessage has characters that are not printable ASCII"
    }
}
