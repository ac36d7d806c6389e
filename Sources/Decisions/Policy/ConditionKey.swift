// SPDX-License-Identifier: Apache-2.0

/// What a condition asks for: a field of requestMetadata by its own name, or what this proxy knows of the request.
package enum ConditionKey: Sendable, Hashable {
    case awsPrincipalArn, kmsKeyArn, kmsOperation, kmsRequestId, awsSourceVpc, awsSourceVpce, kmsViaService
    /// `xks:ExternalKeyId`: the key as the request's path names it.
    case externalKeyID
    /// `xks:KeyStore`: the key store's path prefix.
    case keyStore
    /// `xks:ClientAddress`: who has connected.
    case clientAddress
    /// `xks:CurrentTime`: of this node's clock.
    case currentTime
    /// A field of requestMetadata that this version does not know.
    case other(String)

    /// All that have a name of their own, in the order in which documents list them.
    package static let known: [ConditionKey] = [
        .awsPrincipalArn, .kmsKeyArn, .kmsOperation, .kmsRequestId, .awsSourceVpc, .awsSourceVpce, .kmsViaService,
        .externalKeyID, .keyStore, .clientAddress, .currentTime,
    ]

    package var name: String {
        switch self {
        case .awsPrincipalArn: "awsPrincipalArn"
        case .kmsKeyArn: "kmsKeyArn"
        case .kmsOperation: "kmsOperation"
        case .kmsRequestId: "kmsRequestId"
        case .awsSourceVpc: "awsSourceVpc"
        case .awsSourceVpce: "awsSourceVpce"
        case .kmsViaService: "kmsViaService"
        case .externalKeyID: "xks:ExternalKeyId"
        case .keyStore: "xks:KeyStore"
        case .clientAddress: "xks:ClientAddress"
        case .currentTime: "xks:CurrentTime"
        case .other(let name): name
        }
    }

    /// For documents and `explain`.
    package var meaning: String {
        switch self {
        case .awsPrincipalArn:
            "who called KMS: the ARN of a user or role (of a role, not of its session), a service principal, or "
                + "`AWS Internal`"
        case .kmsKeyArn: "the KMS key; absent for `xks:GetKeyMetadata`"
        case .kmsOperation: "the call of KMS behind the request, such as `GenerateDataKey`"
        case .kmsRequestId: "the id of that call in CloudTrail"
        case .awsSourceVpc:
            "the VPC from whose endpoint KMS was called; present only then, and only where the caller's account owns the "
                + "KMS key"
        case .awsSourceVpce: "the VPC endpoint by which KMS was called; present as `awsSourceVpc` is"
        case .kmsViaService: "the AWS service that called KMS for somebody; absent for `xks:GetKeyMetadata`"
        case .externalKeyID: "the external key id in the request's path"
        case .keyStore: "the key store's `path_prefix`"
        case .clientAddress: "the address that has connected to this proxy: KMS's, or what a balancer tells"
        case .currentTime: "the time by this node's clock"
        case .other: "a field of requestMetadata that this version does not know"
        }
    }

    /// There is no such key.
    struct Flaw: Error, Equatable {
        /// What to write instead.
        let mend: String
    }

    init(_ name: String) throws(Flaw) {
        if let known = Self.known.first(where: { $0.name == name }) {
            self = known
            return
        }
        let lower = name.lowercased()
        if let known = Self.known.first(where: { $0.name.lowercased() == lower }) {
            throw Flaw(mend: "write \(known.name): names are told apart by case")
        }
        if let name = Self.instead[lower] { throw Flaw(mend: name) }
        guard !name.contains(":") else {
            throw Flaw(
                mend: "use a field of requestMetadata by its name, or xks:ExternalKeyId, xks:KeyStore, "
                    + "xks:ClientAddress, xks:CurrentTime")
        }
        let isName = name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
            default: false
            }
        }
        guard isName, (1...PolicyLimits.keyCharacters).contains(name.utf8.count) else {
            throw Flaw(mend: "a field of requestMetadata has 1 to \(PolicyLimits.keyCharacters) of A-Z a-z 0-9 - . _")
        }
        self = .other(name)
    }

    /// What IAM calls by another name, in lower case, and what to write here.
    private static let instead: [String: String] = [
        "aws:principalarn": "write awsPrincipalArn",
        "aws:principalaccount": "write ArnLike on awsPrincipalArn, \"arn:aws:iam::ACCOUNT:*\"",
        "aws:sourcevpc": "write awsSourceVpc",
        "aws:sourcevpce": "write awsSourceVpce",
        "aws:sourceip":
            "KMS does not tell its caller's address; xks:ClientAddress is the address that connects to this proxy",
        "aws:currenttime": "write xks:CurrentTime",
        "aws:epochtime": "write xks:CurrentTime",
        "kms:viaservice": "write kmsViaService",
        "kms:calleraccount": "write ArnLike on awsPrincipalArn, \"arn:aws:iam::ACCOUNT:*\"",
    ]
}
