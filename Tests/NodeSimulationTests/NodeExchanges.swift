// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip
import KeyProof

/// With whom canaries and blocks have been exchanged, and when that is done again: what `CanaryExchange`, `BlockExchange`
/// and `NodeNeighbours` remember.
struct NodeExchanges {
    struct Past {
        var notBefore: UInt64
        var version: UInt64
    }

    var keysUnderway: Set<String> = []
    var keys: [String: Past] = [:]
    /// By name: the life of the peer, and the version that was told in the exchange.
    var exchanged: [String: (incarnation: UInt64, version: UInt64)] = [:]
    var blocksUnderway: Set<String> = []
    var blocks: [String: (at: UInt64, digest: String)] = [:]
}

/// All that a node tells of its block list in one message; the product sends it page by page.
struct BlockMessage {
    var entries: [BlockEntry]
    var isKnown: Bool
}
