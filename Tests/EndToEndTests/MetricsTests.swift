// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

/// Debian's Prometheus, which scrapes one node each half second. It ends with the value at the latest.
private final class Prometheus {
    private let process: ChildProcess
    private let url: String
    private let scratch: Scratch

    init(scraping node: Node) throws {
        scratch = try Scratch()
        let port = try ServeConfiguration.freePort()
        url = "http://127.0.0.1:\(port)"
        let target = node.facts.control_url.replacing("http://", with: "")
        let configuration = try scratch.write(
            """
            global: {scrape_interval: 500ms}
            scrape_configs: [{job_name: claviger, static_configs: [{targets: ["\(target)"]}]}]
            """, to: "prometheus.yml")
        process = try ChildProcess([
            "/usr/bin/prometheus", "--config.file=\(configuration)", "--storage.tsdb.path=\(scratch.file("data"))",
            "--web.listen-address=127.0.0.1:\(port)", "--log.level=warn",
        ])
    }

    deinit { process.kill(SIGKILL) }

    private struct Answer: Decodable {
        struct Data: Decodable { var result: [Series] }
        struct Series: Decodable { var value: [Value] }
        enum Value: Decodable {
            case number(Double), text(String)

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                self = try (try? .number(container.decode(Double.self))) ?? .text(container.decode(String.self))
            }
        }

        var data: Data
    }

    /// The value of an expression that gives one; `nil` while it gives none.
    func value(of expression: String) throws -> Double? {
        guard process.isRunning else { throw HarnessError("Prometheus has ended: \(process.errors)") }
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        let query = expression.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
        guard let connection = try? HTTPConnection(url: url) else { return nil }
        let reply = try connection.send(
            "GET", "/api/v1/query?query=\(query)", headers: [("Host", connection.host)], body: [])
        guard reply.status == 200, let series = try? reply.decoded(Answer.self).data.result.first,
            case .text(let text)? = series.value.last
        else { return nil }
        return Double(text)
    }
}

