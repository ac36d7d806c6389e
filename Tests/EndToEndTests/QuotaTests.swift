// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("a key store's quota", .devTokens(1))
    struct Quotas {
        private struct Quota: Decodable {
            var keyStore: String
            var nodes: Int
            var refusedByStore: Int
            var refusedByPrincipal: Int
            var principalsRefused: Int
        }

        private struct Report: Decodable { var quotas: [Quota]? }

        private func quota(_ op: Operator) throws -> Quota? {
            let result = try op.call("status", "--json")
            return try JSONDecoder().decode(Report.self, from: Data(result.output.utf8)).quotas?.first
        }

        private func configuration(_ keys: [String: Int]) throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            for (key, value) in keys { configuration.set(key, "\(value)", in: "[[keystore]]") }
            return configuration
        }

        /// A request that no HSM is asked for.
        private func ask(_ client: XKSClient, as user: String) throws -> HTTPReply {
            let metadata = Body.metadata("DescribeKey").replacingOccurrences(of: "user/Alice", with: "user/\(user)")
            return try client.post(client.target("metadata", key: "foo"), "{\"requestMetadata\":\(metadata)}")
        }

        /// How many of so many requests are let through, and how many seconds it took.
        private func flood(_ client: XKSClient, as user: String, _ requests: Int) throws -> (let: Int, took: Double) {
            let begin = ContinuousClock.now
            let count = try (0..<requests).count { _ in try ask(client, as: user).status == 200 }
            let took = (ContinuousClock.now - begin) / .seconds(1)
            return (count, took)
        }

        @Test("a flood of one principal does not starve another; health goes on; a reload brings another limit")
        func flooded() throws {
            var configuration = try configuration(["requests_per_second": 5, "burst": 10])
            let node = try Node.serve(configuration, activeHSMs: 1)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1"])
            let client = try XKSClient(node)
            try eventually("the key store is over its limit", within: 30, every: 0) {
                try ask(client, as: "Alice").refusal == "429 ThrottlingException"
            }
            let line = try node.logEntry("the refusal") { $0["outcome"] == "ThrottlingException" }
            #expect(
                line["reason"]
                    == "requests_per_second = 5: the key store is over it, and arn:aws:iam::123456789012:user/Alice has "
                    + "its share")
            // Bob asks twice a second at most, which is less than his half of five.
            for _ in 0..<6 {
                let pause = ContinuousClock.now + .milliseconds(500)
                while ContinuousClock.now < pause { _ = try ask(client, as: "Alice") }
                #expect(try ask(client, as: "Bob").status == 200)
                #expect(try client.post("\(node.facts.prefix)/kms/xks/v1/health", Body.health).status == 200)
            }
            let refused = try #require(try quota(op))
            #expect(refused.keyStore == node.facts.prefix && refused.nodes == 1 && refused.refusedByStore > 0)
            #expect(refused.refusedByPrincipal == 0 && refused.principalsRefused == 1)
            #expect(try op.done("status").contains("requests over a quota"))

            configuration.set("requests_per_second", "1000000", in: "[[keystore]]")
            configuration.set("burst", "1000000", in: "[[keystore]]")
            _ = try configuration.write()
            try op.done("reload")
            #expect(try flood(client, as: "Alice", 300).let == 300)
            #expect(try node.stop() == .exited(0))
        }

        @Test("check warns of a principal that may ask more than all together")
        func warned() throws {
            let configuration = try configuration(["requests_per_second": 5, "principal_requests_per_second": 6])
            _ = try configuration.write()
            let checked = try Operator(configuration).call("check")
            #expect(checked.end == .exited(0), "\(checked.errors)")
            let expected = "6 for each principal is more than requests_per_second = 5 for all"
            #expect(checked.errors.contains(expected), "\(checked.errors)")
        }

        @Test("two nodes share a limit, and one that is left alone has all of it")
        func shared() throws {
            let keys = ["principal_requests_per_second": 1, "principal_burst": 40]
            let configurations = [try configuration(keys), try configuration(keys)]
            let pair = try Pair(configurations, hsms: 1)
            for name in Pair.names {
                try pair.op(name).proven(on: ["hsm-1"])
                try eventually("both are counted", within: 20, every: 0.1) { try quota(pair.op(name))?.nodes == 2 }
                let (admitted, took) = try flood(try XKSClient(pair.node(name)), as: "Alice", 80)
                #expect(admitted >= 20 && Double(admitted) <= 21 + took / 2, "\(admitted) in \(took) s")
                let line = try pair.node(name).logEntry("the refusal") { $0["outcome"] == "ThrottlingException" }
                #expect(
                    line["reason"]
                        == "principal_requests_per_second = 1, of which this node lets through one part of 2: "
                        + "arn:aws:iam::123456789012:user/Alice is over it")
            }
            let drifts = { try pair.report("node-1").nodes.contains { $0.drift.contains("configuration") } }
            #expect(try !drifts())
            var other = pair.configurations[0]
            other.set("requests_per_second", "1000", in: "[[keystore]]")
            _ = try other.write()
            try pair.op("node-1").done("reload")
            try eventually("the nodes say that they differ", within: 20, every: 0.1, holds: drifts)
            try pair.node("node-2").stop()
            try eventually("node 1 is alone", within: 30, every: 0.1) { try quota(pair.op("node-1"))?.nodes == 1 }
            let (admitted, took) = try flood(try XKSClient(pair.node("node-1")), as: "Bob", 80)
            #expect(admitted >= 40 && Double(admitted) <= 41 + took, "\(admitted) in \(took) s")
            #expect(try pair.node("node-1").stop() == .exited(0))
        }
    }
}
