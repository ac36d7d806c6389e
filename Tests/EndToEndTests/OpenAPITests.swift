// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// An answer of a node, under the path by which docs/reference/openapi.yaml knows it.
private struct RecordedAnswer: Encodable {
    var method: String
    var path: String
    var status: Int
    var contentType: String
    var body: String

    init(_ method: String, _ path: String, _ reply: HTTPReply) {
        self.method = method
        self.path = path
        status = reply.status
        contentType = reply.headers["content-type"] ?? ""
        body = reply.text
    }
}

extension EndToEnd {
    @Suite("the OpenAPI document and a node's answers", .devTokens(2))
    struct OpenAPI {
        private static let operation = "/{prefix}/kms/xks/v1/keys/{externalKeyId}/"
        private static let poll = "/{prefix}/kms/xks/v1/health"

        private func repository() -> URL {
            URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
        }

        private func control(_ node: Node) throws -> [RecordedAnswer] {
            try ["/", "/ping", "/livez", "/readyz", "/health", "/cluster/health", "/metrics"].flatMap { path in
                let connection = try HTTPConnection(url: node.facts.control_url)
                let post = try connection.send("POST", path, headers: [("Host", connection.host)], body: [])
                return [RecordedAnswer("GET", path, try node.control(path)), RecordedAnswer("POST", path, post)]
            }
        }

        private func xks(_ node: Node) throws -> [RecordedAnswer] {
            let client = try XKSClient(node)
            let prefix = node.facts.prefix
            let encrypted = try client.encrypt([1, 2, 3], aad: "AAAA", integrity: true)
            var changed: Encrypted = try encrypted.decoded()
            let opened = try client.decrypt(changed, aad: "AAAA")
            changed.authenticationTag = base64([UInt8](repeating: 0, count: 16))
            func answers(_ operation: String, _ replies: HTTPReply...) -> [RecordedAnswer] {
                replies.map { RecordedAnswer("POST", Self.operation + operation, $0) }
            }
            return try answers(
                "encrypt", encrypted, client.encrypt([]), client.encrypt([1], key: "nowhere"),
                client.post(client.target("encrypt", key: "foo"), "{}"),
                client.encrypt([UInt8](repeating: 0, count: 60_000)))
                + answers("decrypt", opened, client.decrypt(changed, aad: "AAAA"))
                + answers("metadata", client.metadata(key: "foo"), client.metadata(key: "encrypt_only_key"))
                + [
                    client.post("\(prefix)/kms/xks/v1/health", Body.health),
                    client.post("\(prefix)/kms/xks/v1/health", Body.health, now: 0),
                    client.post("/elsewhere/kms/xks/v1/health", Body.health),
                    client.connection.send(
                        "GET", "\(prefix)/kms/xks/v1/health", headers: [("Host", client.connection.host)], body: []),
                ].map { RecordedAnswer("POST", Self.poll, $0) }
        }

        /// What differs by the document; every answer's statuses are there, so that none was left out by chance.
        private func compare(_ answers: [RecordedAnswer], in configuration: ServeConfiguration) throws {
            let file = try configuration.scratch.write(
                String(decoding: try JSONEncoder().encode(answers), as: UTF8.self), to: "answers.json")
            let script = repository().appendingPathComponent("deploy/openapi.py").path
            let result = try run(["/usr/bin/env", "python3", script, file])
            #expect(result.isSuccess, "\(result.output)\(result.errors)")
        }

        @Test("a node alone, and one that has something to say")
        func alone() throws {
            let configuration = try ServeConfiguration(with: Faults())
            let node = try Node.serve(configuration, activeHSMs: 2)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1", "hsm-2"])
            let answers = try control(node) + xks(node)
            #expect(Set(answers.map(\.status)).isSuperset(of: [200, 400, 401, 404, 405]), "\(answers.map(\.status))")
            try compare(answers, in: configuration)
            try op.done("hsm", "drain", "hsm-1")
            try op.done("block", "--key", "bar", "--reason", "trial", "--expires", "1h")
            try eventually("the node has conditions") { try node.control("/health").text.contains("hsm-drained") }
            let troubled = try control(node) + xks(node)
            #expect(troubled.contains { $0.path == "/cluster/health" && $0.body.contains("expiresAtUnixSeconds") })
            try compare(troubled, in: configuration)
            try op.done("hsm", "drain", "hsm-2")
            try eventually("the node is not ready") { try node.control("/readyz").status == 503 }
            let refused = try XKSClient(node).encrypt([1])
            let out = try control(node) + [RecordedAnswer("POST", Self.operation + "encrypt", refused)]
            #expect(refused.status == 500, "\(refused.refusal)")
            try compare(out, in: configuration)
            #expect(try node.stop() == .exited(0))
        }

        @Test("a node of a cluster that sees another one die")
        func cluster() throws {
            let configurations = try Pair.names.map { _ in try ServeConfiguration(from: try sharedNode()) }
            let pair = try Pair(configurations, hsms: 2)
            try compare(try control(pair.node("node-1")), in: configurations[0])
            let connection = try HTTPConnection(url: pair.node("node-1").facts.control_url)
            let nothing = try connection.send("GET", "/nowhere", headers: [("Host", connection.host)], body: [])
            #expect(nothing.status == 404 && nothing.text.contains("no such path"))
            try pair.node("node-2").stop()
            try eventually("the other one has left") {
                try pair.report("node-1").nodes.contains { $0.name == "node-2" && $0.liveness != "alive" }
            }
            let answers = try control(pair.node("node-1"))
            #expect(answers.contains { $0.path == "/cluster/health" && $0.body.contains("node-2") })
            try compare(answers, in: configurations[0])
            try pair.stop()
        }
    }
}
