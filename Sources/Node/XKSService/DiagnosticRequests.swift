// SPDX-License-Identifier: Apache-2.0
import Synchronization
import XKSProtocol

/// Which requests are made by a command on this node's own host, to see whether it answers (`claviger diagnose`): the one
/// place where that is decided. They are nobody's: no quota is charged, no metric counts them, and they say nothing of KMS's
/// clock, nor of which credential KMS uses.
///
/// The command is given a `kmsRequestId` at the admin socket, for some minutes, and only the requests that bear it count as
/// such. How one begins decides nothing: whoever holds a credential could write that, and would ask beside the quota, unseen.
package final class DiagnosticRequests: Sendable {
    /// How long one may be used, nanoseconds: each key store is given some seconds.
    package static let lifetime: UInt64 = 300_000_000_000
    /// Most that are known; the oldest goes.
    private static let most = 64

    private struct Given {
        var requestID: String
        var until: UInt64
    }

    private let given = Mutex<[Given]>([])

    init() {}

    /// Gives one out.
    ///
    /// - Parameters:
    ///   - now: CLOCK_MONOTONIC, nanoseconds.
    ///   - chance: whatever nobody can guess.
    package func begin(now: UInt64, chance: (UInt64, UInt64)) -> String {
        let requestID = RequestMetadata.diagnosticPrefix + Self.digits(chance.0) + Self.digits(chance.1)
        given.withLock { given in
            given.removeAll { $0.until <= now }
            if given.count >= Self.most { given.removeFirst() }
            given.append(Given(requestID: requestID, until: now &+ Self.lifetime))
        }
        return requestID
    }

    func contains(_ requestID: String, at now: UInt64) -> Bool {
        guard requestID.hasPrefix(RequestMetadata.diagnosticPrefix) else { return false }
        return given.withLock { $0.contains { $0.requestID == requestID && now < $0.until } }
    }

    private static func digits(_ number: UInt64) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
