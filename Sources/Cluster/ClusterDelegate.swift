// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip
import XKSProtocol

/// What the cluster asks of the rest of the node, and tells it. Called on any thread.
package protocol ClusterDelegate: Sendable {
    /// What this node says of itself. Asked several times a second: cheap, and never waits.
    func facts() -> NodeFacts

    func blocks() -> BlockList

    /// Takes in a peer's block list. Returns what is known here then, and whether that is on disk.
    func merge(blocks: BlockList, from peer: String) async -> (merged: BlockList, durable: Bool)

    /// What this node tells of keys, each list in the order of its labels.
    func keys() -> SharedKeys

    /// Grows whenever that changes.
    func keysVersion() -> UInt64

    /// A peer tells these.
    func offered(_ keys: SharedKeys, by peer: String)

    /// An exchange of all keys with a peer begins. Returns the version of what this node tells in it.
    func exchangeBegan(with peer: String) -> UInt64

    /// It has come to its end: both sides have told all that they knew.
    func exchangeEnded(with peer: String, version: UInt64)

    /// Answers a KMS request that a peer could not serve. `reply` is called exactly once, on any thread.
    ///
    /// - Parameter deadline: CLOCK_MONOTONIC of this host, nanoseconds.
    func serve(
        _ request: ProxyRequest, forwardedBy peer: String, deadline: UInt64,
        reply: @escaping @Sendable (ProxyResponse) -> Void)

    /// In the order in which it happened.
    func noted(_ event: GossipEvent)

    /// Something that people should know of the cluster's TLS files.
    func noted(_ change: ClusterTLSChange)
}

/// What has become of certificates that changed on disk.
package enum ClusterTLSChange: Sendable, Equatable {
    case replaced
    /// Those in use stay in use.
    case failed(ClusterError)
}

/// What has come of giving a node this one's block list.
package struct BlockDelivery: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        /// It has the list on its disk.
        case confirmed
        /// It has the list, and cannot write it.
        case unwritten
        /// It did not answer in time. Says why.
        case unreachable(String)
    }

    package var node: String
    package var outcome: Outcome

    package init(node: String, outcome: Outcome) {
        self.node = node
        self.outcome = outcome
    }
}

/// What has come of passing a request on.
package enum ForwardResult: Sendable {
    /// The answer of the node of this name.
    case answered(ProxyResponse, by: String)
    /// Nobody could be asked, or nobody answered in time. Says why.
    case failed(String)
}
