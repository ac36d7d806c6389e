// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Whether a node serves and sees its peers, by what its control listener says.
package enum ClusterReadiness {
    private struct Health: Decodable {
        struct Node: Decodable { var liveness: String }
        var nodes: [Node]
    }

    /// - Parameters:
    ///   - readyz: status of `GET /readyz`.
    ///   - health: body of `GET /cluster/health`.
    ///   - nodes: how many the cluster has.
    package static func isWhole(readyz: Int, health: [UInt8], nodes: Int) -> Bool {
        guard readyz == 200, let health = try? JSONDecoder().decode(Health.self, from: Data(health)) else {
            return false
        }
        return health.nodes.filter { $0.liveness == "alive" }.count == nodes
    }
}