extension EndToEnd {
    @Suite("metrics", .devTokens(2))
    struct Metrics {
        @Test("a real Prometheus takes them, and they agree with the log; keys are named only where that is allowed")
        func prometheus() throws {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("request_deadline", "\"5s\"", in: "[xks]")
            configuration.set("keys", "[\"foo\", \"bar\"]", in: "[[keystore]]")
            let node = try Node.serve(configuration, activeHSMs: 2)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1", "hsm-2"])
            let client = try XKSClient(node)
            for index in 0..<20 {
                let sealed = try client.encrypted([UInt8(index)])
                #expect(try client.decrypted(sealed) == [UInt8(index)])
            }
            for _ in 0..<3 { #expect(try client.metadata(key: "nowhere").status == 404) }
            let page = try node.control("/metrics")
            #expect(page.status == 200)
            let file = try configuration.scratch.write(page.text, to: "page")
            let checked = try run(["/bin/sh", "-c", "promtool check metrics < \(file)"])
            #expect(checked.end == .exited(0), "\(checked.output)\(checked.errors)")
            for secret in [node.facts.secret, "\"foo\"", "\"bar\""] { #expect(!page.text.contains(secret)) }

            let prometheus = try Prometheus(scraping: node)
            func expect(_ expression: String, _ value: Double) throws {
                try eventually("\(expression) is \(value)", within: 60, every: 0.2) {
                    try prometheus.value(of: expression) == value
                }
            }
            try expect(#"sum(claviger_requests_total{operation="Encrypt",outcome="ok"})"#, 20)
            try expect(#"sum(claviger_requests_total{operation="Decrypt",outcome="ok"})"#, 20)
            try expect(#"sum(claviger_requests_total{exception="KeyNotFoundException"})"#, 3)
            try expect(#"sum(claviger_request_duration_seconds_count)"#, 43)
            // AWS's rule: what a caller has asked wrongly is no fault of the key store.
            try expect(#"sum(claviger_requests_reliability_total{reliable="true"})"#, 43)
            let lines = node.log.filter { $0["message"] == "request" }
            #expect(lines.count == 43)
            let calls = lines.compactMap { $0[number: "attempts"] }.reduce(0, +)
            try expect("sum(claviger_hsm_calls_total)", Double(calls))
            try expect("sum(claviger_hsm_serves)", 2)
            try expect("claviger_key_spare_hsms", 1)
            try expect("up", 1)
            // A signed request of the load has some 900 bytes.
            try expect(#"claviger_received_bytes_total{listener="xks"} > bool (43 * 600)"#, 1)
            try expect(#"claviger_sent_bytes_total{listener="xks"} > bool (43 * 100)"#, 1)
            try expect("claviger_client_round_trip_seconds_count > bool 0", 1)
            try expect(#"claviger_client_round_trip_seconds_bucket{le="0.1"} > bool 0"#, 1)
            let credential = "{access_key_id=\"\(node.facts.access_key_id)\"}"
            try expect("time() - claviger_credential_last_used_timestamp_seconds\(credential) < bool 120", 1)
            try expect("time() - claviger_credential_first_seen_timestamp_seconds\(credential) < bool 300", 1)

            try op.done("hsm", "drain", "hsm-1")
            try expect(#"claviger_hsm_serves{hsm="hsm-1"}"#, 0)
            try expect("claviger_key_spare_hsms", 0)
            try expect(#"claviger_condition{code="hsm-drained",subject="hsm hsm-1"}"#, 1)
            configuration.set("show_keys", "true", in: "[control]")
            _ = try configuration.write()
            try op.done("reload")
            try expect(#"claviger_key_spare_hsms{key="foo"}"#, 0)
            try expect(#"claviger_key_encryptions{key="foo"}"#, 20)
            #expect(try node.stop() == .exited(0))
        }

        private struct Keys: Decodable {
            struct Key: Decodable {
                var label: String
                var encrypts: Int?
                var encryptsElsewhere: Int?
            }

            var keys: [Key]
        }

        private func foo(_ op: Operator) throws -> Keys.Key? {
            let text = try op.done("status", "--json")
            return try JSONDecoder().decode(Keys.self, from: Data(text.utf8)).keys.first { $0.label == "foo" }
        }

        @Test("encryptions of all nodes are counted, also of one that is down, and after a restart")
        func usesElsewhere() throws {
            let origin = try sharedNode()
            let first = try ServeConfiguration(from: origin)
            var second = try ServeConfiguration(from: origin)
            second.useCredential(of: first)
            let pair = try Pair([first, second], hsms: 2)
            for name in Pair.names { try pair.op(name).proven(on: ["hsm-1", "hsm-2"]) }
            let clients = try Pair.names.map { try XKSClient(pair.node($0)) }
            for _ in 0..<3 { _ = try clients[0].encrypted([1]) }
            for _ in 0..<4 { _ = try clients[1].encrypted([1]) }
            // Either may have passed some on, or all.
            try eventually("each knows of the other's", within: 30, every: 0.2) {
                let (one, two) = (try foo(pair.op("node-1")), try foo(pair.op("node-2")))
                let (first, second) = (one?.encrypts ?? 0, two?.encrypts ?? 0)
                return first + second == 7 && one?.encryptsElsewhere ?? 0 == second
                    && two?.encryptsElsewhere ?? 0 == first
            }
            let before = try foo(pair.op("node-1"))
            #expect(try pair.node("node-1").control("/metrics").text.contains("claviger_key_encryptions 7"))
            for name in Pair.names { #expect(try pair.node(name).stop() == .exited(0)) }
            let again = try Node.serve(pair.configurations[0], activeHSMs: 2)
            let known = try foo(pair.op("node-1"))
            #expect(known?.encrypts == before?.encrypts && known?.encryptsElsewhere == before?.encryptsElsewhere)
            #expect(try again.stop() == .exited(0))
        }
    }
}
