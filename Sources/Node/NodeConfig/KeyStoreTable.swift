// SPDX-License-Identifier: Apache-2.0

/// `[[keystore]]`: one endpoint for KMS, with keys and credentials of its own.
package struct KeyStoreSettings: Sendable, Equatable {
    /// One entry of `keys`.
    package enum KeySelector: Sendable, Hashable {
        /// The key of this CKA_LABEL, which is its external key id as well.
        case label(String)
        /// Every key whose label the pattern matches (`*` any characters, `?` one); the label is the external key id.
        case glob(String)
        /// The key of this CKA_LABEL, under another external key id.
        case named(id: String, label: String)
    }

    /// What KMS signs its requests with.
    package struct Credential: Sendable, Equatable {
        package var accessKeyID: String
        package var secret: SecretSource

        package init(accessKeyID: String, secret: SecretSource) {
            self.accessKeyID = accessKeyID
            self.secret = secret
        }
    }

    /// How the AAD of ciphertext without Claviger's mark was made, that is of another proxy's.
    package enum AADForm: String, Sendable, CaseIterable {
        /// As XKS 1.0.3 says, the AAD itself.
        case specification = "spec"
        /// Its SHA-256, as the AWS reference proxy does.
        case digest
    }

    /// A limit of requests, of all nodes of a cluster together.
    package struct Rate: Sendable, Equatable {
        /// Requests a second; 1 to 1,000,000.
        package var perSecond: Int
        /// Requests at once; 1 to 1,000,000.
        package var burst: Int

        package init(perSecond: Int, burst: Int) {
            self.perSecond = perSecond
            self.burst = burst
        }
    }

    /// Empty, or `/…` without a slash at the end; what stands before `/kms/xks/v1`.
    package var pathPrefix: String
    /// At least one.
    package var keys: [KeySelector]
    /// At least one; access key ids differ.
    package var credentials: [Credential]
    /// Names of HSMs, all of them configured; `nil` for all.
    package var hsms: [String]?
    /// Regions whose signatures are taken; `nil` for any.
    package var regions: [String]?
    package var aad: AADForm
    /// Absolute path of the policy's file; `nil` where everything is allowed.
    package var policy: String?
    /// Of all requests; `nil` for no limit.
    package var rate: Rate?
    /// Of each principal's requests; `nil` for no limit.
    package var principalRate: Rate?
    /// Whether the audit log, where there is one, has requests that succeeded, too.
    package var auditsSuccesses: Bool

    package init(
        pathPrefix: String, keys: [KeySelector], credentials: [Credential], hsms: [String]? = nil,
        regions: [String]? = nil, aad: AADForm = .specification, policy: String? = nil, rate: Rate? = nil,
        principalRate: Rate? = nil, auditsSuccesses: Bool = true
    ) {
        self.pathPrefix = pathPrefix
        self.keys = keys
        self.credentials = credentials
        self.hsms = hsms
        self.regions = regions
        self.aad = aad
        self.policy = policy
        self.rate = rate
        self.principalRate = principalRate
        self.auditsSuccesses = auditsSuccesses
    }
}

