// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Of GetHealthStatus's answer, how many HSMs fare how.
private struct HealthCounts: Decodable {
    struct KeyManager: Decodable { var healthStatus: String }
    var ekmFleetDetails: [KeyManager]

    var states: [String] { ekmFleetDetails.map(\.healthStatus).sorted() }
}

extension EndToEnd {
    @Suite("what KMS is told of the HSMs", .devTokens(3))
    struct HealthStatusOfKeyStores {
        /// Before, the key store told of all three HSMs, and of the drained one as DEGRADED: KMS took it for served while each
        /// of its requests was refused.
        @Test("a key store tells of its own HSMs, and a drained one serves nobody")
        func ownHSMs() throws {
            var configuration = try ServeConfiguration(with: Faults())
            let credentials = try #require(
                configuration.text.split(separator: "\n").first { $0.hasPrefix("credentials = ") })
            configuration.append(
                """
                [[keystore]]
                path_prefix = "/other"
                keys = ["foo"]
                \(credentials)
                hsms = ["hsm-1"]
                """)
            _ = try configuration.write()
            let node = try Node.serve(configuration)
            let op = Operator(configuration)
            let client = try XKSClient(node)
            func health(_ prefix: String) throws -> HealthCounts {
                try client.post("\(prefix)/kms/xks/v1/health", Body.health).decoded()
            }
            #expect(try health("/other").states == ["ACTIVE"])
            #expect(try health(node.facts.prefix).states == ["ACTIVE", "ACTIVE", "ACTIVE"])
            try op.done("hsm", "drain", "hsm-1")
            #expect(try health("/other").states == ["UNAVAILABLE"])
            #expect(try health(node.facts.prefix).states == ["ACTIVE", "ACTIVE", "UNAVAILABLE"])
            #expect(try node.stop() == .exited(0))
        }
    }
}
