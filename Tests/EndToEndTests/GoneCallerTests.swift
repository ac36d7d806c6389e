// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import SecureMemory
import SigV4
import Testing
import XKSProtocol

extension EndToEnd {
    @Suite("clients that do not wait for their answers", .devTokens(1))
    struct GoneCallers {
        /// Two sessions of so many milliseconds a call.
        private func slowNode(_ faults: Faults, milliseconds: Int) throws -> Node {
            try faults.clear()
            var configuration = try ServeConfiguration(with: faults)
            configuration.set("sessions", "2", in: "[[hsm]]")
            configuration.set("max_requests_in_flight", "64", in: "[xks]")
            let node = try Node.serve(configuration, activeHSMs: 1)
            try faults.set(["hsm-1": ["delay C_Encrypt \(milliseconds)ms"]])
            return node
        }

        /// Sends a request on each of so many connections, waits as told, and closes them all.
        private func leave(_ node: Node, connections: Int, after wait: () throws -> Void = {}) throws {
            let signer = SigV4Signer(credential: try node.credential(), region: "us-east-1")
            let target = "\(node.facts.prefix)/kms/xks/v1/keys/foo/encrypt"
            let body = Array(Body.encrypt([1, 2, 3]).utf8)
            let gone = try (0..<connections).map { _ in try HTTPConnection(url: node.facts.url) }
            for connection in gone {
                var head = "POST \(target) HTTP/1.1\r\n"
                let headers = try signer.sign(
                    method: "POST", target: target, headers: [HeaderField(name: "host", value: connection.host)],
                    body: SecretBytes(body), now: Int64(Date().timeIntervalSince1970))
                for field in headers { head += "\(field.name): \(field.value)\r\n" }
                #expect(connection.write(Array("\(head)Content-Length: \(body.count)\r\n\r\n".utf8) + body))
            }
            try wait()
            withExtendedLifetime(gone) {}
        }

        /// With 16631be the first requests after a node had stood still were refused with 429: those of clients that had
        /// given up in the meantime were in work.
        @Test("what came while the node stood still, of clients that have gone, keeps nobody waiting")
        func afterAPause() throws {
            let faults = try Faults()
            let node = try slowNode(faults, milliseconds: 5)
            defer { node.process.kill(SIGKILL) }
            #expect(kill(node.pid, SIGSTOP) == 0)
            try leave(node, connections: 400)
            #expect(kill(node.pid, SIGCONT) == 0)
            try expectService(node)
            let line = try node.logEntry("what nobody waited for is said") { $0["outcome"] == "undelivered" }
            #expect(line["level"] == "warning" && line["key"] == "foo", "\(line.line)")
            try faults.clear()
            #expect(try node.stop() == .exited(0))
        }

        /// With 16631be the line said `ok` and 200, and there was no count.
        @Test("an answer that nobody has got is no good one: its line and a count say so")
        func undelivered() throws {
            let faults = try Faults()
            let node = try slowNode(faults, milliseconds: 1_000)
            defer { node.process.kill(SIGKILL) }
            try leave(node, connections: 1) {
                try eventually("the HSM is at work") { try node.health().hsm("hsm-1")?.lanes.inUse == 1 }
            }
            let line = try node.logEntry("the request has its line") { $0.message == "request" && $0["key"] == "foo" }
            #expect(line["outcome"] == "undelivered" && line["level"] == "warning", "\(line.line)")
            #expect(line["kmsRequestId"] == "4112f4d6-db54-4af4-ae30-c55a22a8dfae")
            #expect(line["reason"]?.hasPrefix("the client has closed the connection before") == true)
            let warning = try node.logEntry("it is counted") {
                $0.message == "turned away" && $0["kind"] == "answer-undelivered"
            }
            #expect(warning["count"] == "1" && warning["cause"]?.contains("[xks] request_deadline") == true)
            try faults.clear()
            try expectService(node)
            #expect(node.log.count { $0["outcome"] == "undelivered" } == 1)
            #expect(try node.stop() == .exited(0))
        }

        @Test("requests that stand in line leave it with their clients")
        func inLine() throws {
            let faults = try Faults()
            let node = try slowNode(faults, milliseconds: 40)
            defer { node.process.kill(SIGKILL) }
            try leave(node, connections: 100)
            try expectService(node)
            try faults.clear()
            #expect(try node.stop() == .exited(0))
        }

        private func expectService(_ node: Node) throws {
            let load = Load(node, connections: 2)
            try load.more(20)
            let report = try load.stop()
            #expect(report.failures.isEmpty, "\(report.failures.prefix(5))")
        }
    }
}
