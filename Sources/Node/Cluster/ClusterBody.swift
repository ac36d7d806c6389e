// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import Gossip
import SecureMemory

/// What the cluster listener reads of a body before anything is done with it. For tests that feed it anything.
package enum ClusterBody {
    /// The paths of the listener, in their order.
    package static let paths = ClusterPath.allCases.map(\.rawValue)

    /// Whether a body is of the form that its path asks for, and within its bounds.
    package static func isOfForm(_ body: SecretBytes, path: String) -> Bool {
        switch ClusterPath(rawValue: path) {
        case .gossip: (try? ClusterJSON.decode(GossipMessage.self, body)) != nil
        case .blocks: (try? ClusterJSON.decode(BlockList.self, body)) != nil
        case .blockPages: (try? ClusterJSON.decode(BlockPage.self, body)) != nil
        case .canaries: (try? ClusterJSON.decode(CanaryPage.self, body))?.isWithinBounds ?? false
        case .forward: ForwardWire.decode(body, receivedAt: 0) != nil
        case .audit:
            (try? ClusterJSON.decode(AuditHeads.self, body))?.heads.allSatisfy(\.isWithinBounds) ?? false
        case nil: false
        }
    }
}
