// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import Gossip
import TLSFacts
import XKSProtocol

/// What the cluster asks of the rest of the node, and reports to it. Called on any thread.
package protocol ClusterDelegate: Sendable {
    /// What this node says of itself. Asked several times a second: cheap, and never waits.
    func facts() -> NodeFacts

    func blocks() -> BlockList

    /// How much a block of this target hits on this node.
    func hits(of target: BlockTarget) -> BlockHits

    /// Takes in what a peer reports of its block list. Returns what is known here then.
    func merge(blocks: BlockNews, from peer: String) -> BlockList

    /// Whether what is known here is on disk. A disk that takes its time is waited for half a second.
    func blocksOnDisk() async -> BlockPage.Disk

    /// Block lists have been exchanged with a peer completely. `isKnown`: whether the peer knows its own.
    func exchangedBlocks(with peer: String, isKnown: Bool)

    /// What this node sends of keys, each list in the order of its labels.
    func keys() -> SharedKeys

    /// Grows whenever that changes.
    func keysVersion() -> UInt64

    /// A peer sends these.
    func offered(_ keys: SharedKeys, by peer: String)

    /// An exchange of all keys with a peer begins. Returns the version of what this node sends in it.
    func exchangeBegan(with peer: String) -> UInt64

    /// It has come to its end: both sides have sent all that they knew.
    func exchangeEnded(with peer: String, version: UInt64)

    /// The newest heads of this node's own audit log, one of each chain; empty where it writes none.
    func auditHeads() -> [SignedAuditHead]

    /// A peer has sent the heads of its own audit log, and has signed them.
    func offered(_ heads: [SignedAuditHead], by peer: String)

    /// Answers a KMS request that a peer could not serve. `reply` is called exactly once, on any thread.
    ///
    /// - Parameter deadline: CLOCK_MONOTONIC of this host, nanoseconds.
    func serve(
        _ forwarded: ForwardedRequest, by peer: String, deadline: UInt64,
        reply: @escaping @Sendable (ProxyResponse) -> Void)

    /// In the order in which it happened.
    func noted(_ event: GossipEvent)

    /// Something that people should know of the cluster's TLS files.
    func noted(_ change: ClusterTLSChange)
}

/// Connections that ended because the other side showed a certificate that is refused.
package struct RefusedAttempts: Sendable, Equatable {
    /// The name in the certificate.
    package var node: String
    package var serial: CertificateSerial
    /// The IP address of the latest; empty where it is not known.
    package var address: String
    /// How many since this was last reported.
    package var count: UInt64
}

/// What has become of certificates that changed on disk.
package enum ClusterTLSChange: Sendable, Equatable {
    case replaced
    /// Those in use stay in use.
    case failed(ClusterError)
    /// Reported at most once a minute for each certificate.
    case refused(RefusedAttempts)
}

/// An order that goes to all nodes at once.
package struct BlockPush: Sendable {
    /// Ids of the blocks that it makes or lifts.
    package var ids: [String]
    /// Whether they are to be in force then.
    package var isBlock: Bool

    package init(ids: [String], isBlock: Bool) {
        self.ids = ids
        self.isBlock = isBlock
    }
}

/// What has come of giving a node this one's block list.
package struct BlockDelivery: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        /// It goes by the order, and has it on its disk.
        case confirmed
        /// It goes by the order; its disk takes its time.
        case effective
        /// It has the order, and does not go by it: a block has ended there, or somebody has lifted it meanwhile.
        case ineffective
        /// It goes by the order, and cannot write it.
        case unwritten
        /// It did not answer. Says why; it is tried again as long as the order lasts.
        case unreachable(String)

        var isUnreachable: Bool { if case .unreachable = self { true } else { false } }
    }

    package var node: String
    package var outcome: Outcome
    /// How much the block hits there; `nil` where the node does not say, and of a lift.
    package var hits: BlockHits?

    package init(node: String, outcome: Outcome, hits: BlockHits? = nil) {
        self.node = node
        self.outcome = outcome
        self.hits = hits
    }
}

/// A KMS request that another node has passed on.
package struct ForwardedRequest: Sendable {
    package var request: ProxyRequest
    /// That node's HSMs are well, and it has more than they can do.
    package var isSurplus: Bool

    package init(request: ProxyRequest, isSurplus: Bool = false) {
        self.request = request
        self.isSurplus = isSurplus
    }
}

/// What has come of passing a request on.
package enum ForwardResult: Sendable {
    /// The answer of the node of this name.
    case answered(ProxyResponse, by: String)
    /// Nobody could be asked, or nobody answered in time. Says why.
    case failed(String)
}
