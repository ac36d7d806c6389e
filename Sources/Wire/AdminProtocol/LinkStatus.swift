// SPDX-License-Identifier: Apache-2.0

/// How many live connections of one kind have agreed on one way of TLS.
package struct LinkStatus: Sendable, Equatable, Codable {
    /// `xks` (from KMS), `control` (from people and monitoring), `cluster in` (from peers), `cluster out` (to peers), `forwarding out` (to peers, for KMS
    /// requests).
    package var link: String
    /// `TLSv1.3` or `TLSv1.2`.
    package var version: String
    /// Of the key exchange, as IANA names it: `X25519MLKEM768`, `x25519`, `secp256r1`, `secp384r1`; empty where a session
    /// of TLS 1.2 was taken up again.
    package var group: String
    /// As IANA names it, for example `TLS_AES_128_GCM_SHA256`.
    package var suite: String
    package var connections: Int

    package init(link: String, version: String, group: String, suite: String, connections: Int) {
        self.link = link
        self.version = version
        self.group = group
        self.suite = suite
        self.connections = connections
    }
}
