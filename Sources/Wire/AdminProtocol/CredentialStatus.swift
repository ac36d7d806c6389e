// SPDX-License-Identifier: Apache-2.0

/// What is known of a credential of a key store; nothing of its secret.
package struct CredentialStatus: Sendable, Equatable, Codable {
    /// Path prefix.
    package var keyStore: String
    package var accessKeyId: String
    /// When a configuration of the node first had it.
    package var firstSeenUnixSeconds: Int64?
    /// When a node of the cluster last took a request that it signed, to the minute; `nil` where none is known.
    package var lastUsedUnixSeconds: Int64?
    /// The node.
    package var lastUsedAt: String?

    package init(
        keyStore: String, accessKeyId: String, firstSeenUnixSeconds: Int64? = nil, lastUsedUnixSeconds: Int64? = nil,
        lastUsedAt: String? = nil
    ) {
        self.keyStore = keyStore
        self.accessKeyId = accessKeyId
        self.firstSeenUnixSeconds = firstSeenUnixSeconds
        self.lastUsedUnixSeconds = lastUsedUnixSeconds
        self.lastUsedAt = lastUsedAt
    }
}
