// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import XKSProtocol

extension RecordText {
    /// The record of a request. Nothing in a trace is secret: no plaintext, no ciphertext, no signature.
    ///
    /// - Parameter time: when its answer was ready.
    package init(_ trace: RequestTrace, at time: AuditTime, node: String) {
        self.init(.request, at: time, node: node, capacity: 896)
        add(.operation, trace.operation?.rawValue ?? "unknown")
        add(.keyStore, trace.keyStore)
        add(.externalKeyID, trace.externalKeyID)
        add(.outcome, trace.error?.rawValue ?? "ok")
        add(.status, trace.status)
        let metadata = trace.metadata
        // What the body says is as good as proven: the signature that covers it was.
        add(.kmsRequestID, metadata?.kmsRequestId ?? trace.refused?.requestID)
        add(.principal, metadata?.awsPrincipalArn)
        add(.kmsKeyARN, metadata?.kmsKeyArn)
        add(.kmsOperation, metadata?.kmsOperation)
        add(.viaService, metadata?.kmsViaService)
        add(.sourceVPC, metadata?.awsSourceVpc)
        add(.sourceVPCE, metadata?.awsSourceVpce)
        if let others = metadata?.others, !others.isEmpty {
            add(.otherMetadata, others.map { [$0.name] + $0.values })
        }
        add(.client, trace.peer)
        add(.accessKeyID, trace.accessKeyID)
        add(.region, trace.region)
        add(.policy, trace.policyStatement)
        add(.block, trace.block)
        add(.reason, trace.reason)
        add(.hsm, trace.hsm)
        add(.totalMicroseconds, trace.totalMicroseconds)
        if trace.hsm != nil { add(.hsmMicroseconds, trace.hsmMicroseconds) }
        add(.forwardedBy, trace.forwardedBy)
        add(.forwardedTo, trace.forwardedTo)
        add(.undelivered, ifTrue: trace.isUndelivered)
    }

    package init(_ order: AuditedOrder, at time: AuditTime, node: String) {
        self.init(.order, at: time, node: node)
        add(.order, order.words)
        add(.target, order.target)
        add(.by, order.user)
        if let uid = order.uid { add(.uid, uid) }
        add(.claimed, order.claimedUser)
        if let pid = order.pid { add(.pid, pid) }
        add(.status, order.status)
        add(.reason, order.reason)
        if let seconds = order.expiresInSeconds { add(.expiresInSeconds, seconds) }
    }

    package init(_ begin: SegmentBegin, at time: AuditTime, node: String) {
        self.init(.begin, at: time, node: node, capacity: 4_096)
        add(.version, begin.version)
        add(.chain, begin.chain)
        add(.run, begin.run)
        add(.cause, begin.cause.rawValue)
        add(.prev, begin.previousHash)
        if begin.tornBytes > 0 { add(.torn, begin.tornBytes) }
        if begin.recovered > 0 { add(.recovered, begin.recovered) }
        if !begin.signer.certificates.isEmpty { add(.certificates, begin.signer.certificates) }
        add(.publicKey, begin.signer.publicKey)
    }

    /// - Parameter records: in the segment, with this one.
    package init(endOf cause: SegmentCause, records: UInt64, at time: AuditTime, node: String) {
        self.init(.end, at: time, node: node)
        add(.cause, cause.rawValue)
        add(.records, records)
    }

    package init(_ gap: AuditGap, from: AuditTime, to: AuditTime, node: String) {
        self.init(.gap, at: to, node: node)
        add(.from, from.text)
        add(.to, to.text)
        add(.cause, gap.cause)
        add(.late, gap.late)
        add(.lost, gap.lost)
        add(.refused, gap.refused)
    }

    package init(expired: ExpiredSegments, at time: AuditTime, node: String) {
        self.init(.expired, at: time, node: node)
        add(.segments, expired.count)
        add(.through, expired.through)
        add(.throughHash, expired.hash)
    }
}

/// What a person has ordered, and who it was.
package struct AuditedOrder: Sendable, Equatable {
    /// The command, without what it is about.
    package var words: String
    package var target: String?
    /// By the kernel's word.
    package var user: String
    package var uid: UInt32?
    /// Who the command says to be; `nil` where it says nothing else.
    package var claimedUser: String?
    package var pid: Int32?
    package var status: Int
    package var reason: String?
    package var expiresInSeconds: Int64?

    package init(
        words: String, target: String? = nil, user: String, uid: UInt32? = nil, claimedUser: String? = nil,
        pid: Int32? = nil, status: Int, reason: String? = nil, expiresInSeconds: Int64? = nil
    ) {
        self.words = words
        self.target = target
        self.user = user
        self.uid = uid
        self.claimedUser = claimedUser
        self.pid = pid
        self.status = status
        self.reason = reason
        self.expiresInSeconds = expiresInSeconds
    }
}

/// Why a segment was begun or closed.
package enum SegmentCause: String, Sendable, CaseIterable {
    case start, size, time, key, stop
    /// The one before it, or its directory, was removed while it was written.
    case removed
}

/// What the first record of a segment says.
package struct SegmentBegin: Sendable, Equatable {
    package var version: String
    package var chain: Int
    package var run: UInt64
    package var cause: SegmentCause
    package var previousHash: String
    package var tornBytes: Int
    /// Records next after this one that the process before has left in its journal.
    package var recovered: Int
    package var signer: AuditSigner

    package init(
        version: String, chain: Int, run: UInt64, cause: SegmentCause, previousHash: String, tornBytes: Int,
        recovered: Int = 0, signer: AuditSigner
    ) {
        self.version = version
        self.chain = chain
        self.run = run
        self.cause = cause
        self.previousHash = previousHash
        self.tornBytes = tornBytes
        self.recovered = recovered
        self.signer = signer
    }
}

/// Segments that were removed because their time was over: all up to a record.
package struct ExpiredSegments: Sendable, Equatable {
    package var count: Int
    package var through: UInt64
    package var hash: String

    package init(count: Int, through: UInt64, hash: String) {
        self.count = count
        self.through = through
        self.hash = hash
    }
}
