// SPDX-License-Identifier: Apache-2.0

/// The blocks that are not lifted, ordered for the question that each request asks. Made anew when the list changes.
final class BlockIndex: Sendable {
    /// A block and when it ends on this node.
    private struct Standing {
        let block: Block
        let endsAt: Int64?

        /// A clock that is set back makes it hold again, which is the safe side.
        func holds(_ now: Int64) -> Bool { endsAt.map { now < $0 } ?? true }
    }

    private let everything: [Standing]
    /// A String equals others that are canonically equivalent to it: so too much is blocked, which is the safe side.
    private let keyStores: [String: [Standing]]
    private let keys: [String: [Standing]]
    private let principals: [(pattern: [UInt8], block: Standing)]

    /// `nil` when there is nothing to ask.
    init?(_ blocks: [(block: Block, endsAt: Int64?)]) {
        guard !blocks.isEmpty else { return nil }
        var everything: [Standing] = []
        var keyStores: [String: [Standing]] = [:]
        var keys: [String: [Standing]] = [:]
        var principals: [(pattern: [UInt8], block: Standing)] = []
        // The oldest first, so that the same block answers while it holds.
        let sorted = blocks.sorted { ($0.block.madeAt, $0.block.id) < ($1.block.madeAt, $1.block.id) }
        for (block, endsAt) in sorted {
            let standing = Standing(block: block, endsAt: endsAt)
            switch block.target {
            case .everything: everything.append(standing)
            case .keyStore(let prefix): keyStores[prefix, default: []].append(standing)
            case .key(let key): keys[key, default: []].append(standing)
            case .principal(let pattern): principals.append((Array(pattern.utf8), standing))
            }
        }
        self.everything = everything
        self.keyStores = keyStores
        self.keys = keys
        self.principals = principals
    }

    /// The widest block that stands against the request.
    func block(keyStore: String, externalKeyID: String, label: String, principal: String, now: Int64) -> Block? {
        if let found = everything.first(where: { $0.holds(now) }) { return found.block }
        for found in [keyStores[keyStore], keys[externalKeyID], keys[label]] {
            if let found = found?.first(where: { $0.holds(now) }) { return found.block }
        }
        guard !principals.isEmpty, !principal.isEmpty else { return nil }
        var principal = principal
        return principal.withUTF8 { name in
            principals.first { $0.block.holds(now) && PrincipalPattern.matches($0.pattern, name) }?.block.block
        }
    }
}

/// Matching with `*` for any characters, none included. Everything else stands for itself, byte for byte.
enum PrincipalPattern {
    /// Goes back to the last star only: what an earlier star has swallowed never needs to change, since the part
    /// between the two stars has been found at its first position.
    static func matches(_ pattern: [UInt8], _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        var (patternAt, nameAt) = (0, 0)
        var afterStar: Int?
        var retryAt = 0
        while nameAt < name.count {
            if patternAt < pattern.count, pattern[patternAt] == 0x2A {
                patternAt += 1
                afterStar = patternAt
                retryAt = nameAt
            } else if patternAt < pattern.count, pattern[patternAt] == name[nameAt] {
                patternAt += 1
                nameAt += 1
            } else if let star = afterStar {
                retryAt += 1
                patternAt = star
                nameAt = retryAt
            } else {
                return false
            }
        }
        return pattern[patternAt...].allSatisfy { $0 == 0x2A }
    }
}
