// SPDX-License-Identifier: Apache-2.0
import NIOSSL

/// A client whose certificate is good, but somebody else's.
struct ClientNameMismatch: Error, CustomStringConvertible {
    let description: String

    init(_ certificate: NIOSSLCertificate, expected: [String]) {
        let names = certificate.names.map { "\"\($0)\"" }.joined(separator: ", ")
        let wanted = expected.map { "\"\($0)\"" }.joined(separator: " or ")
        description = "the client certificate is for \(names), not for \(wanted)"
    }
}

extension NIOSSLCertificate {
    /// Whether a DNS name among the alternative names is one of `wanted`, in any case; in a certificate without
    /// alternative names a common name of the subject. One that has both is known by the first alone (RFC 9525, section
    /// 2: whoever issues certificates checks alternative names, and may let the holder choose the common name).
    ///
    /// No wildcards: KMS presents the full name `cks.kms.<region>.amazonaws.com` (XKS 1.0.3, "mTLS").
    func bears(oneOf wanted: [String]) -> Bool {
        names.contains { name in wanted.contains { equalsIgnoringASCIICase(name, $0) } }
    }

    /// The names that count.
    var names: [String] {
        let alternative = _subjectAlternativeNames()
        guard alternative.isEmpty else {
            return alternative.filter { $0.nameType == .dnsName }.map { String(decoding: $0.contents, as: UTF8.self) }
        }
        return subjectName.filter { $0.type == .commonName }.map(\.value)
    }
}

private func equalsIgnoringASCIICase(_ left: String, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count && zip(left.utf8, right.utf8).allSatisfy { lowered($0) == lowered($1) }
}

private func lowered(_ letter: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(letter) ? letter | 0x20 : letter
}
