// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite(
        "traces", .devTokens(1),
        .enabled(if: Collector.isThere, "deploy/setup.sh test fetches opentelemetry-proto from PyPI"))
    struct Tracing {
        private func configuration(_ endpoint: String, _ more: String = "") throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.append("[tracing]\nendpoint = \"\(endpoint)\"\nsample = \"100%\"\n\(more)")
            return configuration
        }

        private func served(_ configuration: ServeConfiguration) throws -> (Node, XKSClient) {
            let node = try Node.serve(configuration, activeHSMs: 1)
            try Operator(configuration).proven(on: ["hsm-1"])
            return (node, try XKSClient(node))
        }

        @Test("a collector decodes a span for each request, with its calls and KMS's request id, and nothing secret")
        func decoded() throws {
            let collector = try Collector("--authorization", "Bearer token-of-the-collector")
            var configuration = try configuration("http://127.0.0.1:\(collector.port)")
            let headers = configuration.scratch.file("headers")
            try configuration.scratch.write("Authorization: Bearer token-of-the-collector\n", to: "headers")
            chmod(headers, 0o600)
            configuration.set("headers", "{ file = \"\(headers)\" }", in: "[tracing]")
            let (node, client) = try served(configuration)
            let before = Date().timeIntervalSince1970
            let plaintext = randomBytes(24)
            let sealed: Encrypted = try client.encrypt(plaintext, integrity: true, requestID: "trace-me").decoded()
            #expect(try client.decrypted(sealed) == plaintext)
            #expect(try client.metadata(key: "nowhere").status == 404)
            #expect(try client.post("\(node.facts.prefix)/kms/xks/v1/health", Body.health).status == 200)
            let spans = try collector.spans(of: "health-check")
            let encrypt = try #require(spans.first { $0["kmsRequestId"] == "trace-me" })
            #expect(encrypt.name == "XKS Encrypt" && encrypt.kind == 2 && encrypt.parent.isEmpty && encrypt.status == 0)
            #expect(encrypt.trace.count == 32 && encrypt.span.count == 16 && encrypt.scope == "claviger")
            #expect(encrypt["claviger.outcome"] == "ok" && encrypt["http.response.status_code"] == "200")
            #expect(encrypt["claviger.keystore"] == node.facts.prefix && encrypt["claviger.hsm"] == "hsm-1")
            #expect(encrypt["claviger.attempts"] == "2" && encrypt["claviger.hedged"] == "false")
            #expect(encrypt["claviger.kms_region"] == "us-east-1" && encrypt["claviger.kms_operation"] == "Encrypt")
            #expect(abs(Double(encrypt.start) / 1e9 - before) < 30 && encrypt.end > encrypt.start)
            let calls = spans.filter { $0.parent == encrypt.span }
            #expect(calls.map(\.name) == ["HSM encrypt", "HSM decrypt"], "\(calls)")
            for call in calls {
                #expect(call.trace == encrypt.trace && call.kind == 3 && call["claviger.hsm"] == "hsm-1")
                #expect(call["claviger.outcome"] == "ok" && call.status == 0)
                #expect(encrypt.start <= call.start && call.start < call.end && call.end <= encrypt.end + 1_000)
            }
            let refused = try #require(spans.first { $0["claviger.outcome"] == "KeyNotFoundException" })
            #expect(refused.name == "XKS GetKeyMetadata" && refused.status == 2 && refused.trace != encrypt.trace)
            #expect(encrypt.resource["service.name"]?.text == "claviger")
            #expect(encrypt.resource["claviger.site"] != nil && encrypt.resource["service.version"] != nil)
            // One trace for each request, and one id for each span.
            #expect(Set(spans.filter(\.parent.isEmpty).map(\.trace)).count == spans.count(where: \.parent.isEmpty))
            #expect(Set(spans.map(\.span)).count == spans.count)
            let text = collector.lines.joined()
            for secret in [base64(plaintext), sealed.ciphertext, node.facts.secret, "Bearer", "nowhere", "Alice"] {
                #expect(!text.contains(secret))
            }
            #expect(spans.allSatisfy { $0["claviger.key"] == nil })
            try eventually("they are counted", within: 10, every: 0.1) {
                try node.traced("sent") == collector.spans().count
            }
            #expect(node.process.errorLines.allSatisfy { !$0.contains("token-of-the-collector") })
            // What waits when a node stops is sent.
            #expect(try client.encrypt([1], requestID: "the-last").status == 200)
            #expect(try node.stop() == .exited(0))
            #expect(try collector.spans(of: "the-last").contains { $0["kmsRequestId"] == "the-last" })
            #expect(!collector.process.errors.contains("Traceback"), "\(collector.process.errors)")
        }

        @Test("over TLS, with keys where that is wanted, and only to a collector that the file's CA vouches for")
        func overTLS() throws {
            let tls = try sharedNode().state + "/tls"
            let collector = try Collector("--certificate", tls + "/server.pem", "--key", tls + "/server-key.pem")
            var configuration = try configuration(
                "https://127.0.0.1:\(collector.port)", "ca = \"\(try sharedNode().facts.ca)\"\nshow_keys = true")
            let (node, client) = try served(configuration)
            #expect(try client.encrypt([1], requestID: "over-tls").status == 200)
            let span = try #require(try collector.spans(of: "over-tls").first { $0["kmsRequestId"] == "over-tls" })
            #expect(span["claviger.key"] == "foo")
            let op = Operator(configuration)
            #expect(try op.call("diagnose").output.contains("takes traces, in "))
            configuration.remove("ca", in: "[tracing]")
            _ = try configuration.write()
            #expect(try op.call("diagnose").output.contains("\(collector.port)/v1/traces: TLS: "))
            try op.done("reload")
            #expect(try client.encrypt([1], requestID: "to-a-stranger").status == 200)
            let line = try node.logEntry("it is said") { $0.message == "traces are not sent" }
            #expect(line["reason"]?.contains("TLS") == true, "\(line.line)")
            #expect(try node.stop() == .exited(0))
            #expect(try !collector.spans().contains { $0["kmsRequestId"] == "to-a-stranger" })
        }

        @Test("a request that a peer answers is one trace over both nodes")
        func forwarded() throws {
            let collector = try Collector()
            let first = try configuration("http://127.0.0.1:\(collector.port)")
            // This one traces nothing by itself.
            var second = try configuration("http://127.0.0.1:\(collector.port)")
            second.set("sample", "\"0%\"", in: "[tracing]")
            second.useCredential(of: first)
            let pair = try Pair([first, second], hsms: 1)
            for name in Pair.names { try pair.op(name).proven(on: ["hsm-1"]) }
            try pair.op("node-1").done("hsm", "drain", "hsm-1")
            let client = try XKSClient(pair.node("node-1"))
            try eventually("a peer answers", within: 20, every: 0.2) { try client.encrypt([1]).status == 200 }
            #expect(try client.encrypt([1], requestID: "over-there").status == 200)
            let spans = try collector.spans(of: "over-there", 2)
            let both = spans.filter { $0["kmsRequestId"] == "over-there" }
            let here = try #require(both.first { $0.parent.isEmpty })
            let forward = try #require(spans.first { $0.parent == here.span })
            let there = try #require(both.first { !$0.parent.isEmpty })
            #expect(forward.name == "forward" && forward.kind == 3 && forward["claviger.outcome"] == "ok")
            #expect(forward["claviger.peer"] == "node-2" && there.parent == forward.span)
            #expect(Set([here.trace, forward.trace, there.trace]).count == 1)
            #expect(here["claviger.forwarded_to"] == "node-2" && there["claviger.forwarded_by"] == "node-1")
            #expect(here.resource["claviger.node"]?.text == "node-1")
            #expect(there.resource["claviger.node"]?.text == "node-2")
            let call = try #require(spans.first { $0.parent == there.span })
            #expect(call.name == "HSM encrypt" && call["claviger.hsm"] == "hsm-1" && call.trace == here.trace)
            // Both nodes are on one clock here.
            #expect(here.start <= forward.start && forward.start <= there.start && there.end <= forward.end + 1_000)
            // What nobody has passed on is not traced there.
            let other = try XKSClient(pair.node("node-2"))
            #expect(try other.encrypt([1], requestID: "only-there").status == 200)
            for name in Pair.names { #expect(try pair.node(name).stop() == .exited(0)) }
            #expect(try !collector.spans().contains { $0["kmsRequestId"] == "only-there" })
        }

        @Test("a collector that is down is told once, when it begins and when it is over")
        func down() throws {
            let port = try ServeConfiguration.freePort()
            let (node, client) = try served(try configuration("http://127.0.0.1:\(port)"))
            for _ in 0..<5 { #expect(try client.encrypt([1]).status == 200) }
            let line = try node.logEntry("it is said") { $0.message == "traces are not sent" }
            #expect(line["reason"] == "Connection refused" && line["level"] == "warning", "\(line.line)")
            // A request and its call each; in four tries, 7 s in all.
            try eventually("they are counted", within: 20, every: 0.2) { try node.traced("unsent") >= 10 }
            #expect(try client.encrypt([1], requestID: "while-down").status == 200)
            let collector = try Collector("--port", "\(port)")
            _ = try collector.spans(of: "while-down")
            let mended = try node.logEntry("it is over") { $0.message == "traces are sent again" }
            #expect(Int(mended["lost"] ?? "") ?? 0 >= 10, "\(mended.line)")
            #expect(node.log.count { $0.message == "traces are not sent" } == 1)
            #expect(try node.stop() == .exited(0))
        }

        /// Each of them costs the memory of what waits, and nothing else.
        @Test(
            "whatever a collector does, requests go on as ever, and the node stops in time",
            arguments: ["hang", "drip", "nonsense", "reject", "503", "401", "307"])
        func troublesome(answer: String) throws {
            let collector = try Collector("--answer", answer)
            let (node, client) = try served(try configuration("http://127.0.0.1:\(collector.port)"))
            let load = Load(node, connections: 2)
            try load.more(400)
            if answer == "reject" {
                try eventually("they are counted", within: 20, every: 0.1) { try node.traced("refused") > 0 }
            } else {
                let line = try node.logEntry("it is said", within: 20) { $0.message == "traces are not sent" }
                let reason = ["hang": "no answer in time", "drip": "no answer in time"][answer]
                if let reason { #expect(line["reason"] == reason, "\(line.line)") }
                if let status = Int(answer) { #expect(line["reason"] == "it answers \(status)", "\(line.line)") }
            }
            let report = try load.stop()
            #expect(report.failures.isEmpty, "\(report.failures.prefix(3))")
            #expect(try client.encrypt([1]).status == 200)
            let began = ContinuousClock.now
            #expect(try node.stop() == .exited(0))
            #expect(ContinuousClock.now - began < .seconds(8))
            #expect(node.log.count { $0.message == "traces are not sent" } <= 1)
        }

        @Test("a reload takes a table, another one, or none; a wrong one is refused with what is wrong")
        func reload() throws {
            let collector = try Collector()
            var configuration = try configuration("http://127.0.0.1:\(try ServeConfiguration.freePort())")
            let table = configuration.removeTable("[tracing]", number: 0)
            let (node, client) = try served(configuration)
            #expect(try client.encrypt([1], requestID: "before").status == 200)
            #expect(try !node.control("/metrics").text.contains("claviger_trace_spans_total{"))
            let op = Operator(configuration)
            configuration.append(table.joined(separator: "\n"))
            configuration.set("sample", "\"none\"", in: "[tracing]")
            _ = try configuration.write()
            #expect(try op.call("reload").errors.contains("is no percentage"))
            #expect(try op.call("check").errors.contains("is no percentage"))
            let headers = configuration.scratch.file("headers")
            try configuration.scratch.write("X-One: 1\n\nsecret-token without a name\n", to: "headers")
            chmod(headers, 0o600)
            configuration.set("sample", "\"100%\"", in: "[tracing]")
            configuration.set("headers", "{ file = \"\(headers)\" }", in: "[tracing]")
            _ = try configuration.write()
            let result = try op.call("reload")
            #expect(result.errors.contains("line 3 is no header field") && !result.errors.contains("secret-token"))
            // What waits for a collector that is not there goes to the one that is.
            configuration.remove("headers", in: "[tracing]")
            _ = try configuration.write()
            try op.done("reload")
            #expect(try client.encrypt([1], requestID: "waits").status == 200)
            _ = try node.logEntry("it is not sent") { $0.message == "traces are not sent" }
            configuration.set("endpoint", "\"http://127.0.0.1:\(collector.port)\"", in: "[tracing]")
            _ = try configuration.write()
            try op.done("reload")
            _ = try collector.spans(of: "waits")
            configuration.removeTable("[tracing]", number: 0)
            _ = try configuration.write()
            try op.done("reload")
            #expect(try client.encrypt([1], requestID: "after").status == 200)
            #expect(try node.stop() == .exited(0))
            let ids = try collector.spans().compactMap { $0["kmsRequestId"] }
            #expect(ids.contains("waits") && !ids.contains("before") && !ids.contains("after"))
        }
    }
}
