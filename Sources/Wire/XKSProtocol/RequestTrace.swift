// SPDX-License-Identifier: Apache-2.0

/// What is reported of a request when it has been answered: what XKS 1.0.3 ("Logging") asks for, and where its time went.
///
/// Nothing secret belongs in here: no plaintext, no signature, no PIN.
package struct RequestTrace: Sendable {
    /// Address and port of the peer.
    package var peer = ""
    /// `nil` where the request's path names none.
    package var operation: XKSOperation?
    /// Path prefix of the key store.
    package var keyStore: String?
    package var externalKeyID: String?
    /// Of the credential that signed.
    package var accessKeyID: String?
    /// The region of the signature: where KMS called from.
    package var region: String?
    /// `nil` when the body could not be read so far.
    package var metadata: RequestMetadata?
    /// A command on the node's own host has made it: nothing of it counts as KMS's.
    package var isDiagnostic = false
    /// The statement of the key store's policy that decided, by its Sid or its number; `nil` where there is no policy, and
    /// where no statement is about the request.
    package var policyStatement: String?
    /// Id of the block that refused it.
    package var block: String?
    /// The HSM whose answer decided.
    package var hsm: String?
    /// How many calls of HSMs were made for it.
    package var attempts = 0
    /// One of them was made beside another that was slower than usual.
    package var isHedged = false
    /// How many of them were made because another had failed, or its patience was over.
    package var failovers = 0
    /// When its first byte was seen, CLOCK_MONOTONIC, nanoseconds.
    package var receivedAt: UInt64 = 0
    /// From the first byte of the request to its answer, microseconds.
    package var totalMicroseconds: UInt64 = 0
    /// Time in the deciding HSM's library, microseconds.
    package var hsmMicroseconds: UInt64 = 0
    /// How long it waited for an HSM's lane to become free, microseconds.
    package var waitedMicroseconds: UInt64 = 0
    /// How long peers that it was passed on to had it, microseconds.
    package var passedOnMicroseconds: UInt64 = 0
    /// The node that passed the request on to this one, and the node that answered it for this one.
    package var forwardedBy: String?
    package var forwardedTo: String?
    /// The connection was closed before the answer could be written: who asked has not got it.
    package var isUndelivered = false
    /// HTTP status; of the answer that nobody got where it is undelivered.
    package var status = 0
    /// `nil` when it was done.
    package var error: XKSError.Name?
    /// Why it was refused, in words for the operator.
    package var reason: String?
    /// What it said of itself, where it was refused before that was believed or read.
    package var refused: RefusedRequest? {
        get { if case .refused(let refused)? = boxedRefused { refused } else { nil } }
        set { boxedRefused = newValue.map(BoxedRefused.refused) }
    }
    /// What was done for it, where it is traced.
    package var recording: RequestRecording? {
        get { if case .recording(let recording)? = boxedRecording { recording } else { nil } }
        set { boxedRecording = newValue.map(BoxedRecording.recording) }
    }
    /// Rare both, and apart from the rest, so that copying a trace does not count their strings.
    private var boxedRefused: BoxedRefused?
    private var boxedRecording: BoxedRecording?

    package init() {}
}

private indirect enum BoxedRefused: Sendable {
    case refused(RefusedRequest)
}

private indirect enum BoxedRecording: Sendable {
    case recording(RequestRecording)
}

/// Informed of every request, once it has been answered.
package protocol RequestObserver: Sendable {
    func answered(_ trace: RequestTrace)
}

/// Informed of requests that the listener itself refuses, for their size, their form, or for want of room. Nobody has
/// proven who sends them, so that there may be any number.
package protocol RefusalObserver: Sendable {
    /// Whether such a request has a line of its own. To be asked once for each, before anything is kept for its line.
    ///
    /// - Parameter peer: address and port.
    func hasLine(peer: String, error: XKSError.Name) -> Bool

    /// The line of one for which `hasLine` was true.
    func refused(_ trace: RequestTrace)
}
