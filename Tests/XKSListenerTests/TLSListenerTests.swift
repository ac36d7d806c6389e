// SPDX-License-Identifier: Apache-2.0
import Chance
import Foundation
import Testing
import XKSListener
import XKSProtocol

@Suite(.serialized) struct TLSListenerTests {
    /// POSTs by curl; the output is the body and, behind it, status and HTTP version.
    private func curl(_ port: Int, _ authority: TestAuthority, _ options: [String] = []) throws -> CommandResult {
        try run(curlCommand(port, authority, options))
    }

    private func curlCommand(_ port: Int, _ authority: TestAuthority, _ options: [String]) -> [String] {
        [
            "curl", "--silent", "--show-error", "--cacert", authority.path("ca.pem"), "--data-binary", "hello",
            "--write-out", " %{http_code} %{http_version}",
        ] + options + ["https://127.0.0.1:\(port)/path?query"]
    }

    /// Hello and goodbye by `openssl s_client`.
    private func handshake(_ port: Int, _ options: [String]) throws -> CommandResult {
        try run(["openssl", "s_client", "-connect", "127.0.0.1:\(port)"] + options)
    }

    @Test(arguments: TestAuthority.Key.allCases)
    func takesEveryPEMFormOfAKey(_ key: TestAuthority.Key) async throws {
        let authority = try TestAuthority()
        try authority.issueServer(key: key)
        let pkcs8 = try authority.read("server.key")
        #expect(pkcs8.hasPrefix("-----BEGIN PRIVATE KEY-----"))
        let traditional = try authority.openssl(["pkey", "-in", "server.key", "-traditional"])
        #expect(traditional.contains("-----BEGIN \(key.rawValue) PRIVATE KEY-----"))
        var forms = [
            pkcs8, traditional, pkcs8.replacingOccurrences(of: "\n", with: "\r\n"), "some text\n\n" + traditional,
            try authority.read("server.pem") + pkcs8,
        ]
        if key == .ec {
            forms.append(try authority.openssl(["ecparam", "-name", "prime256v1"]) + traditional)
        }
        for form in forms {
            try authority.write("form.key", form)
            try await withListener(loopback(.tls(authority.material(key: "form.key")))) { _, port async throws in
                #expect(try curl(port, authority).output == "POST /path?query hello 200 2")
            }
        }
    }

    @Test func servesAChain() async throws {
        let authority = try TestAuthority()
        try authority.issue("middle", subject: "/CN=middle")
        try authority.openssl(
            [
                "x509", "-req", "-in", "middle.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "middle.pem",
                "-extfile", "/dev/stdin", "-set_serial", "7",
            ].replacingExtensionFile(in: authority, with: "basicConstraints=critical,CA:TRUE\n"))
        try authority.issue("leaf", subject: "/CN=leaf", alternativeNames: "IP:127.0.0.1", issuer: "middle")
        try authority.write("chain.pem", authority.read("leaf.pem") + authority.read("middle.pem"))
        try await withListener(loopback(.tls(authority.material("chain", key: "leaf.key")))) { _, port async throws in
            #expect(try curl(port, authority).status == 0)
        }
    }

