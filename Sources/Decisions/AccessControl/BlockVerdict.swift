// SPDX-License-Identifier: Apache-2.0

/// Why a request is refused before policy is asked.
package struct BlockVerdict: Sendable, Equatable {
    package enum Cause: Sendable, Equatable {
        case block(Block)
        /// The node is new in its cluster: it does not know yet what is blocked.
        case noList
        /// The node has lost its list: it does not know what is blocked.
        case unknownList(reason: String)
    }

    package let cause: Cause

    /// Longest message to the caller: the API wants fewer than 512 characters (XKS 1.0.3, "Error responses").
    package static let longestClientMessage = 511

    /// The block, unless the list is unknown.
    package var block: Block? {
        if case .block(let block) = cause { block } else { nil }
    }

    /// For the caller: at most ``longestClientMessage`` characters of printable ASCII.
    ///
    /// It says which block it is, and what is blocked, so that its reader can ask the operator. It does not say why:
    /// who is cut off for a suspicion reads this, too, and reasons are written for colleagues.
    package var clientMessage: String {
        switch cause {
        case .block(let block):
            "blocked by the operator of this key store (block \(block.shortID): "
                + "\(Self.ascii(block.target.words, limit: 300)))"
        case .noList:
            "this node is new in its cluster, and refuses every request until it has the list of blocks"
        case .unknownList:
            "this node has lost its list of blocks, and refuses every request until the list is restored"
        }
    }

    /// For the node's own log: all of it.
    package var logText: String {
        switch cause {
        case .block(let block):
            "block \(block.id): \(block.target.options), by \(block.madeBy), "
                + "\(block.expiresAt.map { "until \($0)" } ?? "without an end"): \(block.reason)"
        case .noList: "there is no block list yet: \(BlockKnowledge.newcomer)"
        case .unknownList(let reason):
            "the block list is unknown: \(reason)"
        }
    }

    private static func ascii(_ text: String, limit: Int) -> String {
        var kept = ""
        for scalar in text.unicodeScalars.prefix(limit) {
            kept.unicodeScalars.append((0x20...0x7E).contains(scalar.value) ? scalar : "?")
        }
        return kept.utf8.count < text.unicodeScalars.count ? kept + "..." : kept
    }
}

extension BlockTarget {
    /// For a message's reader.
    package var words: String {
        switch self {
        case .everything: "all keys"
        case .keyStore(let prefix): "key store \"\(prefix)\""
        case .key(let key): "key \"\(key)\""
        case .principal(let pattern): "principals \(pattern)"
        }
    }
}
