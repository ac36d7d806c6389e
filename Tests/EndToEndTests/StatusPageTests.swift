// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

/// A CA of the operator's own, and a certificate for the control listener, by openssl.
private struct People {
    let scratch: Scratch
    var ca: (certificate: String, key: String) { (scratch.file("ca.pem"), scratch.file("ca-key.pem")) }
    var certificate: String { scratch.file("control.pem") }
    var key: String { scratch.file("control-key.pem") }

    init() throws {
        scratch = try Scratch()
        try make(ca.certificate, ca.key, name: "people", ["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        try make(
            certificate, key, name: "localhost",
            ["-CA", ca.certificate, "-CAkey", ca.key, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
    }

    private func make(_ certificate: String, _ key: String, name: String, _ options: [String]) throws {
        let result = try run(
            [
                "/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days", "300", "-subj", "/CN=\(name)", "-out", certificate, "-keyout", key,
            ] + options)
        guard result.isSuccess else { throw HarnessError("openssl: \(result.errors)") }
    }

    /// A path of the control listener over TLS, as a client sees it who trusts this CA.
    func get(_ node: Node, _ path: String, _ options: [String] = []) throws -> (
        status: Int, headers: String, body: String
    ) {
        let url = node.facts.control_url.replacing("http:", with: "https:") + path
        let result = try run(
            [
                "/usr/bin/env", "curl", "--silent", "--show-error", "--max-time", "20", "--cacert", ca.certificate,
                "--include", "--http1.1",
            ] + options + [url])
        guard result.isSuccess else { throw HarnessError("curl \(path): \(result.errors)") }
        let parts = result.output.components(separatedBy: "\r\n\r\n")
        let status = (parts.first ?? "").split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return (status, parts.first ?? "", parts.dropFirst().joined(separator: "\r\n\r\n"))
    }
}

extension EndToEnd {
    @Suite("status page", .devTokens(2))
    struct StatusPages {
        private static let token = "0123456789abcdef-the-token-of-the-page"

        private func shown(_ token: String) -> [String] { ["--header", "Authorization: Bearer \(token)"] }

        @Test("over TLS with a token, both by a reload; what is wrong appears, and what mends it")
        func page() throws {
            let people = try People()
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("request_deadline", "\"5s\"", in: "[xks]")
            configuration.set("keys", "[\"foo\", \"bar\"]", in: "[[keystore]]")
            let node = try Node.serve(configuration, activeHSMs: 2)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1", "hsm-2"])
            try eventually("all is well on the page", within: 30, every: 0.2) {
                try node.control("/").text.contains("The node serves, and nothing is wrong.")
            }
            let plain = try node.control("/")
            #expect(plain.headers["content-security-policy"]?.hasPrefix("default-src 'none'") == true)

            try guarded(&configuration, people, op)
            try refusals(node, people, op)
            try load(node, people)
            try trouble(configuration, node, people, op)
            try ending(node, people, op)
            let log = node.process.errorLines.joined(separator: "\n")
            #expect(!log.contains(Self.token) && !log.contains("another-token-0123456789"))
            #expect(try node.stop() == .exited(0))
        }

        /// The listener goes over to HTTPS and asks for a token, while it runs.
        private func guarded(_ configuration: inout ServeConfiguration, _ people: People, _ op: Operator) throws {
            let file = try people.scratch.write(Self.token + "\n", to: "control.token")
            #expect(chmod(file, 0o600) == 0 && chmod(people.key, 0o600) == 0)
            configuration.set("certificate", "\"\(people.certificate)\"", in: "[control]")
            configuration.set("key", "\"\(people.key)\"", in: "[control]")
            configuration.set("token", "{ file = \"\(file)\" }", in: "[control]")
            _ = try configuration.write()
            let answer = try op.done("reload")
            #expect(answer.contains("[control] speaks HTTPS from now on."), "\(answer)")
        }

        private func refusals(_ node: Node, _ people: People, _ op: Operator) throws {
            for path in ["/ping", "/livez", "/readyz"] { #expect(try people.get(node, path).status == 200, "\(path)") }
            #expect(try !people.get(node, "/readyz").body.contains("hsm-1"))
            for path in ["/", "/status.css", "/metrics", "/health", "/cluster/health"] {
                let (status, headers, body) = try people.get(node, path)
                #expect(status == 401 && headers.contains("Bearer realm=\"claviger\""), "\(path): \(headers)")
                #expect(!body.contains("hsm-1"))
            }
            let wrong = shown("another-token-0123456789")
            #expect(try people.get(node, "/", wrong).status == 401)
            #expect(try people.get(node, "/", ["--user", "anna:" + Self.token]).status == 200)
            let (status, headers, body) = try people.get(node, "/", shown(Self.token))
            #expect(
                status == 200 && headers.contains("frame-ancestors 'none'") && body.contains("What is wrong"),
                "\(headers)")
            // A page is given again for a second, also one that was made before the reload.
            try eventually("its certificate is shown", within: 15, every: 0.2) {
                try people.get(node, "/", shown(Self.token)).body.contains("control.certificate of this node")
            }
            for name in [">foo<", ">bar<", Self.token, node.facts.secret] { #expect(!body.contains(name), "\(name)") }
            let style = try #require(body.firstMatch(of: /href="(\/status\.css\?v=[0-9a-f]+)"/)?.output.1)
            #expect(try people.get(node, String(style), shown(Self.token)).headers.contains("immutable"))
            // Counted, and said in the log now and then.
            let report = try op.call("status", "--json").output
            #expect(
                report.contains("\"kind\":\"unauthenticated\","))
            _ = try node.logEntry("a refusal") {
                $0["message"] == "turned away" && $0["listener"] == "control" && $0["kind"] == "unauthenticated"
            }
            let metrics = try people.get(node, "/metrics", shown(Self.token)).body
            #expect(
                metrics.contains("claviger_certificate_expiry_timestamp_seconds{certificate=\"control.certificate\"}"))
            #expect(metrics.contains("claviger_refusals_total{listener=\"control\",kind=\"unauthenticated\"} 6"))
        }

        /// Traffic is seen within a step.
        private func load(_ node: Node, _ people: People) throws {
            let client = try XKSClient(node)
            for index in 0..<30 { _ = try client.encrypted([UInt8(index)]) }
            try eventually("requests are shown", within: 20, every: 0.5) {
                let body = try people.get(node, "/", shown(Self.token)).body
                return !body.contains("Nothing has been answered yet.") && body.contains("Now half of the answers take")
            }
        }

        /// A token is gone, and its HSM with it.
        private func trouble(
            _ configuration: ServeConfiguration, _ node: Node, _ people: People, _ op: Operator
        ) throws {
            let tokens = "\(node.state)/hsm-1/tokens"
            try FileManager.default.moveItem(atPath: tokens, toPath: tokens + ".gone")
            defer {
                try? FileManager.default.removeItem(atPath: tokens)
                try? FileManager.default.moveItem(atPath: tokens + ".gone", toPath: tokens)
            }
            try FileManager.default.createDirectory(atPath: tokens, withIntermediateDirectories: true)
            try Processes.kill(worker: try #require(node.workers["hsm-1"]))
            let name = try op.status().node
            try eventually("the page says what is wrong", within: 30, every: 0.2) {
                let body = try people.get(node, "/", shown(Self.token)).body
                return body.contains("<title>Degraded · ") && body.contains("hsm hsm-1 of node \(name) is unavailable")
                    && body.contains("no further HSM is lost")
            }
            #expect(try people.get(node, "/", shown(Self.token)).body.contains("since <time datetime=\"20"))
            // Diagnosis sees the listener as a client does, and a check the file.
            let diagnosis = try op.call("diagnose").output
            #expect(diagnosis.contains("control TLS") && diagnosis.contains("control certificate"), "\(diagnosis)")
        }

        /// A certificate that ends soon is told of, and replaced without a restart.
        private func ending(_ node: Node, _ people: People, _ op: Operator) throws {
            try BackdatedCertificate.replace(
                people.certificate, key: people.key, ca: people.ca, seconds: 5 * 86_400 + 600)
            try op.done("reload")
            try eventually("the end of the certificate is told", within: 15, every: 0.2) {
                try people.get(node, "/", shown(Self.token)).body.contains("ends in 5 days")
            }
            let conditions = try op.status().conditions ?? []
            #expect(conditions.contains { $0.code == "certificate-ending" && $0.subject == "control.certificate" })
        }

        @Test("what is wrong with certificate and token is said by check, with its line and mend")
        func checks() throws {
            let people = try People()
            var configuration = try ServeConfiguration(from: try sharedNode())
            func check() throws -> CommandResult {
                try ClavigerBinary.run(["check", "--offline", "--config", try configuration.write()])
            }
            let file = try people.scratch.write("short\n", to: "control.token")
            #expect(chmod(file, 0o600) == 0)
            configuration.set("token", "{ file = \"\(file)\" }", in: "[control]")
            let alone = try check()
            #expect(
                alone.end == .exited(2) && alone.errors.contains("control.token: needs certificate and key"), "\(alone)"
            )
            configuration.set("certificate", "\"\(people.certificate)\"", in: "[control]")
            configuration.set("key", "\"\(people.key)\"", in: "[control]")
            let command = ["check", "--config", try configuration.write()]
            let short = try ClavigerBinary.run(command)
            let says = "control.token: file \(file) has 5 bytes: a token has 16 to 512"
            #expect(short.end == .exited(2) && short.errors.contains(says), "\(short)")
            _ = try people.scratch.write(Self.token, to: "control.token")
            let good = try ClavigerBinary.run(command)
            #expect(good.end == .exited(0) && good.output.contains("control certificate: localhost"), "\(good)")
            #expect(!good.output.contains(Self.token) && !good.errors.contains(Self.token))
            for key in ["token", "certificate", "key"] { configuration.remove(key, in: "[control]") }
            configuration.set("listen", "\"0.0.0.0:\(try ServeConfiguration.freePort())\"", in: "[control]")
            let open = try check()
            #expect(open.end == .exited(0) && open.errors.contains("control.listen: 0.0.0.0:"), "\(open)")
            #expect(open.errors.contains("over plain HTTP and by everybody"))
        }
    }
}
