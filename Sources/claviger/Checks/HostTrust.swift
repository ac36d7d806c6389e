// SPDX-License-Identifier: Apache-2.0
import SwiftASN1
import X509

/// What the CAs that this host trusts make of certificates.
enum HostTrust {
    /// - Parameters:
    ///   - chain: in DER, the server's own first.
    ///   - host: the name by which clients reach the server.
    /// - Returns: why they do not vouch for it; `nil` where they do.
    static func flaw(of chain: [[UInt8]], host: String) async -> String? {
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
