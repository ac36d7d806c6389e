// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("a key store's policy", .devTokens(1))
    struct Policies {
        private static let allow = #""Effect": "Allow", "Principal": "123456789012", "Resource": "foo""#
        private static let encrypt = "{\"Sid\": \"Encrypt foo\", \"Action\": \"xks:Encrypt\", \(allow)}"
        private static let decrypt = "{\"Sid\": \"Decrypt foo\", \"Action\": \"xks:Decrypt\", \(allow)}"
        private static let deny = """
            {"Sid": "Not by EBS", "Effect": "Deny", "Principal": "*", "Action": "xks:*", "Resource": "*",
             "Condition": {"StringEquals": {"kmsViaService": "ebs"}}}
            """

        private static func text(_ statements: String...) -> String {
            "{\"Statement\": [\(statements.joined(separator: ",\n"))]}"
        }

        private func configuration(_ policy: String) throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("policy", "\"policy.json\"", in: "[[keystore]]")
            _ = try configuration.scratch.write(policy, to: "policy.json")
            return configuration
        }

        private func line(_ node: Node, _ outcome: String, _ operation: String) throws -> LogEntry {
            try node.logEntry("\(operation), \(outcome)") {
                $0.message == "request" && $0["outcome"] == outcome && $0["operation"] == operation
            }
        }

        /// A version that knows no policies refuses the file for its key.
        @Test(
            "is asked of each request but GetHealthStatus; a reload brings another one, and a bad one changes nothing")
        func asked() throws {
            let configuration = try configuration(Self.text(Self.encrypt))
            let node = try Node.serve(configuration, activeHSMs: 1)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1"])
            let client = try XKSClient(node)
            let made: Encrypted = try client.encrypt([1, 2, 3]).decoded()
            #expect(try line(node, "ok", "Encrypt")["policy"] == "Encrypt foo")
            #expect(try client.decrypt(made).refusal == "403 AccessDeniedException")
            #expect(try client.encrypt([1], key: "bar").refusal == "403 AccessDeniedException")
            #expect(try client.metadata(key: "foo").refusal == "403 AccessDeniedException")
            let denied = try line(node, "AccessDeniedException", "Decrypt")
            #expect(denied["reason"] == "no statement of the policy allows it" && denied["policy"] == nil)
            #expect(try client.post("\(node.facts.prefix)/kms/xks/v1/health", Body.health).status == 200)

            // Decrypt is allowed by a reload.
            _ = try configuration.scratch.write(Self.text(Self.encrypt, Self.decrypt), to: "policy.json")
            let answer = try op.done("reload")
            #expect(answer.contains("Policies changed: \(node.facts.prefix)"), "\(answer)")
            #expect(try client.decrypt(made).status == 200)

            // A bad file changes nothing, and says what is wrong with it.
            _ = try configuration.scratch.write(
                Self.text(Self.encrypt.replacingOccurrences(of: "xks:Encrypt", with: "xks:Encypt")), to: "policy.json")
            let bad = try op.call("reload")
            let expected =
                "policy.json: line 1, column 49: statement 1 \"Encrypt foo\", Action: \"xks:Encypt\" is no action"
            #expect(!bad.isSuccess && (bad.errors + bad.output).contains(expected), "\(bad.errors)\(bad.output)")
            #expect(try client.decrypt(made).status == 200)
            let checked = try op.call("check")
            #expect(checked.end == .exited(2) && checked.errors.contains("keystore[0].policy"), "\(checked.errors)")
            #expect(checked.errors.contains("did you mean xks:Encrypt?"), "\(checked.errors)")

            // A Deny wins over what allows.
            _ = try configuration.scratch.write(Self.text(Self.encrypt, Self.decrypt, Self.deny), to: "policy.json")
            try op.done("reload")
            #expect(try client.decrypt(made).refusal == "403 AccessDeniedException")
            let byDeny = try node.logEntry("the denial") { $0["policy"] == "Not by EBS" }
            #expect(byDeny["reason"] == "the policy denies it by Not by EBS")
            #expect(try client.post("\(node.facts.prefix)/kms/xks/v1/health", Body.health).status == 200)
            #expect(try node.stop() == .exited(0))
        }

        @Test("check warns of what can never match, and of the client's address where no balancer is named")
        func warned() throws {
            let statement = """
                {"Sid": "Odd", "Effect": "Allow", "Principal": "*", "Action": "xks:Decrypt", "Resource": "*",
                 "Condition": {"StringEquals": {"kmsOperation": "Encrypt"},
                               "IpAddress": {"xks:ClientAddress": "192.0.2.0/24"}}}
                """
            var configuration = try configuration(Self.text(statement))
            _ = try configuration.write()
            let op = Operator(configuration)
            let warned = try op.call("check")
            #expect(warned.end == .exited(0), "\(warned.errors)")
            #expect(warned.errors.contains("Odd: can never match: kmsOperation \"Encrypt\""), "\(warned.errors)")
            #expect(warned.errors.contains("xks.proxy_protocol_from names no balancer"), "\(warned.errors)")
            configuration.set("proxy_protocol_from", "[\"127.0.0.1\"]", in: "[xks]")
            _ = try configuration.write()
            let named = try op.call("check")
            #expect(named.end == .exited(0) && !named.errors.contains("names no balancer"), "\(named.errors)")
        }

        /// Node 1 allows all but encryption of bar, node 2 all but what comes from 127.0.0.7.
        @Test(
            "the first node decides, the peer that helps asks its own policy by the client's address, and drift is told"
        )
        func forwarded() throws {
            let all = #"{"Sid": "All", "Effect": "Allow", "Principal": "*", "Action": "xks:*", "Resource": "*"}"#
            let notBar =
                #"{"Sid": "Not bar", "Effect": "Deny", "Principal": "*", "Action": "xks:*", "Resource": "bar"}"#
            let notFrom7 = """
                {"Sid": "Not from 7", "Effect": "Deny", "Principal": "*", "Action": "xks:*", "Resource": "*",
                 "Condition": {"IpAddress": {"xks:ClientAddress": "127.0.0.7"}}}
                """
            let configurations = [
                try configuration(Self.text(all, notBar)), try configuration(Self.text(all, notFrom7)),
            ]
            let pair = try Pair(configurations, hsms: 1)
            for name in Pair.names { try pair.op(name).proven(on: ["hsm-1"]) }
            try eventually("the policies differ, and the nodes say so", within: 20, every: 0.1) {
                try pair.report("node-1").nodes.contains { $0.drift.contains("configuration") }
            }
            try pair.op("node-1").done("hsm", "drain", "hsm-1")
            let (first, second) = (pair.node("node-1"), pair.node("node-2"))
            let curl = try Curl(first)
            let from7 = ["--http1.1", "--interface", "127.0.0.7"]
            try eventually("node 2 helps", within: 20, every: 0.1) {
                try XKSClient(first).encrypt([1]).status == 200
            }
            #expect(try first.logEntry("the help") { $0["forwardedTo"] == "node-2" }["policy"] == "All")
            let denied = try curl.post("/keys/foo/encrypt", Body.encrypt([1, 2, 3]), options: from7)
            #expect(denied.refusal == "403 AccessDeniedException", "\(denied.errors)")
            let there = try second.logEntry("the denial") { $0["policy"] == "Not from 7" }
            #expect(there["forwardedBy"] == "node-1" && there["peer"]?.hasPrefix("127.0.0.7:") == true)
            // What node 1 denies does not reach the other one, which would allow it.
            #expect(try XKSClient(first).encrypt([1], key: "bar").refusal == "403 AccessDeniedException")
            #expect(try first.logEntry("the denial") { $0["policy"] == "Not bar" }["forwardedTo"] == nil)
            #expect(try XKSClient(second).encrypt([1], key: "bar").status == 200)

            _ = try configurations[0].scratch.write(Self.text(all, notFrom7), to: "policy.json")
            try pair.op("node-1").done("reload")
            try eventually("the policies are the same, and nobody says otherwise", within: 20, every: 0.1) {
                try pair.report("node-1").nodes.allSatisfy { !$0.drift.contains("configuration") }
            }
            try pair.stop()
        }

        @Test("the commands check a policy and explain a decision without a node")
        func commands() throws {
            let scratch = try Scratch()
            let policy = try scratch.write(Self.text(Self.encrypt, Self.deny), to: "policy.json")
            let request = { (action: String, service: String) throws in
                try scratch.write(
                    #"{"action": "\#(action)", "externalKeyId": "foo", "requestMetadata": \#(Body.metadata("Encrypt"))}"#
                        .replacingOccurrences(of: "\"ebs\"", with: "\"\(service)\""), to: "request.json")
            }
            let good = try ClavigerBinary.run(["policy", "check", policy])
            #expect(good.end == .exited(0) && good.output == "\(policy): good, 2 statements\n", "\(good.errors)")
            let explain = { (file: String) in
                try ClavigerBinary.run(["policy", "explain", "--policy", policy, "--request", file])
            }
            let allowed = try explain(try request("xks:Encrypt", "s3"))
            #expect(allowed.end == .exited(0), "\(allowed.errors)")
            #expect(allowed.output.hasSuffix("\nAllowed by Encrypt foo.\n"), "\(allowed.output)")
            #expect(allowed.output.contains("StringEquals kmsViaService: \"s3\" does not fit \"ebs\""))
            let denied = try explain(try request("xks:Encrypt", "ebs"))
            #expect(
                denied.end == .exited(1) && denied.output.hasSuffix("\nDenied by Not by EBS.\n"), "\(denied.output)")
            let bad = try ClavigerBinary.run(["policy", "check", try scratch.write("{", to: "bad.json")])
            #expect(bad.end == .exited(2) && bad.errors.contains("line 1, column 2"), "\(bad.errors)")
            let missing = try ClavigerBinary.run(["policy", "check", scratch.file("nowhere.json")])
            #expect(missing.end == .exited(2) && missing.errors.contains("does not exist"), "\(missing.errors)")
        }
    }
}
