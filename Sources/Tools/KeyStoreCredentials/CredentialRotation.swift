// SPDX-License-Identifier: Apache-2.0

/// Which step of the rotation of a key store's credential comes next (XKS Proxy API 1.0.3, "SigV4 credentials
/// rotation"). Pure; decided anew at each call from
/// what the file, the node and the cluster say, so that it may be left at any step.
package enum CredentialRotation: Sendable, Equatable {
    /// What the running node says of a credential.
    package struct Known: Sendable, Equatable {
        package var accessKeyID: String
        /// Unix seconds.
        package var firstSeen: Int64?
        package var lastUsed: Int64?
        package var lastUsedAt: String?

        package init(
            accessKeyID: String, firstSeen: Int64? = nil, lastUsed: Int64? = nil, lastUsedAt: String? = nil
        ) {
            self.accessKeyID = accessKeyID
            self.firstSeen = firstSeen
            self.lastUsed = lastUsed
            self.lastUsedAt = lastUsedAt
        }
    }

    /// Step 1: a second credential is made, and stands in the file of every node.
    case make
    /// The node does not have what the file says yet, or still has what the file has not any more.
    case reload
    /// Step 2: KMS is given the new one.
    case tellKMS(new: String)
    /// Step 3: KMS signs with the new one, and some old ones were used in the last hour; the file may lack them from
    /// `until` on, Unix seconds.
    case wait(new: String, old: [Known], until: Int64)
    /// Step 4: no old one is in use anywhere.
    case remove(new: String, old: [Known])

    /// For how long after its last use a credential counts as in use, seconds; a reload refuses to take it away.
    package static let recentUse: Int64 = 3_600

    /// - Parameters:
    ///   - file: the access key ids of the key store in the configuration file, in its order.
    ///   - node: what the running node has.
    ///   - now: Unix seconds.
    package static func next(file: [String], node: [Known], now: Int64) -> CredentialRotation {
        let running = Dictionary(node.map { ($0.accessKeyID, $0) }) { first, _ in first }
        guard Set(file) == Set(running.keys) else { return .reload }
        let known = file.compactMap { running[$0] }
        // Of those that came at one time, as with a new state directory, the later in the file.
        let ranked = known.enumerated().sorted { left, right in
            (left.element.firstSeen ?? 0, left.offset) < (right.element.firstSeen ?? 0, right.offset)
        }.map(\.element)
        guard ranked.count > 1, let new = ranked.last else { return .make }
        guard new.lastUsed != nil else { return .tellKMS(new: new.accessKeyID) }
        let old = known.filter { $0.accessKeyID != new.accessKeyID }
        let lastUse = old.compactMap(\.lastUsed).max() ?? 0
        // To the minute: the node refuses for as long.
        guard now - lastUse < recentUse else { return .remove(new: new.accessKeyID, old: old) }
        let inUse = old.filter { now - ($0.lastUsed ?? 0) < recentUse }
        return .wait(new: new.accessKeyID, old: inUse, until: lastUse + recentUse)
    }

    /// The command that gives KMS the credential. The key store may stay connected; KMS asks for GetHealthStatus with it
    /// first, and takes up to five minutes to use it everywhere (AWS KMS developer guide, "Edit external key store
    /// properties").
    ///
    /// - Parameters:
    ///   - keyStoreID: `cks-…`; `nil` where it is not known.
    ///   - file: absolute path of the credential's document.
    package static func command(keyStoreID: String?, file: String) -> String {
        "aws kms update-custom-key-store --custom-key-store-id \(keyStoreID ?? "cks-…") "
            + "--xks-proxy-authentication-credential \(quoted("file://\(file)"))"
    }

    /// For a POSIX shell.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "/.:_-+@%,".utf8.contains(byte)
            }
        }
        return isPlain
            ? word : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
