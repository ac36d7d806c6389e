// SPDX-License-Identifier: Apache-2.0

/// The blocks that are not lifted, ordered for the question that each request asks. Made anew when the list changes.
final class BlockIndex: Sendable {
    private let everything: [Block]
    private let keyStores: [String: [Block]]
    private let keys: [String: [Block]]
    private let principals: [(pattern: [UInt8], block: Block)]

    /// `nil` when there is nothing to ask.
    init?(_ blocks: [Block]) {
        guard !blocks.isEmpty else { return nil }
        var everything: [Block] = []
        var keyStores: [String: [Block]] = [:]
        var keys: [String: [Block]] = [:]
        var principals: [(pattern: [UInt8], block: Block)] = []
        // The oldest first, so that the same block answers while it holds.
        for block in blocks.sorted(by: { ($0.madeAt, $0.id) < ($1.madeAt, $1.id) }) {
            switch block.target {
            case .everything: everything.append(block)
            case .keyStore(let prefix): keyStores[prefix, default: []].append(block)
            case .key(let key): keys[key, default: []].append(block)
            case .principal(let pattern): principals.append((Array(pattern.utf8), block))
            }
        }
        self.everything = everything
        self.keyStores = keyStores
        self.keys = keys
        self.principals = principals
    }

    /// The widest block that stands against the request.
    func block(keyStore: String, externalKeyID: String, label: String, principal: String, now: Int64) -> Block? {
        if let block = everything.first(where: { $0.isUnexpired(now: now) }) { return block }
        for found in [keyStores[keyStore], keys[externalKeyID], keys[label]] {
            if let block = found?.first(where: { $0.isUnexpired(now: now) }) { return block }
        }
        guard !principals.isEmpty, !principal.isEmpty else { return nil }
        var principal = principal
        return principal.withUTF8 { name in
            principals.first { $0.block.isUnexpired(now: now) && PrincipalPattern.matches($0.pattern, name) }?.block
        }
    }
}

/// Matching with `*` for any characters, none included. Everything else stands for itself, byte for byte.
enum PrincipalPattern {
    /// Goes back to the last star only: what an earlier star has swallowed never needs to change, since the part
    /// between the two stars has been found at its first place.
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
