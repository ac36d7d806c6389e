// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import SecureMemory
import StatusVocabulary

/// One AES-256 key to be put into a token.
package struct PlannedKey: Sendable {
    /// CKA_LABEL: the external key id that clients name.
    package var label: String
    /// CKA_ID.
    package var id: [UInt8]
    /// CKA_VALUE, 32 bytes.
    package var value: SecretBytes
    package var usage: KeyUsage

    package init(label: String, id: [UInt8], value: SecretBytes, usage: KeyUsage) {
        self.label = label
        self.id = id
        self.value = value
        self.usage = usage
    }
}

/// What a development token is to hold. Handed to the process that fills the token over its standard input.
package struct TokenPlan: Sendable {
    /// CK_TOKEN_INFO.label, at most 32 bytes.
    package var label: String
    package var soPIN: SecretBytes
    package var userPIN: SecretBytes
    package var keys: [PlannedKey]

    package init(label: String, soPIN: SecretBytes, userPIN: SecretBytes, keys: [PlannedKey]) {
        self.label = label
        self.soPIN = soPIN
        self.userPIN = userPIN
        self.keys = keys
    }
}
