// SPDX-License-Identifier: Apache-2.0
import DevEnvironment
import Foundation
import Testing
import X509

@Suite struct DevCertificatesTests {
    private let scratch: Scratch
    private let now = Date()

    init() throws { scratch = try Scratch() }

    private func ensure(at time: Date, hosts: [String] = []) throws -> DevCertificates {
        try DevCertificates.ensure(in: scratch.path, hosts: hosts, now: time)
    }

    private func certificate(_ name: String) throws -> Certificate { try Certificate(pemEncoded: scratch.text(name)) }

    /// Runs OpenSSL, the judge that clients use as well.
    private func openssl(_ arguments: String...) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }

    private func verify(_ file: String, _ arguments: String...) throws -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = ["verify", "-x509_strict", "-CAfile", scratch.path + "/ca.pem"] + arguments + [file]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    @Test func opensslAcceptsTheServersCertificateForItsNamesOnly() throws {
        let files = try ensure(at: now)
        #expect(try verify(files.serverCertificate, "-purpose", "sslserver", "-verify_hostname", "localhost"))
        #expect(try verify(files.serverCertificate, "-purpose", "sslserver", "-verify_ip", "127.0.0.1"))
        #expect(try verify(files.serverCertificate, "-purpose", "sslserver", "-verify_ip", "::1"))
        #expect(try !verify(files.serverCertificate, "-purpose", "sslclient"))
        #expect(try !verify(files.serverCertificate, "-purpose", "sslserver", "-verify_hostname", "example.com"))
    }

    @Test func opensslAcceptsTheClientsCertificateAsAClients() throws {
        let files = try ensure(at: now)
        let name = DevCertificates.clientName
        #expect(try verify(files.clientCertificate, "-purpose", "sslclient", "-verify_hostname", name))
        #expect(try !verify(files.clientCertificate, "-purpose", "sslserver"))
    }

    @Test func keysBelongToTheirCertificatesAndToTheirOwner() throws {
        _ = try ensure(at: now)
        for name in ["server", "client"] {
            let fromKey = try openssl("pkey", "-in", "\(scratch.path)/\(name)-key.pem", "-pubout")
            let fromCertificate = try openssl("x509", "-in", "\(scratch.path)/\(name).pem", "-noout", "-pubkey")
            #expect(fromKey.status == 0)
            #expect(fromKey.output == fromCertificate.output)
            #expect(try scratch.mode("\(name)-key.pem") == 0o600)
        }
        #expect(try scratch.mode("ca-key.pem") == 0o600)
    }

    @Test func whatIsThereIsKept() throws {
        _ = try ensure(at: now)
        let names = ["ca.pem", "ca-key.pem", "server.pem", "server-key.pem", "client.pem", "client-key.pem"]
        let before = try names.map { try scratch.content($0) }
        _ = try ensure(at: now.addingTimeInterval(86_400 * 30))
        #expect(try names.map { try scratch.content($0) } == before)
    }

    @Test func leavesAreRenewedBeforeTheyExpireUnderTheSameCA() throws {
        _ = try ensure(at: now)
        let authority = try scratch.content("ca.pem")
        let old = try certificate("server.pem")
        let later = now.addingTimeInterval(86_400 * 800)
        _ = try ensure(at: later)
        let renewed = try certificate("server.pem")
        #expect(renewed.serialNumber != old.serialNumber)
        #expect(renewed.notValidAfter > later.addingTimeInterval(86_400 * 800))
        #expect(try scratch.content("ca.pem") == authority)
    }

    @Test func aNewCAMeansNewLeaves() throws {
        _ = try ensure(at: now)
        let old = try certificate("client.pem")
        _ = try ensure(at: now.addingTimeInterval(86_400 * 3_600))
        let authority = try certificate("ca.pem")
        let renewed = try certificate("client.pem")
        #expect(renewed.serialNumber != old.serialNumber)
        #expect(authority.publicKey.isValidSignature(renewed.signature, for: renewed))
        #expect(authority.notValidAfter >= renewed.notValidAfter)
    }

    @Test(arguments: ["server-key.pem", "server.pem", "ca-key.pem", "ca.pem", "client.pem"])
    func aMissingOrBrokenFileIsMadeAgain(name: String) throws {
        let files = try ensure(at: now)
        try FileManager.default.removeItem(atPath: scratch.path + "/" + name)
        _ = try ensure(at: now)
        #expect(try verify(files.serverCertificate) && verify(files.clientCertificate))
        try Data("no PEM".utf8).write(to: URL(fileURLWithPath: scratch.path + "/" + name))
        _ = try ensure(at: now)
        #expect(try verify(files.serverCertificate) && verify(files.clientCertificate))
    }

    @Test func aCertificateFromTheFutureIsReplaced() throws {
        _ = try ensure(at: now.addingTimeInterval(86_400 * 20))
        let files = try ensure(at: now)
        #expect(try verify(files.serverCertificate))
    }

    @Test func theListenersHostIsAmongTheNames() throws {
        let hosts = ["127.0.0.1", "0.0.0.0", "::", "10.1.2.3", "node.example.com", "no name!"]
        let files = try ensure(at: now, hosts: hosts)
        #expect(try verify(files.serverCertificate, "-verify_ip", "10.1.2.3"))
        #expect(try verify(files.serverCertificate, "-verify_hostname", "node.example.com"))
        #expect(try certificate("server.pem").extensions.subjectAlternativeNames?.count == 5)
    }
}
