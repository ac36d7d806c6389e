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

        /// Sends a request on each of so many connections, and closes them all.
        private func leave(_ node: Node, connections: Int) throws {
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
            try faults.clear()
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
