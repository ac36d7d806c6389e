// SPDX-License-Identifier: Apache-2.0
import SecureMemory

/// An access key id and the secret that belongs to it, as KMS and the proxy share them.
///
/// The secret has no textual form: printing a credential shows the access key id only.
package struct Credential: Sendable {
    package let accessKeyID: String
    package let secret: SecretBytes

    /// Length of an access key id (XKS 1.0.3, appendix A).
    package static let accessKeyIDLengths = 20...30
    /// Length of a secret access key, as `CreateCustomKeyStore` takes it.
    package static let secretLengths = 43...64

    /// A credential in the form that KMS accepts: an access key id of 20 to 30 of `A-Z 2-7`, a secret of 43 to 64 of
    /// `A-Z a-z 0-9 + / =`.
    package init(accessKeyID: String, secret: SecretBytes) throws(CredentialError) {
        try Self.validate(accessKeyID: accessKeyID)
        try Self.validate(secret: secret)
        self.init(unvalidated: accessKeyID, secret: secret)
    }

    /// A credential of any form, for AWS's published examples, whose credentials are shorter than those of XKS.
    package init(unvalidated accessKeyID: String, secret: SecretBytes) {
        self.accessKeyID = accessKeyID
        self.secret = secret
    }

    /// Whether `byte` may stand in an access key id: the alphabet of base32 (RFC 4648).
    package static func isAccessKeyIDCharacter(_ byte: UInt8) -> Bool {
        ASCII.isUpper(byte) || (byte >= 0x32 && byte <= 0x37)
    }

    /// Whether `byte` may stand in a secret access key: the alphabet of base64 with its padding.
    package static func isSecretCharacter(_ byte: UInt8) -> Bool {
        ASCII.isAlphanumeric(byte) || byte == 0x2B || byte == 0x2F || byte == 0x3D
    }

    private static func validate(accessKeyID: String) throws(CredentialError) {
        let length = accessKeyID.utf8.count
        guard accessKeyIDLengths.contains(length) else { throw .accessKeyIDLength(length) }
        for (index, byte) in accessKeyID.utf8.enumerated() where !isAccessKeyIDCharacter(byte) {
            throw .accessKeyIDCharacter(position: index + 1)
        }
    }

    private static func validate(secret: SecretBytes) throws(CredentialError) {
        guard secretLengths.contains(secret.count) else { throw .secretLength(secret.count) }
        let position = secret.withUnsafeBytes { $0.firstIndex { !isSecretCharacter($0) } }
        if let position { throw .secretCharacter(position: position + 1) }
    }
}

extension Credential: CustomStringConvertible, CustomReflectable {
    package var description: String { "Credential(\(accessKeyID))" }
    package var customMirror: Mirror { Mirror(self, children: ["accessKeyID": accessKeyID]) }
}

/// Why a credential, or a set of them, cannot be used.
///
/// No case carries the value: whoever puts the secret where the access key id belongs must not find it in the log.
package enum CredentialError: Error, Equatable, Sendable {
    case accessKeyIDLength(Int)
    /// `position` counts from 1.
    case accessKeyIDCharacter(position: Int)
    case secretLength(Int)
    /// `position` counts from 1.
    case secretCharacter(position: Int)
    case noCredentials
    case repeatedAccessKeyID(first: Int, second: Int)
}

extension CredentialError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .accessKeyIDLength(let length):
            "The access key id has \(length) characters; it must have 20 to 30. "
                + "`claviger keystore new-credential` makes a valid one."
        case .accessKeyIDCharacter(let position):
            "Character \(position) of the access key id is not one of A-Z and 2-7. "
                + "`claviger keystore new-credential` makes a valid one."
        case .secretLength(let length):
            "The secret access key has \(length) bytes; it must have 43 to 64. "
                + "Check for a truncated file or a line break at its end."
        case .secretCharacter(let position):
            "Byte \(position) of the secret access key is not one of A-Z, a-z, 0-9, +, / and =. "
                + "Check for quotes, blanks or line breaks around it."
        case .noCredentials:
            "There is no credential; KMS cannot sign for this key store. Add at least one."
        case .repeatedAccessKeyID(let first, let second):
            "Credentials \(first) and \(second) have the same access key id; "
                + "each needs its own, so that it says which secret signed. Remove one of them."
        }
    }
}
