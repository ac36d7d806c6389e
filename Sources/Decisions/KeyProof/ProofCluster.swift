// SPDX-License-Identifier: Apache-2.0

/// Another member of the cluster, as the key proof knows it: it has spoken to this node itself, and neither left nor
/// forgotten.
package struct ProofPeer: Sendable, Equatable {
    package var name: String
    /// It answers at the moment.
    package var isLive: Bool
    /// `KeyProof.sharedVersion` of this node when the last exchange of canaries with the peer's present life began that
    /// came to its end, all pages in both directions; `nil` before the first.
    package var exchanged: UInt64?

    package init(name: String, isLive: Bool, exchanged: UInt64? = nil) {
        self.name = name
        self.isLive = isLive
        self.exchanged = exchanged
    }
}

/// The cluster, as the key proof knows it. Given whole, whenever something of it changes.
package struct ProofCluster: Sendable, Equatable {
    /// No two of one name.
    package var peers: [ProofPeer]
    /// There are addresses at which other nodes may be, whether any has answered or not.
    package var isSought: Bool

    package init(peers: [ProofPeer] = [], isSought: Bool = false) {
        self.peers = peers
        self.isSought = isSought
    }

    /// Every member lives and has exchanged its canaries with this node: what none of them knows, nobody has proven.
    package var isComplete: Bool { peers.allSatisfy { $0.isLive && $0.exchanged != nil } }

    /// True when somebody may be out there who knows better.
    var hasOthers: Bool { isSought || !peers.isEmpty }

    /// True when an exchange that carried this node's canaries of that version has come to its end.
    func hasExchanged(since version: UInt64) -> Bool {
        peers.contains { peer in peer.exchanged.map { $0 >= version } ?? false }
    }

    func isLive(_ node: String) -> Bool { peers.contains { $0.name == node && $0.isLive } }
}