    @Test func speaksBothVersionsOfHTTP() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        let handler = ImmediateHandler { request in
            let host = request.headers.filter { $0.name.lowercased() == "host" }.map(\.value)
            let odd = request.headers.contains { $0.name.hasPrefix(":") || $0.name == "transfer-encoding" }
            return ProxyResponse(200, "\(host) \(odd) \(request.body.count)")
        }
        try await withListener(loopback(.tls(authority.material())), handler: handler) { _, port async throws in
            #expect(
                try curl(port, authority, ["--http2"]).output == "[\"127.0.0.1:\(port)\"] false 5 200 2")
            #expect(
                try curl(port, authority, ["--http1.1"]).output == "[\"127.0.0.1:\(port)\"] false 5 200 1.1")
            // Larger than a frame and than the first window.
            try authority.write("large", String(repeating: "a", count: 200_000))
            let large = ["--data-binary", "@\(authority.path("large"))"]
            for version in ["--http2", "--http1.1"] {
                let result = try curl(port, authority, [version, "--data-binary", ""] + large)
                #expect(result.output.contains("false 200007 200"))
            }
        }
    }

    @Test func answersHTTP2RefusalsAndHead() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        try authority.write("huge", String(repeating: "a", count: 300_000))
        try await withListener(loopback(.tls(authority.material()))) { listener, port async throws in
            let huge = try curl(port, authority, ["--http2", "--data-binary", "@\(authority.path("huge"))"])
            #expect(huge.output.contains("ValidationException"))
            #expect(huge.output.contains(" 413 2"))
            let head = try run([
                "curl", "--silent", "--cacert", authority.path("ca.pem"), "--head", "https://127.0.0.1:\(port)/x",
            ])
            #expect(head.output.contains("HTTP/2 200"))
            #expect(head.output.contains("content-length: 8"))
            let header = "x: " + String(repeating: "a", count: 20_000)
            #expect(try curl(port, authority, ["--http2", "-H", header]).output.contains(" 200 ") == false)
            #expect(try curl(port, authority, ["--http2"]).output == "POST /path?query hello 200 2")
            #expect(listener.statistics.refusals[.bodyTooLarge] == 1)
        }
    }

    @Test(arguments: ["--http1.1", "--http2"])
    func answersRefusalsWholeWhileTheClientStillSends(_ version: String) async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        try authority.write("huge", String(repeating: "a", count: 3_000_000))
        var configuration = loopback(.tls(try authority.material()))
        // Long enough for the large ones on a busy machine, which are to be refused for their size.
        configuration.timeouts.body = 2_000
        try await withListener(configuration) { listener, port async throws in
            for form in [[], ["-H", "Transfer-Encoding: chunked"]] where version == "--http1.1" || form.isEmpty {
                let huge = [version, "-H", "Expect:", "--data-binary", "@\(authority.path("huge"))"] + form
                #expect(try curl(port, authority, huge).output.contains("the request body is too large"))
            }
            try authority.write("slow", String(repeating: "a", count: 100_000))
            let slow = [version, "--limit-rate", "10k", "--data-binary", "@\(authority.path("slow"))"]
            #expect(try curl(port, authority, slow).output.contains("did not arrive in time"))
            #expect(listener.statistics.refusals[.bodyTooSlow] == 1)
        }
    }

    @Test func answers429OverHTTP2() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        var configuration = loopback(.tls(try authority.material()))
        configuration.limits.requestsInFlight = 1
        let holding = HoldingHandler()
        try await withListener(configuration, handler: holding) { _, port async throws in
            let result = try run([
                "curl", "--silent", "--cacert", authority.path("ca.pem"), "--parallel", "--parallel-immediate",
                "--max-time", "2", "--write-out", "%{http_code}\n", "https://127.0.0.1:\(port)/a",
                "https://127.0.0.1:\(port)/b",
            ])
            #expect(result.output.contains("ThrottlingException"))
            #expect(result.output.contains("429\n"))
            holding.answerAll()
        }
    }

    @Test func saysGoAwayAndFinishesStreamsWhenItShutsDown() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        let holding = HoldingHandler()
        try await withListener(loopback(.tls(authority.material())), handler: holding) { listener, port async throws in
            let client = try start(curlCommand(port, authority, ["--http2"]))
            try holding.waitForRequest()
            async let ended: Void = listener.shutdown(gracePeriod: .seconds(10))
            holding.answerAll(ProxyResponse(200, "done"))
            #expect(client.finish().output == "done 200 2")
            await ended
            #expect(listener.statistics.connections == 0)
        }
    }

    @Test func negotiatesOnlyWhatTheSpecificationNames() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        try authority.issueServer("rsa", key: .rsa)
        for (name, signature) in [("server", "ECDSA"), ("rsa", "RSA")] {
            try await withListener(loopback(.tls(authority.material(name)))) { listener, port async throws in
                let weakest = "ALL:@SECLEVEL=0"
                #expect(try handshake(port, ["-tls1_3"]).output.contains("TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384"))
                let chacha = try handshake(port, ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"])
                #expect(chacha.output.contains("Cipher is TLS_CHACHA20_POLY1305_SHA256"))
                let old = try handshake(port, ["-tls1_2", "-cipher", weakest])
                #expect(old.output.contains("Cipher is ECDHE-\(signature)-AES256-GCM-SHA384"))
                #expect(listener.statistics.handshakesFailed == 0)
                for refused in [
                    ["-tls1_1", "-cipher", weakest], ["-tls1", "-cipher", weakest],
                    ["-tls1_2", "-cipher", "\(weakest):!ECDHE-\(signature)-AES256-GCM-SHA384"],
                ] {
                    let result = try handshake(port, refused)
                    #expect(result.status != 0)
                    #expect(result.output.contains("Cipher is (NONE)"))
                }
                #expect(listener.statistics.handshakesFailed == 3)
            }
        }
    }

    @Test func resumesSessions() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        try authority.issue("client", subject: "/CN=client")
        let material = try authority.material(clientAuthority: "ca", clientNames: ["client"])
        try await withListener(loopback(.tls(material))) { _, port async throws in
            let session = authority.path("session")
            let certificate = ["-cert", authority.path("client.pem"), "-key", authority.path("client.key")]
            let first = try handshake(port, ["-tls1_2", "-sess_out", session] + certificate)
            #expect(first.output.contains("New, TLSv1.2"))
            let second = try handshake(port, ["-tls1_2", "-sess_in", session] + certificate)
            #expect(second.output.contains("Reused, TLSv1.2"))
        }
    }

    @Test func closesAHandshakeThatTakesTooLong() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        var configuration = loopback(.tls(try authority.material()))
        configuration.timeouts.handshake = 100
        try await withListener(configuration) { listener, port async throws in
            let silent = try RawClient(port: port)
            #expect(try silent.answer() == nil)
            let slow = try RawClient(port: port)
            slow.send(bytes: [0x16, 3, 1])
            #expect(try slow.answer() == nil)
            #expect(listener.statistics.handshakesFailed == 2)
        }
    }

    @Test func usesNewCertificatesForNewConnections() async throws {
        let authority = try TestAuthority()
        try authority.issueServer("first")
        try authority.issueServer("second")
        try await withListener(loopback(.tls(authority.material("first")))) { listener, port async throws in
            #expect(try handshake(port, []).output.contains("subject=CN = first"))
            #expect(try listener.replaceTLS(authority.material("second")) == .replaced)
            #expect(try handshake(port, []).output.contains("subject=CN = second"))
        }
    }

    @Test func survivesNoiseInPlaceOfTLS() async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        try await withListener(loopback(.tls(authority.material()))) { listener, port async throws in
            var random = RandomChoice(seed: 3)
            for _ in 0..<100 {
                let client = try RawClient(port: port)
                client.send(bytes: [0x16, 3, 1] + (0..<300).map { _ in UInt8.random(in: 0...255, using: &random) })
                shutdown(client.descriptor, Int32(SHUT_WR))
                try client.waitForEnd()
            }
            #expect(try curl(port, authority).status == 0)
            #expect(listener.statistics.handshakesFailed == 100)
        }
    }
}

extension [String] {
    /// The command has no standard input here, so extensions come from a file.
    fileprivate func replacingExtensionFile(in authority: TestAuthority, with text: String) throws -> [String] {
        try authority.write("extensions", text)
        return map { $0 == "/dev/stdin" ? "extensions" : $0 }
    }
}
