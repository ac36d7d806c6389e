// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// What a statement may allow or deny. GetHealthStatus is not among them: it is nobody's key.
package enum PolicyAction: String, Sendable, CaseIterable {
    case encrypt = "xks:Encrypt"
    case decrypt = "xks:Decrypt"
    case getKeyMetadata = "xks:GetKeyMetadata"

    /// `nil` for GetHealthStatus, which no policy is asked about (XKS 1.0.3, "Authorization").
    package init?(_ operation: XKSOperation) {
        switch operation {
        case .encrypt: self = .encrypt
        case .decrypt: self = .decrypt
        case .metadata: self = .getKeyMetadata
        case .health: return nil
        }
    }

    var index: Int {
        switch self {
        case .encrypt: 0
        case .decrypt: 1
        case .getKeyMetadata: 2
        }
    }
}

/// A request as a policy sees it. A class, because it is handed to each statement and condition, and a copy would count
/// the references of a dozen strings: that was most of what a decision cost.
package final class PolicyRequest: Sendable {
    package let action: PolicyAction
    /// As it stands in the path.
    package let externalKeyID: String
    /// The key store's path prefix.
    package let keyStore: String
    /// Address of who has connected, with or without its port.
    package let clientAddress: String
    /// Unix time, seconds.
    package let time: Int64
    package let metadata: RequestMetadata

    package init(
        action: PolicyAction, externalKeyID: String, keyStore: String, clientAddress: String, time: Int64,
        metadata: RequestMetadata
    ) {
        self.action = action
        self.externalKeyID = externalKeyID
        self.keyStore = keyStore
        self.clientAddress = clientAddress
        self.time = time
        self.metadata = metadata
    }

    /// The value of a key that is text and has one; `nil` where it is absent or empty, for the client's address, for the
    /// time, and for fields that this version does not know.
    func text(_ key: ConditionKey) -> String? {
        let text: String? =
            switch key {
            case .awsPrincipalArn: metadata.awsPrincipalArn
            case .kmsKeyArn: metadata.kmsKeyArn
            case .kmsOperation: metadata.kmsOperation
            case .kmsRequestId: metadata.kmsRequestId
            case .awsSourceVpc: metadata.awsSourceVpc
            case .awsSourceVpce: metadata.awsSourceVpce
            case .kmsViaService: metadata.kmsViaService
            case .externalKeyID: externalKeyID
            // The path prefix of a key store may be empty, and is then its name.
            case .keyStore: keyStore
            case .clientAddress, .currentTime, .other: nil
            }
        guard let text, !text.isEmpty || key == .keyStore else { return nil }
        return text
    }

    /// The values of a field that this version does not know, without those that are empty.
    func values(ofOther name: String) -> [String] {
        metadata.others.first { $0.name == name }?.values.filter { !$0.isEmpty } ?? []
    }
}
