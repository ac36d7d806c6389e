// SPDX-License-Identifier: Apache-2.0
import Foundation
import SecureMemory
import SigV4
import Testing
import XKSProtocol

extension EndToEnd {
    @Suite("what a node is at", .devTokens(1))
    struct Requests {
        private struct Report: Decodable {
            struct UnderWay: Decodable {
                var kmsRequestId: String?
                var operation: String?
                var key: String?
                var ageMicroseconds: Int
                var place: String
                var hsms: [String]
            }

            struct Slow: Decodable {
                var kmsRequestId: String?
                var totalMicroseconds: Int
                var hsmMicroseconds: Int
                var outcome: String
            }

            var inFlight: Int
            var underWay: [UnderWay]
            var slowest: [Slow]
        }

        private func report(_ op: Operator) throws -> Report {
            try JSONDecoder().decode(Report.self, from: Data(try op.done("status", "--requests", "--json").utf8))
        }

        /// Sends an encryption, and does not wait for its answer.
        private func begin(_ node: Node, id: String) throws -> HTTPConnection {
            let connection = try HTTPConnection(url: node.facts.url)
            let target = "\(node.facts.prefix)/kms/xks/v1/keys/foo/encrypt"
            let body = Array(Body.encrypt([1, 2, 3], requestID: id).utf8)
            let headers = try SigV4Signer(credential: try node.credential(), region: "us-east-1").sign(
                method: "POST", target: target, headers: [HeaderField(name: "host", value: connection.host)],
                body: SecretBytes(body), now: Int64(Date().timeIntervalSince1970))
            let head = headers.reduce("POST \(target) HTTP/1.1\r\n") { "\($0)\($1.name): \($1.value)\r\n" }
            #expect(connection.write(Array("\(head)Content-Length: \(body.count)\r\n\r\n".utf8) + body))
            return connection
        }

        @Test("requests in flight are named with what has them, and afterwards the slowest with where their time went")
        func inFlight() throws {
            let faults = try Faults()
            try faults.clear()
            var configuration = try ServeConfiguration(with: faults)
            configuration.set("sessions", "2", in: "[[hsm]]")
            let node = try Node.serve(configuration, activeHSMs: 1)
            defer { node.process.kill(SIGKILL) }
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1"])
            try faults.set(["hsm-1": ["delay C_Encrypt 1500ms"]])
            let ids = (1...4).map { "in-flight-\($0)" }
            let waiting = try ids.map { try begin(node, id: $0) }
            try eventually("all are under way", within: 10, every: 0.05) {
                try report(op).underWay.count == ids.count
            }
            let seen = try report(op)
            #expect(seen.inFlight == ids.count && Set(seen.underWay.compactMap(\.kmsRequestId)) == Set(ids))
            #expect(seen.underWay.allSatisfy { $0.operation == "Encrypt" && $0.key == "foo" })
            #expect(seen.underWay.contains { $0.place == "hsm" && $0.hsms == ["hsm-1"] })
            #expect(seen.underWay.contains { $0.place == "waiting" && $0.hsms.isEmpty })
            let text = try op.done("status", "--requests")
            #expect(text.contains("4 requests in flight") && text.contains("(waits for a lane)"), "\(text)")
            try eventually("all are answered", within: 20, every: 0.1) { try report(op).inFlight == 0 }
            withExtendedLifetime(waiting) {}
            let after = try report(op)
            #expect(after.underWay.isEmpty && Set(after.slowest.compactMap(\.kmsRequestId)).isSuperset(of: ids))
            let done = after.slowest.filter { $0.outcome == "ok" }
            #expect(done.contains { $0.hsmMicroseconds >= 1_400_000 && $0.totalMicroseconds > $0.hsmMicroseconds })
            // Plaintext and signatures have no place in it.
            let all = try op.done("status", "--requests", "--json")
            #expect(!all.contains(base64([1, 2, 3])) && !all.contains("Signature") && !all.contains("arn:aws:iam"))
            try faults.clear()
            #expect(try node.stop() == .exited(0))
            let ended = try op.call("status", "--requests")
            #expect(ended.end == .exited(1) && ended.errors.contains("no node is running here"), "\(ended.errors)")
        }
    }
}
