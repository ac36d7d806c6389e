// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Foundation
import Testing
import XKSListener
import XKSProtocol

/// A connection by `openssl s_client` that is kept open.
private final class TLSSession {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    init(port: Int, authority: TestAuthority, certificate: String) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "timeout", "30", "openssl", "s_client", "-quiet", "-connect", "127.0.0.1:\(port)", "-cert",
            authority.path("\(certificate).pem"), "-key", authority.path("\(certificate).key"),
        ]
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        signal(SIGPIPE, SIG_IGN)
        try process.run()
    }

    deinit {
        process.terminate()
        process.waitUntilExit()
    }

    /// Whether a request is answered.
    func post() throws -> Bool {
        let text = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"
        guard (try? input.fileHandleForWriting.write(contentsOf: Data(text.utf8))) != nil else { return false }
        var answer = Data()
        while true {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return false }
            answer.append(more)
            if String(decoding: answer, as: UTF8.self).hasSuffix("served") { return true }
        }
    }
}

@Suite(.serialized) struct MutualTLSTests {
    private static let name = "cks.kms.eu-central-1.amazonaws.com"

    private func curl(
        _ port: Int, _ authority: TestAuthority, client: String?, options: [String] = []
    ) throws -> CommandResult {
        let certificate = client.map {
            ["--cert", authority.path("\($0).pem"), "--key", authority.path("\($0).key")]
        }
        return try run(
            ["curl", "--silent", "--show-error", "--cacert", authority.path("ca.pem"), "--data-binary", "x"]
                + (certificate ?? []) + options + ["https://127.0.0.1:\(port)/"])
    }

    /// Runs `body` with a listener that wants clients of the CA `trusted`, and counts what reaches the service.
    private func withMutualTLS(
        clientNames: [String], refusals: RefusalCounter = RefusalCounter { 0 },
        body: (XKSListener, Int, TestAuthority, Counter) async throws -> Void
    ) async throws {
        let authority = try TestAuthority()
        try authority.makeAuthority("trusted")
        try authority.makeAuthority("foreign")
        try authority.issueServer()
        let served = Counter()
        let handler = ImmediateHandler { _ in
            served.increment()
            return ProxyResponse(200, "served")
        }
        let material = try authority.material(clientAuthority: "trusted", clientNames: clientNames)
        try await withListener(loopback(.tls(material)), handler: handler, refusals: refusals) {
            listener, port async throws in
            try await body(listener, port, authority, served)
        }
    }

    @Test func letsTheNamedClientIn() async throws {
        try await withMutualTLS(clientNames: ["other.example", Self.name]) { listener, port, authority, served in
            try authority.issue("common", subject: "/O=Example/CN=\(Self.name)", issuer: "trusted")
            try authority.issue("rsa", key: .rsa, subject: "/CN=\(Self.name.uppercased())", issuer: "trusted")
            try authority.issue(
                "alternative", subject: "/CN=else", alternativeNames: "DNS:a.example,DNS:\(Self.name)",
                issuer: "trusted")
            for client in ["common", "rsa", "alternative"] {
                for options in [["--http2"], ["--http1.1"], ["--tls-max", "1.2"]] {
                    #expect(try curl(port, authority, client: client, options: options).output == "served")
                }
            }
            #expect(served.value == 9)
            #expect(listener.statistics.handshakesFailed == 0)
        }
    }

    @Test func letsAnyClientOfTheAuthorityInWhereNoNameIsAskedFor() async throws {
        try await withMutualTLS(clientNames: []) { _, port, authority, served in
            try authority.issue("any", subject: "/CN=whoever", issuer: "trusted")
            try authority.issue("foreigner", subject: "/CN=whoever", issuer: "foreign")
            #expect(try curl(port, authority, client: "any").output == "served")
            #expect(try curl(port, authority, client: "foreigner").status != 0)
            #expect(try curl(port, authority, client: nil).status != 0)
            #expect(served.value == 1)
        }
    }

    /// In 16631be the old connection was served 41 s later; without the end of earlier clients' it was a third time.
    @Test func aClientThatIsNoLongerLetInIsEnded() async throws {
        try await withMutualTLS(clientNames: ["one", "two"]) { listener, port, authority, served in
            try authority.issue("one", subject: "/CN=one", issuer: "trusted")
            try authority.issueServer("renewed")
            let client = try TLSSession(port: port, authority: authority, certificate: "one")
            #expect(try client.post())
            // New certificates of the server, the names in another order: nobody's business.
            let renewed = try authority.material("renewed", clientAuthority: "trusted", clientNames: ["two", "one"])
            #expect(try listener.replaceTLS(renewed) == .replaced)
            #expect(try client.post())
            let withdrawn = try authority.material(clientAuthority: "trusted", clientNames: ["two"])
            #expect(try listener.replaceTLS(withdrawn) == .replacedForClients(ending: 1))
            #expect(try await eventually { listener.statistics.connections == 0 })
            #expect(try client.post() == false)
            #expect(served.value == 2)
        }
    }

