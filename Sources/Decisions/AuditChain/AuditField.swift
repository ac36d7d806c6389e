// SPDX-License-Identifier: Apache-2.0

/// What a line of the audit log can be. docs/reference/audit.md is made from it.
package enum AuditRecordKind: String, Sendable, CaseIterable {
    case begin, request, order, gap, expired, end

    /// For the reference.
    package var meaning: String {
        switch self {
        case .begin: "The first line of a segment: who writes it, and where the segment before it ended."
        case .request: "A request of KMS that was signed by a credential of the key store, when it was answered."
        case .order: "What a person has ordered: at the admin socket, or by a signal."
        case .gap: "For a time records could not be written to segments or journal, and what that has cost. Signed."
        case .expired: "Segments were removed because their time was over (`keep_days`), or their room (`keep_bytes`)."
        case .end: "The last line of a segment that was closed in order. Signed."
        }
    }

    /// The members that it may have, in order. `kind`, `time` and `node` come first, `seq`, `signature` where it is signed,
    /// and `hash` last.
    package var fields: [AuditField] {
        switch self {
        case .begin: [.version, .chain, .run, .cause, .prev, .torn, .recovered, .certificates, .publicKey]
        case .request:
            [
                .operation, .keyStore, .externalKeyID, .outcome, .status, .kmsRequestID, .principal, .kmsKeyARN,
                .kmsOperation, .viaService, .sourceVPC, .sourceVPCE, .otherMetadata, .client, .accessKeyID, .region,
                .policy, .block, .reason, .hsm, .totalMicroseconds, .hsmMicroseconds, .forwardedBy, .forwardedTo,
                .undelivered,
            ]
        case .order: [.order, .target, .by, .uid, .claimed, .pid, .status, .reason, .expiresInSeconds]
        case .gap: [.from, .to, .cause, .late, .lost, .refused]
        case .expired: [.segments, .through, .throughHash]
        case .end: [.cause, .records]
        }
    }

    package var isSigned: Bool { self == .gap || self == .end }
}

/// A member of a record. The raw value is its name; those of `requestMetadata` are AWS's.
package enum AuditField: String, Sendable, CaseIterable {
    // Of every record.
    case kind, time, node, seq, signature, hash
    // Of requests.
    case operation
    case keyStore = "keystore"
    case externalKeyID = "externalKeyId"
    case outcome, status
    case kmsRequestID = "kmsRequestId"
    case principal = "awsPrincipalArn"
    case kmsKeyARN = "kmsKeyArn"
    case kmsOperation
    case viaService = "kmsViaService"
    case sourceVPC = "awsSourceVpc"
    case sourceVPCE = "awsSourceVpce"
    case otherMetadata, client
    case accessKeyID = "accessKeyId"
    case region, policy, block, reason, hsm
    case totalMicroseconds = "total_us"
    case hsmMicroseconds = "hsm_us"
    case forwardedBy, forwardedTo, undelivered
    // Of orders.
    case order, target, by, uid, claimed, pid, expiresInSeconds
    // Of the chain itself.
    case version, chain, run, cause, prev, torn, recovered, certificates, publicKey
    case from, to, late, lost, refused
    case segments, through, throughHash, records

    /// For the reference.
    package var meaning: String {
        switch self {
        case .kind: "What the record is."
        case .time: "When it was made, UTC: of a request, when its answer was ready."
        case .node: "`node.id` of the node that wrote it."
        case .seq: "Its number in the chain, from 1, without a gap over restarts."
        case .signature: "By the key of the segment's `begin`; hexadecimal. Over what, *The chain* says."
        case .hash: "SHA-256, hexadecimal. Over what, *The chain* says."
        case .operation: "`Encrypt`, `Decrypt`, `GetKeyMetadata` or `GetHealthStatus`."
        case .keyStore: "Path prefix of the key store."
        case .externalKeyID: "External key id, as it stood in the path."
        case .outcome: "`ok`, or the exception's name."
        case .status: "HTTP status of the answer; of an order, that of the admin socket's: 200 where it was done."
        case .kmsRequestID: "Names the call in AWS CloudTrail (`requestID`)."
        case .principal: "Who called KMS."
        case .kmsKeyARN: "The KMS key."
        case .kmsOperation: "The call of KMS behind the request."
        case .viaService: "The AWS service that called for somebody."
        case .sourceVPC: "VPC that the call of KMS came from."
        case .sourceVPCE: "VPC endpoint that the call of KMS came through."
        case .otherMetadata:
            "Members of requestMetadata that this version does not know: lists of a name and its values."
        case .client: "Address and port of who has connected, as the balancer names it where it does."
        case .accessKeyID: "Of the credential that signed."
        case .region: "Region of the signature."
        case .policy: "The statement of the key store's policy that decided, by its Sid or its number."
        case .block: "Id of the block that refused the request."
        case .reason: "Why it was refused, in words; of a block, what its author wrote."
        case .hsm: "The HSM whose answer decided."
        case .totalMicroseconds: "From the first byte of the request until the answer was ready, microseconds."
        case .hsmMicroseconds: "In the deciding HSM's library, microseconds."
        case .forwardedBy:
            "The node that passed the request on to this one. It has a record too: this one is not counted."
        case .forwardedTo: "The node that answered for this one."
        case .undelivered: "`true`: the client had gone before the answer was ready."
        case .order: "The command, for example `block`, `key trust`, `reload`."
        case .target: "What it was about, for example `--key payments`."
        case .by: "User of the host, by the kernel's word (SO_PEERCRED); `signal` where a signal ordered it."
        case .uid: "That user's number."
        case .claimed: "Who the command says to be (SUDO_USER), where that is another."
        case .pid: "The process that connected."
        case .expiresInSeconds: "How long a block is to hold; left out: until it is lifted."
        case .version: "Version of the program."
        case .chain:
            "Number of the chain in its directory: 1, beyond it where several processes have written at a time."
        case .run: "Grows with each start of the node."
        case .cause:
            "`start`, `size`, `time`, `key` (the signing key is another), `removed` (the segment before, or its directory, "
                + "was removed while it was written) or `stop`; of a gap, why."
        case .prev: "`hash` of the record before, which is the last of the segment before; 64 zeros in a new chain."
        case .torn: "Bytes at the end of the segment before that are no whole record: the process ended while it wrote."
        case .recovered:
            "How many records next after this one the run before has answered for, and left in its journal when it was "
                + "killed."
        case .certificates: "The signer: the node's certificate and intermediate ones, DER, hexadecimal."
        case .publicKey: "The signer, without a cluster: its public key (SubjectPublicKeyInfo), DER, hexadecimal."
        case .from: "When the gap began."
        case .to: "When records were written again."
        case .late: "Records that were made in this time, and written when it was over; they stand before this one."
        case .lost: "Records that were never written, though their answers left (`on_full = \"continue\"`)."
        case .refused: "Requests that were answered with an error for want of a record (`on_full = \"refuse\"`)."
        case .segments: "How many were removed."
        case .through: "`seq` of the last record that was removed."
        case .throughHash: "Its `hash`."
        case .records: "How many records the segment has, this one included."
        }
    }
}