enum KeyStoreKeys {
    static let pathPrefix = ConfigurationKey(
        "path_prefix", "string, at most 117 of `A-Z a-z 0-9 / - _`", standard: "required",
        "What stands before `/kms/xks/v1` in the key store's URI path; `\"\"` for nothing. No two key stores may share "
            + "one.")
    static let keys = ConfigurationKey(
        "keys", "list of strings and tables", standard: "required",
        "Which keys of the HSMs the key store offers: a PKCS#11 label, which is the external key id too; a pattern of "
            + "labels with `*` and `?`; or a table, see below.",
        cost: "A wide pattern offers whatever key is made next under such a label.")
    static let credentials = ConfigurationKey(
        "credentials", "list of tables", standard: "required",
        "What KMS may sign with, see below. Two, while one is replaced by the other.")
    static let hsms = ConfigurationKey(
        "hsms", "list of strings", standard: "none: all HSMs", "The HSMs that may serve the key store, by name.")
    static let regions = ConfigurationKey(
        "regions", "list of strings", standard: "none: any region",
        "AWS regions whose KMS may use the key store, for example `[\"eu-central-1\"]`; the signature names one.")
    static let aad = ConfigurationKey(
        "aad", "`\"spec\"` or `\"digest\"`", standard: "\"spec\"",
        "How to open ciphertext that Claviger did not make: `spec` for proxies that follow the specification, `digest` "
            + "for the AWS reference proxy. What Claviger makes has the form `spec`, whatever stands here.")
    static let policy = ConfigurationKey(
        "policy", "path", standard: "none: everything is allowed",
        "A file with the key store's policy: who may use which key for what, in the language of IAM's policies "
            + "([policies](policy.md)). Nothing else is allowed then. At most 1 MiB; read again by a reload.",
        cost: "Less than a microsecond of each request; every node must have the same.")

    static let rates = 1...1_000_000
    private static let rateType = "integer, \(rates.lowerBound) to \(rates.upperBound)"
    static let requestsPerSecond = ConfigurationKey(
        "requests_per_second", rateType, standard: "none: no limit",
        "How many requests a second the key store answers, at all nodes of a cluster together; GetHealthStatus does not "
            + "count. What is over it is refused with ThrottlingException, fairly among the principals "
            + "([quotas](../guides/quotas.md)). KMS itself asks at most 1800 times a second for one key store unless AWS "
            + "has raised that.",
        cost: "Half a microsecond of each request; every node must have the same.")
    static let burst = ConfigurationKey(
        "burst", rateType, standard: "requests_per_second",
        "How many requests may come at once after a pause.",
        cost: "The HSMs must be able to take as many at once.")
    static let principalRequestsPerSecond = ConfigurationKey(
        "principal_requests_per_second", rateType, standard: "none: no limit",
        "The same for each principal (`awsPrincipalArn`) of the key store. 10000 principals are told apart; those beyond "
            + "share one limit.",
        cost: "Half a microsecond of each request; every node must have the same.")
    static let principalBurst = ConfigurationKey(
        "principal_burst", rateType, standard: "principal_requests_per_second",
        "How many requests of one principal may come at once after a pause.")
    static let auditWords = ["all", "failures"]
    static let audit = ConfigurationKey(
        "audit", "`\"all\"` or `\"failures\"`", standard: "\"all\"",
        "Which of the key store's authenticated requests the audit log has, where there is an `[audit]`: all, or those only "
            + "that got an error.",
        cost: "With `failures` nobody can say from the log who has used a key.")
    static let all = [
        pathPrefix, keys, credentials, hsms, regions, aad, policy, requestsPerSecond, burst, principalRequestsPerSecond,
        principalBurst, audit,
    ]
}

/// The keys of a table in `keystore.keys`.
enum KeyEntryKeys {
    static let id = ConfigurationKey(
        "id", "string, 1 to 128 of `A-Z a-z 0-9 . _ -`", standard: "required",
        "The external key id: what is entered in the KMS console.")
    static let label = ConfigurationKey(
        "label", "string, 1 to 255 bytes", standard: "required", "The key's PKCS#11 label (CKA_LABEL).")
    static let all = [id, label]
}

/// The keys of a table in `keystore.credentials`.
enum CredentialKeys {
    static let accessKeyID = ConfigurationKey(
        "access_key_id", "string, 20 to 30 of `A-Z 2-7`", standard: "required",
        "The access key id, as entered in the KMS console.")
    static let secret = ConfigurationKey(
        "secret", "secret", standard: "required",
        "Where the secret access key is to be had (43 to 64 of `A-Z a-z 0-9 + / =`), see \"Secrets\" below.")
    static let all = [accessKeyID, secret]
}
