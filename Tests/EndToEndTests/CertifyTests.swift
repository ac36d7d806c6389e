// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("certify") struct Certify {
        private struct Report: Decodable {
            struct Result: Decodable {
                var id: String
                var outcome: String
                var seen: String?
            }

            var conforms: Bool
            var counts: [String: Int]
            var results: [Result]
        }

        private func certify(_ node: Node, _ options: [String] = []) throws -> (status: ProcessEnd, report: Report) {
            let process = try ChildProcess(
                [
                    ClavigerBinary.path, "certify", "--json", "--url", node.facts.url + node.facts.prefix, "--key",
                    "foo",
                    "--credential-file", node.state + "/credential.json", "--ca", node.facts.ca, "--second-key", "bar",
                    "--decrypt-only-key", "decrypt_only_key", "--encrypt-only-key", "encrypt_only_key",
                    "--unusable-key", "impotent_key",
                ] + options)
            let end = try process.end(within: 120)
            let line = try #require(process.output.split(separator: "\n").first, "\(process.errors)")
            #expect(!line.contains(node.facts.secret))
            return (end, try JSONDecoder().decode(Report.self, from: Data(line.utf8)))
        }

        /// On a machine that others use as well, only what measures time may warn.
        private func expectConforming(_ got: (status: ProcessEnd, report: Report)) {
            #expect(got.status == .exited(0))
            #expect(got.report.conforms)
            for result in got.report.results {
                let isTimed = result.id.hasPrefix("transport-time-") && result.outcome == "warned"
                #expect(
                    ["passed", "noted", "skipped"].contains(result.outcome) || isTimed,
                    "\(result.id): \(result.outcome), \(result.seen ?? "")")
            }
        }

        @Test("A development node conforms, over TLS and HTTP/2") func overTLS() throws {
            let node = try Node.dev()
            defer { _ = try? node.stop() }
            let page = node.state + "/report.html"
            let got = try certify(node, ["--html", page])
            expectConforming(got)
            #expect((got.report.counts["passed"] ?? 0) > 350)
            #expect(got.report.results.contains { $0.id == "transport-http-2-round-trip" && $0.outcome == "passed" })
            let html = try String(contentsOfFile: page, encoding: .utf8)
            #expect(html.contains("transport-http-2-round-trip") && !html.contains(node.facts.secret))
        }

        @Test("A development node conforms with mutual TLS") func mutualTLS() throws {
            let node = try Node.dev(["--mutual-tls"])
            defer { _ = try? node.stop() }
            let got = try certify(
                node, ["--client-cert", node.facts.client_certificate, "--client-key", node.facts.client_key])
            expectConforming(got)
            for id in ["accepted", "without-certificate", "self-signed"] {
                #expect(
                    got.report.results.contains { $0.id == "transport-client-\(id)" && $0.outcome == "passed" }, "\(id)"
                )
            }
        }

        @Test("A development node conforms over plain HTTP") func plaintext() throws {
            let node = try Node.dev(["--plaintext"])
            defer { _ = try? node.stop() }
            expectConforming(try certify(node))
        }

        @Test("What is no proxy does not conform") func noProxy() throws {
            let node = try Node.dev(["--plaintext"])
            defer { _ = try? node.stop() }
            let process = try ChildProcess([
                ClavigerBinary.path, "certify", "--url", node.facts.control_url, "--key", "foo", "--credential-file",
                node.state + "/credential.json", "--only", "health-", "--patience", "1",
            ])
            #expect(try process.end(within: 60) == .exited(1))
            #expect(process.output.contains("does not conform"))
        }
    }
}
