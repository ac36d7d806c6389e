// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import SecureMemory
import SigV4
import Testing
import XKSProtocol

extension EndToEnd {
    @Suite("the log", .devTokens(2))
    struct Log {
        /// Of `claviger status --json`.
        private struct Report: Decodable {
            struct Refusal: Decodable {
                var listener: String
                var kind: String
                var address: String?
                var count: Int
                var cause: String
            }

            struct Log: Decodable {
                var level: String
                var dropped: [String: Int]
                var withheld: Int
            }

            var refusals: [Refusal]
            var log: Log
            var descriptors: [String: Int]
        }

        private func configuration() throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("request_deadline", "\"2s\"", in: "[xks]")
            return configuration
        }

        private func report(_ op: Operator) throws -> Report {
            // Before its admin socket is served, the command shows what a node has stored, which is less.
            try eventually("the node itself answers") {
                let result = try op.call("status", "--json")
                return try? JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
            }
        }

        /// 16631be had a line for each of them, and no count.
        @Test("requests of strangers are counted, and have few lines; those that are signed have one each")
        func strangers() throws {
            let configuration = try configuration()
            let node = try Node.serve(configuration, activeHSMs: 2)
            defer { node.process.kill(SIGKILL) }
            let client = try XKSClient(node)
            // Their time is an hour off.
            let past = Int64(Date().timeIntervalSince1970) - 3_600
            for _ in 0..<100 {
                let reply = try client.post(client.target("encrypt", key: "foo"), Body.encrypt([1]), now: past)
                #expect(reply.status == 401)
            }
            // With 16631be there was neither the short name that the documentation has, nor the id in CloudTrail.
            let refused = try node.logEntry("why, and whose") { $0["outcome"] == "AuthenticationFailedException" }
            #expect(refused["authentication"] == "clock-skew" && refused["kmsRequestId"] == nil)
            #expect(refused["claimedRequestId"] == "4112f4d6-db54-4af4-ae30-c55a22a8dfae")
            #expect(refused["claimedAccessKeyID"] == (try node.credential().accessKeyID))
            #expect(refused["path"] == client.target("encrypt", key: "foo") && refused["host"] != nil)
            for number in 0..<50 { #expect(try client.encrypt([1], requestID: "signed-\(number)").status == 200) }
            try eventually("each signed request has its line") {
                node.log.count { $0["kmsRequestId"]?.hasPrefix("signed-") == true } == 50
            }
            #expect((20...60).contains(node.log.count { $0["outcome"] == "AuthenticationFailedException" }))
            let line = try node.logEntry("it is said who was turned away") {
                $0.message == "turned away" && $0["kind"] == "unauthenticated"
            }
            #expect(line["address"] == "127.0.0.1" && line["listener"] == "xks" && line["level"] == "warning")
            #expect(line["cause"]?.contains("clock") == true, "\(line.line)")
            let report = try report(Operator(configuration))
            let row = try #require(report.refusals.first { $0.kind == "unauthenticated" })
            #expect(row.count == 100 && row.address == "127.0.0.1" && row.listener == "xks")
            #expect(report.log.withheld >= 40 && report.log.dropped["orders"] == 0)
        }

        /// With 16631be none of it was in the log: neither a line of the request, nor one that names the setting.
        @Test("what the listener refuses itself has a line with the id that CloudTrail shows, and names the setting")
        func refusedByTheListener() throws {
            let faults = try Faults()
            try faults.clear()
            var configuration = try ServeConfiguration(with: faults)
            configuration.set("max_requests_in_flight", "1", in: "[xks]")
            let node = try Node.serve(configuration, activeHSMs: 2)
            defer { node.process.kill(SIGKILL) }
            let client = try XKSClient(node)
            let large = [UInt8](repeating: 1, count: 250_000)
            #expect(try XKSClient(node).encrypt(large, requestID: "large").status == 413)
            try faults.set(["hsm-1": ["delay C_Encrypt 1000ms"], "hsm-2": ["delay C_Encrypt 1000ms"]])
            // One of the two has the only place, whichever is first.
            let signer = SigV4Signer(credential: try node.credential(), region: "us-east-1")
            let target = client.target("encrypt", key: "foo")
            let body = Array(Body.encrypt([1], requestID: "busy-1").utf8)
            let other = try HTTPConnection(url: node.facts.url)
            let headers = try signer.sign(
                method: "POST", target: target, headers: [HeaderField(name: "host", value: other.host)],
                body: SecretBytes(body), now: Int64(Date().timeIntervalSince1970))
            let head = headers.reduce("POST \(target) HTTP/1.1\r\n") { "\($0)\($1.name): \($1.value)\r\n" }
            #expect(other.write(Array("\(head)Content-Length: \(body.count)\r\n\r\n".utf8) + body))
            let status = try client.encrypt([1], requestID: "busy-2").status
            #expect(try Set([status, other.answer().status]) == [200, 429])
            for (id, status, kind, setting) in [
                ("large", 413, "body-too-large", "[xks] max_body_bytes"),
                ("busy-", 429, "requests-full", "[xks] max_requests_in_flight"),
            ] {
                let line = try node.logEntry("the line of \(id)") {
                    $0["claimedRequestId"]?.hasPrefix(id) == true && $0[number: "status"] == status
                }
                #expect(line["path"] == target && line["host"] == other.host && line["level"] == "info")
                #expect(line["reason"]?.contains(setting) == true && line["operation"] == "Encrypt", "\(line.line)")
                let warning = try node.logEntry("it is said that requests are turned away") {
                    $0.message == "turned away" && $0["kind"] == kind
                }
                #expect(warning["level"] == "warning" && warning["count"] == "1")
                #expect(warning["cause"]?.contains(setting) == true, "\(warning.line)")
                let row = try report(Operator(configuration)).refusals.first { $0.kind == kind }
                #expect(row?.count == 1 && row?.listener == "xks")
            }
            #expect(try node.stop() == .exited(0))
        }

        @Test("its level changes while the node runs: by command, and by reload")
        func level() throws {
            var configuration = try configuration()
            let node = try Node.serve(configuration, activeHSMs: 2)
            defer { node.process.kill(SIGKILL) }
            let op = Operator(configuration)
            let client = try XKSClient(node)
            #expect(try report(op).log.level == "info")
            let descriptors = try report(op).descriptors
            #expect(descriptors["xks"] == 1_024 && descriptors["control"] == 64 && descriptors["cluster"] == 0)
            #expect(try op.done("log", "level", "notice").contains("it was info"))
            #expect(try client.encrypt([1], requestID: "unseen").status == 200)
            #expect(try op.done("log", "level", "debug").contains("it was notice"))
            #expect(try client.encrypt([1], requestID: "seen").status == 200)
            _ = try node.logEntry("the second request") { $0["kmsRequestId"] == "seen" }
            #expect(!node.log.contains { $0["kmsRequestId"] == "unseen" })
            #expect(node.log.filter { $0.message == "log level set" }.map { $0["is"] } == ["notice", "debug"])
            #expect(try op.call("log", "level", "silent").end == .exited(2))
            #expect(try report(op).log.level == "debug")

            configuration.set("log_level", "\"notice\"", in: "[node]")
            _ = try configuration.write()
            try op.done("reload")
            #expect(try report(op).log.level == "notice")
            // Orders are there at every level.
            try op.done("block", "--key", "foo", "--reason", "a test")
            _ = try node.logEntry("the order") { $0.message == "break glass" && $0["action"] == "blocked" }
            configuration.set("log_level", "\"error\"", in: "[node]")
            _ = try configuration.write()
            let refused = try op.call("reload")
            #expect(refused.end == .exited(2))
            #expect(refused.errors.contains("must be one of trace, debug, info, notice"), "\(refused.errors)")
        }

        /// With 16631be it was JSON on a terminal too.
        @Test("its lines are for people on a terminal, and JSON where a program reads it; by a setting, and by reload")
        func format() throws {
            var configuration = try configuration()
            let file = try configuration.write()
            // script(1) gives it a terminal; the shell says whom to stop.
            let onTerminal = try ChildProcess([
                "/usr/bin/env", "LC_ALL=C.UTF-8", "script", "--quiet", "--command",
                "echo pid $$; exec \(ClavigerBinary.path) serve --config \(file)", "/dev/null",
            ])
            let shown = try onTerminal.output(with: "hsm ready", within: 60)
            let pid = try #require(shown.firstMatch(of: /pid (\d+)/).flatMap { Int32($0.output.1) })
            kill(pid, SIGTERM)
            _ = try onTerminal.end(within: 60)
            let line = try #require(shown.split(whereSeparator: \.isNewline).first { $0.contains("hsm ready") })
            #expect(line.contains(#/ (INFO  |NOTICE) dev: hsm ready /#), "\(line)")
            #expect(!shown.contains("{\"timestamp\""))

            let node = try Node.serve(configuration, activeHSMs: 2)
            defer { node.process.kill(SIGKILL) }
            let ready = try node.logEntry("JSON in a pipe") { $0.message == "hsm ready" }
            #expect(ready["nodeID"] == "dev")
            configuration.set("log_format", "\"text\"", in: "[node]")
            _ = try configuration.write()
            let op = Operator(configuration)
            try op.done("reload")
            try op.done("hsm", "drain", "hsm-1")
            try eventually("a line for people") {
                node.process.errorLines.contains { $0.contains(" dev: hsm drained ") }
            }
            configuration.set("log_format", "\"colour\"", in: "[node]")
            _ = try configuration.write()
            #expect(try op.call("reload").errors.contains("must be one of auto, json, text"))
        }

        /// With 16631be there was a line of it every two or three seconds, for ever.
        @Test("an HSM that cannot be had is said once, and then with a count")
        func repeated() throws {
            var configuration = try configuration()
            configuration.set("token", "{ label = \"no such token\" }", in: "[[hsm]]")
            let node = try Node.serve(configuration, activeHSMs: 1)
            defer { node.process.kill(SIGKILL) }
            let counted = try node.logEntry("it goes on", within: 60) {
                $0.message == "hsm not usable" && $0[number: "repeated"] != nil
            }
            #expect((counted[number: "repeated"] ?? 0) >= 3, "\(counted.line)")
            let lines = node.log.filter { $0["hsm"] == "hsm-1" }
            #expect(lines.count { $0.message == "hsm not usable" } == 2)
            #expect(lines.count <= 6, "\(lines.map(\.line))")
        }
    }
}
