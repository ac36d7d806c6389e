// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import XKSListener

@Suite struct ServerCertificateTests {
    /// A certificate, and what is said of it.
    struct Input: Sendable, CustomTestStringConvertible {
        var name: String
        var algorithm = TestAuthority.Key.ec.options
        var extensions = "subjectAltName=DNS:kms.example.com,DNS:*.example.com,IP:192.0.2.1\n"
        var isSelfSigned = false
        var key = "EC P-256"
        /// What the only flaw names; nil for none.
        var flaw: String?
        var testDescription: String { name }
    }

    private static func rsa(_ bits: Int) -> [String] {
        ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:\(bits)"]
    }

    private static let names = Input(name: "").extensions

    static let inputs = [
        Input(name: "any use"),
        Input(name: "clients and servers", extensions: names + "extendedKeyUsage=clientAuth,serverAuth\n"),
        Input(name: "P-384", algorithm: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], key: "EC P-384"),
        Input(name: "RSA", algorithm: rsa(2_048), key: "RSA 2048"),
        Input(name: "self-signed", isSelfSigned: true, flaw: ServerCertificate.authorities),
        Input(name: "address", extensions: "subjectAltName=IP:192.0.2.1\n", flaw: "has no DNS name"),
        Input(name: "clients", extensions: names + "extendedKeyUsage=critical,clientAuth\n", flaw: "serverAuth"),
        Input(name: "short", algorithm: rsa(1_024), key: "RSA 1024", flaw: "an RSA key of 1024 bits"),
        Input(name: "Ed25519", algorithm: ["-algorithm", "ED25519"], key: "Ed25519", flaw: "a key (Ed25519)"),
    ]

    private func issue(_ input: Input) throws -> ServerCertificate {
        let authority = try TestAuthority()
        try authority.openssl(["genpkey"] + input.algorithm + ["-out", "a.key"])
        try authority.openssl(["req", "-new", "-key", "a.key", "-out", "a.csr", "-subj", "/C=US/O=Org/CN=a"])
        try authority.write("a.ext", input.extensions)
        let signer =
            input.isSelfSigned ? ["-signkey", "a.key"] : ["-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "9"]
        try authority.openssl(
            ["x509", "-req", "-in", "a.csr", "-out", "a.pem", "-extfile", "a.ext", "-days", "90"] + signer)
        return try #require(try authority.material("a").server)
    }

    /// With 16631be nothing was said of any of these.
    @Test(arguments: inputs)
    func knowsWhatKMSDoesNotTake(_ input: Input) throws {
        let found = try issue(input)
        #expect(found.key == input.key && found.issuer == (input.isSelfSigned ? "C=US, O=Org, CN=a" : "CN=ca"))
        #expect(found.names == (input.flaw == "has no DNS name" ? [] : ["kms.example.com", "*.example.com"]))
        guard let flaw = input.flaw else {
            #expect(found.flaws.isEmpty)
            return
        }
        #expect(found.flaws.count == 1 && found.flaws.first?.contains(flaw) == true, "\(found.flaws)")
    }

    @Test func isDescribedInOneLine() throws {
        let found = try issue(Input(name: "any use"))
        let now = Int64(Date().timeIntervalSince1970)
        #expect(found.description(now: now).hasPrefix("kms.example.com, *.example.com, issued by CN=ca, ends on 20"))
        #expect(found.description(now: found.notAfter - 86_400).hasSuffix("(in 1 day), EC P-256"))
        #expect(found.description(now: found.notAfter + 1).hasSuffix("(has ended), EC P-256"))
    }
}
