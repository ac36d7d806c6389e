// SPDX-License-Identifier: Apache-2.0
import ClusterCertificates
import Foundation
import Testing
import X509

@Suite struct ClusterAuthorityTests {
    private let scratch: Scratch
    private let now = Date()

    init() throws { scratch = try Scratch() }

    private func create() throws -> ClusterAuthority {
        try ClusterAuthority.create(in: scratch.file("ca"), now: now)
    }

    private func load(at time: Date) throws -> ClusterAuthority {
        try ClusterAuthority.load(from: scratch.file("ca"), now: time)
    }

    private func days(_ number: Double) -> Date { now.addingTimeInterval(number * 86_400) }

    private func refusal(_ body: () throws -> Void) -> String {
        #expect(throws: CertificateProblem.self, performing: body)?.description ?? ""
    }

    @Test func theCAIsOneForTenYearsWithAKeyForItsOwner() throws {
        _ = try create()
        #expect(try scratch.mode("ca") == 0o700)
        #expect(try scratch.mode("ca/ca.pem") == 0o644)
        #expect(try scratch.mode("ca/ca-key.pem") == 0o600)
        let certificate = try scratch.certificate("ca/ca.pem")
        #expect(certificate.notValidAfter.timeIntervalSince(now) > 3_649 * 86_400)
        #expect(certificate.notValidBefore < now)
        #expect(try scratch.openssl("verify", "-x509_strict", "-CAfile", "ca/ca.pem", "ca/ca.pem").isGood)
        let text = try scratch.openssl("x509", "-in", "ca/ca.pem", "-noout", "-text").output
        #expect(text.contains("CA:TRUE, pathlen:0") && text.contains("NIST CURVE: P-256"))
    }

    @Test func nothingIsOverwritten() throws {
        _ = try create()
        let before = try [scratch.content("ca/ca.pem"), scratch.content("ca/ca-key.pem")]
        #expect(refusal { _ = try create() }.contains("ca/ca-key.pem is there already"))
        #expect(try [scratch.content("ca/ca.pem"), scratch.content("ca/ca-key.pem")] == before)
    }

    @Test(arguments: ["ca.pem", "ca-key.pem"])
    func whatAnInterruptedStartLeftIsNamed(file: String) throws {
        _ = try create()
        try FileManager.default.removeItem(atPath: scratch.file("ca/" + (file == "ca.pem" ? "ca-key.pem" : "ca.pem")))
        #expect(refusal { _ = try create() }.contains(file))
        #expect(refusal { _ = try load(at: now) }.contains("There is no \(scratch.path)/ca/"))
    }

    @Test func aDirectoryThatCannotBeMadeIsNamed() throws {
        #expect(throws: (any Error).self) { try ClusterAuthority.create(in: scratch.file("a/b"), now: now) }
        #expect(!scratch.exists("a"))
    }

    @Test func aCAComesBackAsItWas() throws {
        let made = try create()
        let loaded = try load(at: now)
        #expect(loaded.files == made.files)
        let pair = try loaded.issue(.init(node: "n"), into: scratch.file("out"), now: now)
        #expect(try scratch.openssl("verify", "-CAfile", "ca/ca.pem", pair.certificate).isGood)
    }

    @Test func whatIsNoCAIsRefused() throws {
        #expect(refusal { _ = try load(at: now) }.contains("claviger cluster new-ca"))
        let authority = try create()
        #expect(refusal { _ = try load(at: days(3_651)) }.contains("it can sign nothing now"))
        #expect(refusal { _ = try load(at: days(-1)) }.contains("it can sign nothing now"))

        // A node's certificate under the CA's name.
        let pair = try authority.issue(.init(node: "n"), into: scratch.file("out"), now: now)
        try FileManager.default.moveItem(atPath: pair.certificate, toPath: scratch.file("out/ca.pem"))
        try FileManager.default.moveItem(atPath: pair.key, toPath: scratch.file("out/ca-key.pem"))
        let other = refusal { _ = try ClusterAuthority.load(from: scratch.file("out"), now: now) }
        #expect(other.contains("but not a CA's"))

        // Another's key.
        try FileManager.default.removeItem(atPath: scratch.file("ca/ca-key.pem"))
        try FileManager.default.copyItem(atPath: scratch.file("out/ca-key.pem"), toPath: scratch.file("ca/ca-key.pem"))
        #expect(refusal { _ = try load(at: now) }.contains("are no CA"))
        try scratch.write("no PEM", to: "ca/ca.pem")
        #expect(refusal { _ = try load(at: now) }.contains("are no CA"))
    }
}
