// SPDX-License-Identifier: Apache-2.0

/// What a node is at for KMS at the moment, and what took longest lately. Nothing secret is in it. Told at the admin socket
/// only.
package struct RequestsReport: Sendable, Equatable, Codable {
    /// Most requests under way that are named, the oldest first.
    package static let mostUnderWay = 1_000
    /// Most of the slowest that are named.
    package static let mostSlowest = 20

    /// A request that has not been answered.
    package struct UnderWay: Sendable, Equatable, Codable {
        /// What has it.
        package enum Place: String, Sendable, Codable {
            /// `hsms` are at it.
            case hsm
            /// It waits for a lane of an HSM.
            case waiting
            /// Its ciphertext was refused, and that is being looked into.
            case checking
            /// `peer` was passed it on.
            case peer
        }

        package var kmsRequestId: String?
        /// As AWS names it; `nil` where the path names none.
        package var operation: String?
        package var keyStore: String
        /// The external key id.
        package var key: String?
        package var sinceUnixMilliseconds: Int64
        package var ageMicroseconds: UInt64
        package var place: Place
        package var hsms: [String]
        package var peer: String?
        /// Calls of HSMs that were made for it.
        package var attempts: Int
        /// The node that has passed it on to this one.
        package var forwardedBy: String?

        package init(
            kmsRequestId: String?, operation: String?, keyStore: String, key: String?, sinceUnixMilliseconds: Int64,
            ageMicroseconds: UInt64, place: Place, hsms: [String] = [], peer: String? = nil, attempts: Int = 0,
            forwardedBy: String? = nil
        ) {
            self.kmsRequestId = kmsRequestId
            self.operation = operation
            self.keyStore = keyStore
            self.key = key
            self.sinceUnixMilliseconds = sinceUnixMilliseconds
            self.ageMicroseconds = ageMicroseconds
            self.place = place
            self.hsms = hsms
            self.peer = peer
            self.attempts = attempts
            self.forwardedBy = forwardedBy
        }
    }

    /// A request that was answered, and where its time went.
    package struct Slow: Sendable, Equatable, Codable {
        package var kmsRequestId: String?
        package var operation: String?
        package var keyStore: String
        package var key: String?
        /// How long ago it was answered.
        package var endedMicrosecondsAgo: UInt64
        package var totalMicroseconds: UInt64
        /// It waited for an HSM's lane to become free.
        package var waitedMicroseconds: UInt64
        /// In the library of the HSM that decided.
        package var hsmMicroseconds: UInt64
        /// Peers had it.
        package var peerMicroseconds: UInt64
        /// The HSM that decided, and how many calls of HSMs were made.
        package var hsm: String?
        package var attempts: Int
        package var hedged: Bool
        package var forwardedTo: String?
        package var forwardedBy: String?
        /// `ok`, the exception's name, or `undelivered`.
        package var outcome: String

        package init(
            kmsRequestId: String?, operation: String?, keyStore: String, key: String?, endedMicrosecondsAgo: UInt64,
            totalMicroseconds: UInt64, waitedMicroseconds: UInt64, hsmMicroseconds: UInt64, peerMicroseconds: UInt64,
            hsm: String?, attempts: Int, hedged: Bool, forwardedTo: String?, forwardedBy: String?, outcome: String
        ) {
            self.kmsRequestId = kmsRequestId
            self.operation = operation
            self.keyStore = keyStore
            self.key = key
            self.endedMicrosecondsAgo = endedMicrosecondsAgo
            self.totalMicroseconds = totalMicroseconds
            self.waitedMicroseconds = waitedMicroseconds
            self.hsmMicroseconds = hsmMicroseconds
            self.peerMicroseconds = peerMicroseconds
            self.hsm = hsm
            self.attempts = attempts
            self.hedged = hedged
            self.forwardedTo = forwardedTo
            self.forwardedBy = forwardedBy
            self.outcome = outcome
        }

        /// What is left: the network to client and worker, the node itself, calls that failed before the one that decided.
        package var otherMicroseconds: UInt64 {
            let known = waitedMicroseconds &+ hsmMicroseconds &+ peerMicroseconds
            return totalMicroseconds > known ? totalMicroseconds - known : 0
        }
    }

    package var node: String
    /// Requests that have not been answered. More than are named where there are very many, and where it is not yet known
    /// who sends them.
    package var inFlight: Int
    package var underWay: [UnderWay]
    /// Of the last minute.
    package var slowest: [Slow]

    package init(node: String, inFlight: Int, underWay: [UnderWay], slowest: [Slow]) {
        self.node = node
        self.inFlight = inFlight
        self.underWay = underWay
        self.slowest = slowest
    }
}
