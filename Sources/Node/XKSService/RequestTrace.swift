// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// What is reported of a request when it has been answered: everything that the specification wants logged, nothing
/// secret.
package struct RequestTrace: Sendable {
    package var peer = ""
    package var method = ""
    /// Nanoseconds of the monotonic clock.
    package var receivedAt: UInt64 = 0
    package var operation: XKSOperation?
    /// Path prefix of the key store.
    package var keyStore: String?
    package var externalKeyID: String?
    package var accessKeyID: String?
    package var region: String?
    package var metadata: RequestMetadata?
    /// The HSM whose answer decided.
    package var hsm: String?
    /// How many calls of HSMs were made for it.
    package var attempts = 0
    /// One of them was made beside another that was slower than usual.
    package var isHedged = false
    /// Time in the deciding HSM's library, microseconds.
    package var hsmMicroseconds: UInt64 = 0
    /// How long it waited for an HSM's lane to become free, microseconds.
    package var waitedMicroseconds: UInt64 = 0
    /// The node that passed the request on to this one, and the node that answered it for this one.
    package var forwardedBy: String?
    package var forwardedTo: String?
    package var status = 0
    package var error: XKSError.Name?
    /// Why it was refused, in words for the operator.
    package var reason: String?

    package init() {}
}

/// Informed of every request, once it has been answered.
package protocol RequestObserver: Sendable {
    /// - Parameter totalMicroseconds: from the first byte of the request to its answer.
    func answered(_ trace: RequestTrace, totalMicroseconds: UInt64)
}
