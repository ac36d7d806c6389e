// SPDX-License-Identifier: Apache-2.0
import Gossip
import Synchronization

/// Why something that came in was dropped.
package enum ClusterDrop: String, Sendable, CaseIterable {
    /// It is not what this path takes, contradicts itself, or its sender is not who its certificate says.
    case malformed
    /// Its body is larger than its path takes.
    case oversized
    /// Its sequence has been seen.
    case replayed
    /// It is meant for another node, or the node that answered is not the one that was called.
    case foreign
    /// Its version is none that this node speaks.
    case version
    /// The handshake failed: no certificate, not one of the cluster's CA, or no TLS at all; or the certificate bears no
    /// node's name.
    case unauthenticated
    /// The certificate is one of those that `[cluster] refused` names.
    case revoked
}

/// What the cluster listener and its client have counted since they began.
package struct ClusterStatistics: Sendable, Equatable {
    /// Requests of peers, and requests to peers; the answers to them are not counted again.
    package var messagesIn: UInt64 = 0
    package var messagesOut: UInt64 = 0
    /// Bodies of requests and answers; what HTTP, TLS and TCP add is not counted.
    package var bytesIn: UInt64 = 0
    package var bytesOut: UInt64 = 0
    /// KMS requests handed to a peer that answered; those that no peer answered in time; those taken from peers.
    package var forwardsOut: UInt64 = 0
    package var forwardsFailed: UInt64 = 0
    package var forwardsIn: UInt64 = 0
    /// KMS requests that were more than the HSMs here can do: answered by a peer that reported room; refused by one,
    /// which had none; those that this node was given by peers.
    package var surplusOut: UInt64 = 0
    package var surplusRefused: UInt64 = 0
    package var surplusIn: UInt64 = 0
    /// Connections to peers that are open for such requests, at work or idle.
    package var forwardConnections = 0
    package var dropped: [ClusterDrop: UInt64] = [:]
    package var gossip = GossipCounters()

    package init() {}
}

/// Counts, on any thread.
final class ClusterCounters: Sendable {
    private let counts = Mutex(ClusterStatistics())

    func note(_ change: (inout ClusterStatistics) -> Void) { counts.withLock { change(&$0) } }

    func dropped(_ reason: ClusterDrop) { counts.withLock { $0.dropped[reason, default: 0] += 1 } }

    /// With what the machine has counted and refused.
    func statistics(with gossip: GossipCounters) -> ClusterStatistics {
        var statistics = counts.withLock { $0 }
        statistics.gossip = gossip
        for (refusal, count) in gossip.refused { statistics.dropped[ClusterDrop(refusal), default: 0] += count }
        return statistics
    }
}

extension ClusterDrop {
    fileprivate init(_ refusal: GossipRefusal) {
        self =
            switch refusal {
            case .version: .version
            case .foreign: .foreign
            case .replayed: .replayed
            case .malformed: .malformed
            }
    }
}
