// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A bounded memory of signing keys, so that a request does not derive its key again.
///
/// Of a verifier only keys that have just verified a signature get in. So nobody without a secret can fill it, whatever regions and
/// days they name; the bound guards against a holder of a secret who does. The oldest entry makes room.
final class SigningKeyCache: Sendable {
    /// Whose key it is: a credential by its position, or the stand-in for unknown access key ids.
    enum Owner: Equatable, Sendable {
        case credential(Int)
        case standIn
    }

    struct Entry: Sendable {
        var owner: Owner
        var day: Int32
        var region: String
        var key: SigningKey
    }

    static let capacity = 64

    private let entries = Mutex<[Entry]>([])

    func key(of owner: Owner, day: Int32, region: String) -> SigningKey? {
        // Taken out under the lock, searched outside it.
        let snapshot = entries.withLock { $0 }
        for entry in snapshot where entry.owner == owner && entry.day == day && entry.region == region {
            return entry.key
        }
        return nil
    }

    func remember(_ key: SigningKey, of owner: Owner, day: Int32, region: String) {
        let entry = Entry(owner: owner, day: day, region: region, key: key)
        entries.withLock { entries in
            guard !entries.contains(where: { $0.owner == owner && $0.day == day && $0.region == region }) else {
                return
            }
            if entries.count >= Self.capacity { entries.removeFirst() }
            entries.append(entry)
        }
    }

    var count: Int { entries.withLock { $0.count } }
}
