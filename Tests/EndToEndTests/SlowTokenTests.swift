// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("a token with many keys that takes its time", .devTokens(1))
    struct SlowToken {
        /// With 16631be the worker was killed while it read them all anew, and requests failed: "its worker ended".
        @Test("while its keys are looked at, which takes ten seconds, the only HSM serves, and its worker lives")
        func catalogue() throws {
            let faults = try Faults()
            try faults.clear()
            var configuration = try ServeConfiguration(with: faults)
            configuration.set("keys", "[\"*\"]", in: "[[keystore]]")
            let tool = TokenTool(facts: configuration.facts, hsm: "hsm-1")
            for number in 0..<20 { try tool.makeKey("app-\(number)") }
            let node = try Node.serve(configuration, activeHSMs: 1)
            let op = Operator(configuration)
            for key in ["foo", "app-19"] { try op.proven(key, on: ["hsm-1"]) }
            let worker = try #require(node.workers["hsm-1"])
            let load = Load(node, connections: 4)
            try load.more(50)
            // With 25 keys.
            try faults.set(["hsm-1": ["delay C_GetAttributeValue 400ms"]])
            let until = ContinuousClock.now + .seconds(9)
            while ContinuousClock.now < until { try load.more(50) }
            let report = try load.stop()
            print("400 ms for each look at one of 25 keys: \(report.summary)")
            #expect(report.failures.isEmpty, "\(report.failures.prefix(5))")
            #expect(node.workers["hsm-1"] == worker)
            #expect(!node.log.contains { $0.message == "worker killed" })
            try faults.clear()
            #expect(try node.stop() == .exited(0))
        }
    }
}
