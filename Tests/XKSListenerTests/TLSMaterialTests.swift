// SPDX-License-Identifier: Apache-2.0
import Chance
import Foundation
import Testing
import XKSListener

@Suite(.serialized) struct TLSMaterialTests {
    private func error(_ body: () throws -> TLSMaterial) -> TLSMaterialError? {
        do {
            _ = try body()
            return nil
        } catch {
            return error as? TLSMaterialError
        }
    }

    @Test func namesEachFault() throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        try authority.issueServer("other")
        let certificate = authority.path("server.pem")
        let key = authority.path("server.key")
        let missing = authority.path("missing.pem")
        try authority.write("missing.key", "")
        #expect(
            error { try authority.material("missing") }
                == .unusableFile(file: missing, problem: "does not exist", mend: "check the path, or create the file"))
        #expect(
            error { try authority.material(key: "server.pem") } == .noKey(file: certificate, containsCertificate: true))
        try authority.write("exchanged.pem", authority.read("server.key"))
        #expect(
            error { try authority.material("exchanged", key: "server.key") }
                == .noCertificate(file: authority.path("exchanged.pem"), containsKey: true))
        let mismatch = TLSMaterialError.keyMismatch(
            certificateFile: certificate, keyFile: authority.path("other.key"), subject: "\"localhost\"", position: nil)
        #expect(error { try authority.material(key: "other.key") } == mismatch)
        #expect(mismatch.description.contains(certificate) && mismatch.description.contains("other.key"))
        try authority.openssl(["pkey", "-in", "server.key", "-aes256", "-passout", "pass:x", "-out", "enc8.key"])
        #expect(error { try authority.material(key: "enc8.key") } == .encryptedKey(file: authority.path("enc8.key")))
        try authority.openssl(["ec", "-in", "server.key", "-aes256", "-passout", "pass:x", "-out", "enc1.key"])
        #expect(error { try authority.material(key: "enc1.key") } == .encryptedKey(file: authority.path("enc1.key")))
        try authority.write("cut.key", String(authority.read("server.key").prefix(80)))
        #expect(
            error { try authority.material(key: "cut.key") }
                == .malformedText(
                    file: authority.path("cut.key"), line: 1,
                    reason: "what begins there has no line -----END PRIVATE KEY-----"))
        try authority.write("cut.pem", String(authority.read("server.pem").prefix(300)))
        #expect(
            error { try authority.material("cut", key: "server.key") }
                == .malformedText(
                    file: authority.path("cut.pem"), line: 1,
                    reason: "what begins there has no line -----END CERTIFICATE-----"))
        try authority.openssl(["x509", "-in", "server.pem", "-outform", "der", "-out", "der.pem"])
        #expect(
            error { try authority.material("der", key: "server.key") }
                == .noCertificate(file: authority.path("der.pem"), containsKey: false))
        try authority.write("empty.pem", "")
        #expect(
            error { try authority.material("empty", key: "server.key") }
                == .noCertificate(file: authority.path("empty.pem"), containsKey: false))
        try authority.write("large.pem", String(repeating: "x", count: 1 << 21))
        #expect(
            error { try authority.material("large", key: "server.key") }
                == .unusableFile(
                    file: authority.path("large.pem"), problem: "is larger than 1048576 bytes",
                    mend: "name another file")
        )
        #expect(
            error { try authority.material(clientNames: ["a"]) } == .clientNameWithoutAuthority(name: "a"))
        #expect(
            error { try authority.material(clientAuthority: "ca", clientNames: ["a b"]) } == .badClientName(name: "a b")
        )
        #expect(FileManager.default.fileExists(atPath: key))
    }

    /// A node of 16631be dropped the first authority of a file with a byte-order mark, and a damaged one, silently.
    /// Without the skipping of marks there was no certificate in it; read in one piece, the damaged one was left out.
    @Test func takesAFileWhollyOrNotAtAll() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        try authority.makeAuthority("other")
        try authority.issue("client", subject: "/CN=client")
        let (mine, other) = (try authority.read("ca.pem"), try authority.read("other.pem"))
        // Each of the two files that were put together begins by a mark.
        try authority.write("marked.pem", "\u{FEFF}\(mine)\u{FEFF}\(other)".replacing("\n", with: "\r\n"))
        let material = try authority.material(clientAuthority: "marked", clientNames: [])
        try await withListener(loopback(.tls(material))) { _, port async throws in
            let result = try run([
                "curl", "--silent", "--show-error", "--cacert", authority.path("ca.pem"), "--cert",
                authority.path("client.pem"), "--key", authority.path("client.key"), "--data-binary", "hello",
                "https://127.0.0.1:\(port)/",
            ])
            #expect(result.status == 0, "\(result.output)")
        }
        let lines = mine.split(separator: "\n", omittingEmptySubsequences: false)
        try authority.write("damaged.pem", other + (lines.prefix(2) + lines.suffix(2)).joined(separator: "\n"))
        let line = other.split(separator: "\n").count + 1
        #expect(
            error { try authority.material(clientAuthority: "damaged", clientNames: []) }
                == .malformedCertificate(file: authority.path("damaged.pem"), line: line))
    }

    /// A node of 16631be took keys of any mode and owner, and did not come back from a FIFO.
    @Test func takesAKeyOfItsOwnOnlyAndNoPipe() throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        let key = authority.path("server.key")
        for (mode, problem) in [(0o604, "is open to every user of this host"), (0o660, "can be replaced by its group")]
        {
            #expect(chmod(key, mode_t(mode)) == 0)
            guard case .unusableFile(key, problem, _)? = error({ try authority.material() }) else {
                Issue.record("a key of mode \(String(mode, radix: 8)) is taken")
                continue
            }
        }
        #expect(chmod(key, 0o640) == 0)
        _ = try authority.material()
        for name in ["server.pem", "server.key", "ca.pem"] {
            try FileManager.default.moveItem(atPath: authority.path(name), toPath: authority.path("away"))
            #expect(mkfifo(authority.path(name), 0o600) == 0)
            let began = ContinuousClock.now
            let found = error { try authority.material(clientAuthority: "ca", clientNames: ["a"]) }
            #expect(
                found
                    == .unusableFile(file: authority.path(name), problem: "is not a regular file", mend: "name a file"))
            #expect(ContinuousClock.now - began < .seconds(4))
            try FileManager.default.removeItem(atPath: authority.path(name))
            try FileManager.default.moveItem(atPath: authority.path("away"), toPath: authority.path(name))
        }
    }

    @Test func seesThatTheChainBeginsWithTheWrongCertificate() throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        try authority.write("chain.pem", authority.read("ca.pem") + authority.read("server.pem"))
        let found = error { try authority.material("chain", key: "server.key") }
        #expect(
            found
                == .keyMismatch(
                    certificateFile: authority.path("chain.pem"), keyFile: authority.path("server.key"),
                    subject: "\"ca\"", position: 2))
        #expect(found?.description.contains("belongs to certificate 2") == true)
    }

    @Test func refusesAKeyThatTLSCannotUse() throws {
        let authority = try TestAuthority()
        try authority.openssl([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes", "-keyout", "odd.key",
            "-out", "odd.pem", "-subj", "/CN=odd",
        ])
        let found = error { try authority.material("odd") }
        #expect(
            found == .malformedKey(file: authority.path("odd.key"))
                || found == .unsupportedCertificateKey(file: authority.path("odd.pem"), subject: "\"odd\""))
    }

    @Test func warnsOfDates() throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        func warnings(daysFromNow days: Int64) throws -> [TLSMaterialWarning] {
            let files = TLSFiles(certificate: authority.path("server.pem"), key: authority.path("server.key"))
            return try TLSMaterial.load(files, now: Int64(Date().timeIntervalSince1970) + days * 86_400).warnings
        }
        #expect(try warnings(daysFromNow: 0).isEmpty)
        guard case .expiresSoon(_, "\"localhost\"", let at, let daysLeft)? = try warnings(daysFromNow: 80).first else {
            Issue.record("no warning ten days before the end")
            return
        }
        #expect((9...10).contains(daysLeft))
        // `openssl x509 -enddate -dateopt iso_8601` says the same: notAfter=2026-11-23 00:00:00Z
        let said = try authority.openssl(["x509", "-in", "server.pem", "-noout", "-enddate", "-dateopt", "iso_8601"])
        let formatter = ISO8601DateFormatter()
        let text = said.dropFirst("notAfter=".count).trimmingCharacters(in: .whitespacesAndNewlines)
        let date = formatter.date(from: text.replacingOccurrences(of: " ", with: "T"))
        #expect(try Int64(#require(date).timeIntervalSince1970) == at)
        let expired = try #require(try warnings(daysFromNow: 91).first)
        #expect(expired.isFatalForClients)
        #expect(expired.description.contains("expired on \(text.prefix(10))"))
        guard case .notYetValid? = try warnings(daysFromNow: -2).first else {
            Issue.record("no warning before the beginning")
            return
        }
    }

    @Test func damagedFilesNeverTrap() throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        var random = RandomChoice(seed: 5)
        let der = authority.path("server.der")
        try authority.openssl(["x509", "-in", "server.pem", "-outform", "der", "-out", der])
        let good = [UInt8](try Data(contentsOf: URL(fileURLWithPath: der)))
        for _ in 0..<500 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let body = Data(bytes).base64EncodedString(options: .lineLength64Characters)
            try authority.write(
                "damaged.pem", "-----BEGIN CERTIFICATE-----\n\(body)\n-----END CERTIFICATE-----\n")
            let found = error { try authority.material("damaged", key: "server.key") }
            if let found { #expect(found.description.contains("damaged.pem")) }
        }
    }
}