    /// In 16631be these were one number, and lines at debug. By the alerts' names alone, OpenSSL's of TLS 1.3, which the
    /// library takes for a record of a bad length, was `handshakeFailed`.
    @Test func whoIsTurnedAwayIsCountedByKindAndAddress() async throws {
        let refusals = RefusalCounter { 1 }
        try await withMutualTLS(clientNames: [Self.name], refusals: refusals) { _, port, authority, _ in
            try authority.issue("foreigner", subject: "/CN=\(Self.name)", issuer: "foreign")
            try authority.issue("namesake", subject: "/CN=x\(Self.name)", issuer: "trusted")
            func isCounted(_ kind: RefusalKind) async throws -> Bool {
                try await eventually { refusals.counts.contains { $0.kind == kind && $0.count == 2 } }
            }
            for (client, kind) in [
                (nil, .clientCertificateMissing), ("foreigner", .clientCertificateUntrusted),
                ("namesake", .clientCertificateName),
            ] as [(String?, RefusalKind)] {
                for _ in 0..<2 { #expect(try curl(port, authority, client: client).status != 0) }
                #expect(try await isCounted(kind), "\(kind): \(refusals.counts)")
            }
            // Without the authority that it would know the node by.
            for version in ["1.2", "1.3"] {
                try run(["curl", "--silent", "--tls-max", version, "https://127.0.0.1:\(port)/"])
            }
            #expect(try await isCounted(.serverCertificateRefused), "\(refusals.counts)")
            for (bytes, kind) in [
                (Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), .plainHTTP),
                (ProxyHeader.signature + [0x21, 0x11, 0, 0], .proxyHeaderUnexpected),
                (Array("SSH-2.0-client\r\n".utf8), .notTLS), ([], .tcpProbe),
            ] as [([UInt8], RefusalKind)] {
                for _ in 0..<2 { try RawClient(port: port).send(bytes: bytes) }
                #expect(try await isCounted(kind), "\(kind): \(refusals.counts)")
            }
            #expect(refusals.counts.allSatisfy { $0.listener == .xks && $0.address?.description == "127.0.0.1" })
            #expect(refusals.counts.count == 8)
        }
    }

    @Test func endsTheHandshakeOfEverybodyElse() async throws {
        try await withMutualTLS(clientNames: ["other.example", Self.name]) { listener, port, authority, served in
            try authority.issue("foreigner", subject: "/CN=\(Self.name)", issuer: "foreign")
            try authority.issue("expired", subject: "/CN=\(Self.name)", issuer: "trusted", days: -1)
            try authority.issue("namesake", subject: "/CN=x\(Self.name)", issuer: "trusted")
            try authority.issue("shorter", subject: "/CN=kms.eu-central-1.amazonaws.com", issuer: "trusted")
            try authority.issue(
                "wildcard", subject: "/CN=*", alternativeNames: "DNS:*.kms.eu-central-1.amazonaws.com",
                issuer: "trusted")
            try authority.issue(
                "mail", subject: "/CN=x", alternativeNames: "email:\(Self.name),URI:\(Self.name)", issuer: "trusted")
            try authority.issue("organisation", subject: "/O=\(Self.name)/CN=x", issuer: "trusted")
            // A common name that its holder has chosen, beside the alternative name that the CA has checked: with common
            // names counted in any case this one was let in.
            try authority.issue(
                "chosen", subject: "/CN=\(Self.name)", alternativeNames: "DNS:else.example", issuer: "trusted")
            try authority.makeAuthority("self")
            let intruders = [
                nil, "foreigner", "expired", "namesake", "shorter", "wildcard", "mail", "organisation", "chosen",
                "self",
            ]
            var refused = 0
            for client in intruders {
                for options in [[], ["--http1.1"], ["--tls-max", "1.2"]] {
                    let result = try curl(port, authority, client: client, options: options)
                    #expect(result.status != 0, "\(client ?? "no certificate") \(options): \(result.output)")
                    #expect(!result.output.contains("served"))
                    refused += 1
                    #expect(try await eventually { listener.statistics.handshakesFailed == refused })
                }
                // In TLS 1.2 the client sees that the handshake itself failed (curl's exit codes 35 and 60).
                let old = try curl(port, authority, client: client, options: ["--tls-max", "1.2"])
                #expect([35, 60].contains(old.status), "\(client ?? "no certificate"): \(old.output)")
                refused += 1
            }
            #expect(served.value == 0)
        }
    }
}
