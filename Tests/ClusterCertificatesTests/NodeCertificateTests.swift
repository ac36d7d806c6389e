// SPDX-License-Identifier: Apache-2.0
import ClusterCertificates
import Foundation
import Testing
import X509

@Suite struct NodeCertificateTests {
    private let scratch: Scratch
    private let authority: ClusterAuthority
    private let now = Date()

    init() throws {
        scratch = try Scratch()
        authority = try ClusterAuthority.create(in: scratch.file("ca"), now: now)
    }

    @discardableResult
    private func issue(
        _ node: String, hosts: [String] = [], days: Int = 825, replacing: Bool = false
    ) throws -> CertificatePair {
        try authority.issue(
            .init(node: node, hosts: hosts, days: days), into: scratch.file("out"), replacing: replacing, now: now)
    }

    private func refusal(_ body: () throws -> Void) -> String {
        #expect(throws: CertificateProblem.self, performing: body)?.description ?? ""
    }

    @Test func aNodeIsServerAndClientByOneCertificate() throws {
        let pair = try issue("fra-1", hosts: ["fra-1.example.com", "10.1.2.3", "2001:db8::1", "10.1.2.3"])
        #expect(
            pair
                == CertificatePair(
                    certificate: "\(scratch.path)/out/fra-1.pem", key: "\(scratch.path)/out/fra-1-key.pem"))
        #expect(try scratch.mode("out") == 0o700)
        #expect(try scratch.mode("out/fra-1.pem") == 0o644)
        #expect(try scratch.mode("out/fra-1-key.pem") == 0o600)
        for purpose in ["sslserver", "sslclient"] {
            for name in [
                ["-verify_hostname", "fra-1.node.claviger"], ["-verify_hostname", "fra-1.example.com"],
                ["-verify_ip", "10.1.2.3"], ["-verify_ip", "2001:db8::1"],
            ] {
                #expect(
                    try scratch.openssl(
                        "verify", "-x509_strict", "-CAfile", "ca/ca.pem", "-purpose", purpose, name[0], name[1],
                        pair.certificate
                    ).isGood, "\(purpose) \(name)")
            }
        }
        let certificate = try scratch.certificate("out/fra-1.pem")
        #expect(certificate.subject.description.contains("CN=fra-1"))
        #expect(try certificate.extensions.subjectAlternativeNames?.count == 4)
        #expect(abs(certificate.notValidAfter.timeIntervalSince(now) - 825 * 86_400) < 2)
        let ofKey = try scratch.openssl("pkey", "-in", "out/fra-1-key.pem", "-pubout").output
        #expect(try scratch.openssl("x509", "-in", "out/fra-1.pem", "-noout", "-pubkey").output == ofKey)
    }

    /// Names of nodes may hold what host names may not; the certificate carries them all the same.
    @Test(arguments: ["a", "Node_1", "fra.1", "..", "-", String(repeating: "x", count: 64)])
    func everyNameOfANodeComesBackFromItsCertificate(node: String) throws {
        try issue(node)
        let names = try #require(
            try scratch.certificate("out/\(node).pem").extensions.subjectAlternativeNames)
        let nodes = names.compactMap { name -> String? in
            if case .dnsName(let text) = name { NodeCertificateName.node(ofDNSName: text) } else { nil }
        }
        #expect(nodes == [node])
        #expect(try scratch.openssl("verify", "-CAfile", "ca/ca.pem", scratch.file("out/\(node).pem")).isGood)
    }

    @Test(arguments: ["", "a/b", "../a", "a b", "é", "a\n", "a\0", String(repeating: "x", count: 65)])
    func whatIsNoNameOfANodeIsRefused(node: String) throws {
        #expect(refusal { try issue(node) }.contains("is no name of a node"))
        #expect(!scratch.exists("out"))
        #expect(NodeCertificateName.node(ofDNSName: NodeCertificateName.dnsName(of: node)) == nil)
    }

    @Test func onlyNamesOfTheRightEndAreNodes() {
        #expect(NodeCertificateName.dnsName(of: "fra-1") == "fra-1.node.claviger")
        #expect(NodeCertificateName.node(ofDNSName: "a.node.claviger.node.claviger") == "a.node.claviger")
        for name in ["fra-1", ".node.claviger", "node.claviger", "fra-1.node.clavige", "fra-1.NODE.claviger", "*.x"] {
            #expect(NodeCertificateName.node(ofDNSName: name) == nil, "\(name)")
        }
    }

    /// Else one node could be issued a certificate in the name of another by the way.
    @Test(arguments: ["iad-1.node.claviger", "", "a b", "0.0.0.0", "::", "é.example.com", "*.example.com"])
    func whatIsNoHostIsRefused(host: String) throws {
        #expect(refusal { try issue("fra-1", hosts: [host]) }.contains("(--host)"))
        #expect(!scratch.exists("out"))
    }

    @Test func whatIsThereIsReplacedOnlyWhenAskedFor() throws {
        try issue("fra-1")
        let before = try scratch.certificate("out/fra-1.pem")
        #expect(refusal { try issue("fra-1") }.contains("--force"))
        #expect(try scratch.certificate("out/fra-1.pem") == before)
        try issue("fra-1", replacing: true)
        let after = try scratch.certificate("out/fra-1.pem")
        #expect(after.serialNumber != before.serialNumber && after.publicKey != before.publicKey)
        try FileManager.default.removeItem(atPath: scratch.file("out/fra-1.pem"))
        #expect(refusal { try issue("fra-1") }.contains("fra-1-key.pem is there already"))
    }

    @Test func aNodeCannotReplaceTheCA() throws {
        let before = try [scratch.content("ca/ca.pem"), scratch.content("ca/ca-key.pem")]
        #expect(
            refusal {
                _ = try authority.issue(.init(node: "ca"), into: scratch.file("ca"), replacing: true, now: now)
            }.contains("would replace the CA"))
        #expect(
            refusal {
                _ = try authority.issue(.init(node: "ca"), into: scratch.file("ca/../ca"), replacing: true, now: now)
            }.contains("would replace the CA"))
        #expect(try [scratch.content("ca/ca.pem"), scratch.content("ca/ca-key.pem")] == before)
    }

    @Test func noCertificateOutlivesItsCA() throws {
        #expect(refusal { try issue("n", days: 0) }.contains("1 to 3650"))
        #expect(refusal { try issue("n", days: 3_651) }.contains("1 to 3650"))
        let late = now.addingTimeInterval(3_000 * 86_400)
        func issueLate(_ days: Int) throws {
            _ = try authority.issue(.init(node: "n", days: days), into: scratch.file("out"), now: late)
        }
        #expect(refusal { try issueLate(825) }.contains("Choose fewer with --days"))
        try issueLate(600)
        #expect(abs(try scratch.certificate("out/n.pem").notValidAfter.timeIntervalSince(late) - 600 * 86_400) < 2)
    }

    @Test func aGoodCertificateIsKeptAndABadOneReplaced() throws {
        func ensure(_ authority: ClusterAuthority, at time: Date) throws -> Certificate {
            let pair = try authority.ensure(.init(node: "n"), in: scratch.path, margin: 86_400, now: time)
            #expect(pair == ClusterAuthority.files(of: "n", in: scratch.path))
            return try scratch.certificate("n.pem")
        }
        let first = try ensure(authority, at: now)
        #expect(try ensure(authority, at: now.addingTimeInterval(800 * 86_400)) == first)
        let second = try ensure(authority, at: now.addingTimeInterval(824.5 * 86_400))
        #expect(second != first)
        let other = try ClusterAuthority.create(in: scratch.file("other"), now: now)
        let third = try ensure(other, at: now.addingTimeInterval(824.5 * 86_400))
        #expect(third != second)
        try scratch.write("no PEM", to: "n-key.pem")
        #expect(try ensure(other, at: now.addingTimeInterval(824.5 * 86_400)) != third)
    }
}
