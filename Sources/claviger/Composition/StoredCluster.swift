// SPDX-License-Identifier: Apache-2.0
import Cluster
import Gossip
import NodeStore

// Between what the cluster knows of its nodes and what the store keeps of it.

/// A restarted node looks for its cluster at the members that it had before.
extension StoredPeer {
    init(_ member: Member) {
        self.init(
            name: member.identity.name, address: member.identity.address, site: member.identity.site,
            incarnation: Int(clamping: member.identity.incarnation),
            lastSeenUnixSeconds: Int(clamping: UnixTime.seconds(ofMonotonic: member.lastReceived ?? member.since)))
    }

    var identity: NodeIdentity {
        NodeIdentity(name: name, address: address, site: site, incarnation: UInt64(clamping: incarnation))
    }
}

extension StoredNodeForget {
    /// `nil` where the member is not forgotten.
    init?(_ member: Member) {
        guard let order = member.forgotten else { return nil }
        self.init(
            name: member.identity.name, address: member.identity.address, site: member.identity.site,
            incarnation: Int(clamping: member.identity.incarnation), author: order.author,
            givenUnixSeconds: Int(clamping: order.givenAt))
    }

    var node: NodeIdentity {
        NodeIdentity(name: name, address: address, site: site, incarnation: UInt64(clamping: incarnation))
    }

    var order: ForgetNodeOrder { ForgetNodeOrder(author: author, givenAt: Int64(givenUnixSeconds)) }
}

extension ClusterMemory {
    /// - Parameter now: Unix seconds. Orders of long ago are left out.
    init(_ store: NodeStore, now: Int64) {
        let oldest = now - Int64(GossipSettings().forgottenKept / 1_000_000_000)
        self.init(
            peers: store.peers().map(\.identity),
            changes: Dictionary(
                store.peerChanges().map { ($0.name, UInt64(clamping: $0.changes)) }, uniquingKeysWith: max),
            forgotten: store.forgottenNodes().filter { $0.givenUnixSeconds >= oldest }.map { ($0.node, $0.order) })
    }
}
