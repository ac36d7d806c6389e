// SPDX-License-Identifier: Apache-2.0
import SwiftASN1
import X509
import XKSListener

/// What the CAs that this host trusts make of certificates.
enum HostTrust {
    /// What mends it where KMS is the client: it trusts a list of its own, and a chain that this host's CAs do not complete is
    /// most often one without its intermediate certificates.
    static let mend =
        "put the intermediate certificates into the file, behind the node's own; KMS takes the authorities of "
        + "\(ServerCertificate.authorities) alone"

    /// - Parameters:
    ///   - chain: in DER, the server's own first.
    ///   - name: of the server's certificate, by which clients reach the server; it may begin with `*.`.
    /// - Returns: that they do not vouch for it, and why; `nil` where they do.
    static func flaw(of chain: [[UInt8]], name: String) async -> String? {
        let host = name.hasPrefix("*.") ? "any" + name.dropFirst() : name
        return await reason(chain, host).map { "this host's CAs do not vouch for \(name): \($0)" }
    }

    private static func reason(_ chain: [[UInt8]], _ host: String) async -> String? {
        guard let own = chain.first, let leaf = try? Certificate(derEncoded: own) else {
            return "the certificate cannot be read"
        }
        let others = chain.dropFirst().compactMap { try? Certificate(derEncoded: $0) }
        var verifier = Verifier(rootCertificates: .systemTrustRoots) {
            RFC5280Policy()
            ServerIdentityPolicy(serverHostname: host, serverIP: nil)
        }
        switch await verifier.validate(leaf: leaf, intermediates: CertificateStore(others)) {
        case .validCertificate: return nil
        // No chain led to one of them.
        case .couldNotValidate(let failures) where failures.isEmpty:
            return "none of them has signed it, or an intermediate certificate is missing"
        case .couldNotValidate(let failures):
            return failures.first.map { "\($0.policyFailureReason)" }
        }
    }
}
