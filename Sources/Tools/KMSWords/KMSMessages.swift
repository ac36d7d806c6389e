// SPDX-License-Identifier: Apache-2.0

extension KMSWord {
    /// Sentences that KMS's callers are told. The exception is nearly always the same, so the sentence decides.
    static let messages: [KMSWord] = answeredMessages + unansweredMessages + ownMessages

    static let failed = "the request's line: `kmsRequestId` is CloudTrail's `requestID`"

    /// The node answered, and KMS translated the error name.
    private static let answeredMessages: [KMSWord] = [
        KMSWord(
            "not-authenticated", .messages, names: ["AuthenticationFailedException"],
            sentences: [
                "The external key store proxy rejected the request because it could not authenticate AWS KMS. Verify the "
                    + "credentials for your external key store and update if necessary."
            ],
            exceptions: anyOperation + ["XksProxyIncorrectAuthenticationCredentialException"],
            meaning: "The signature was refused: another credential, a request that was changed on its way, or a clock "
                + "that is minutes off.",
            answer: "401 `AuthenticationFailedException`.",
            look: [
                "log: `authentication` has the reason in one word ([authentication](../reference/authentication.md)), "
                    + "`claimedRequestId` is CloudTrail's `requestID`, `host` and `path` are what the signature covers",
                "`claviger keystore list`: which access key ids the key store has, and when each was last used",
                "condition `clock-off`",
            ],
            node: [
                "`unknown-access-key-id`: add the credential that KMS signs with, on every node, and `claviger reload`.",
                "`signature-mismatch`: compare the secret; else find what rewrites `Host` or the path on the way.",
                "`clock-skew`: synchronize the clock.",
            ],
            aws: [
                "Give KMS the right credential: `aws kms update-custom-key-store --custom-key-store-id … "
                    + "--xks-proxy-authentication-credential file://credential.json`. The key store may stay connected."
            ]),
        KMSWord(
            "invalid-path", .messages, names: ["InvalidUriPathException"],
            sentences: [
                "The external key store proxy rejected the request because of an invalid URI path. Verify the URI path for "
                    + "your external key store and update if necessary."
            ],
            exceptions: anyOperation + ["XksProxyInvalidConfigurationException"],
            nodeSays: ["there is no key store under this path prefix", "the API has no such path"],
            meaning: "No key store of the node has the path that KMS asks for.",
            answer: "404 `InvalidUriPathException`.",
            look: [
                "log: `path` is what came, `nearestPath` the key store that is most like it",
                "`claviger check --config FILE`: the path prefixes that the file names",
            ],
            node: [
                "The right path is `path_prefix` and `/kms/xks/v1` behind it. Something that shortens or rewrites paths on the "
                    + "way must not.",
                "Where one node alone lacks the key store: condition `configuration-differs`.",
            ],
            aws: [
                "`aws kms update-custom-key-store --custom-key-store-id … --xks-proxy-uri-path /PREFIX/kms/xks/v1`. The key "
                    + "store may stay connected."
            ]),
        KMSWord(
            "key-not-found", .messages, names: ["KeyNotFoundException"],
            sentences: [
                "The external key store proxy rejected the request because it could not find the external key.",
                "The external key associated with this KMS key in an external key store was not found in its external key "
                    + "manager. If the external key ID associated with this KMS key is incorrect, create a new KMS key with "
                    + "the correct external key ID.",
            ],
            exceptions: ["KMSInvalidStateException", "XksKeyNotFoundException"],
            nodeSays: [
                "this key store serves no key of this id",
                "every HSM that can be asked says that it has no key of this id",
            ],
            meaning: "Every HSM and every node that could know of the key say that it is not there, and nobody ever "
                + "proved it; or no key store offers the id.",
            answer: "404 `KeyNotFoundException`. A key that was proven once and is missing now gets 500 instead.",
            look: [
                failed,
                "`claviger status`: the key's row says whether the object is there, and is one of another kind. No row: no key "
                    + "store names it",
                "`claviger hsm list MODULE --token LABEL --pin-file FILE`: what the token shows",
            ],
            node: [
                "The id must be in `keys` of the `[[keystore]]`, as a PKCS#11 label, a pattern, or `{ id = \"…\", label = \"…\" }`; "
                    + "then `claviger reload` on every node.",
                "If the key was deleted in the HSMs: bring it back from their backup, under the same label.",
            ],
            aws: [
                "A KMS key keeps its external key id for ever. If it was wrong from the start and nothing was encrypted, "
                    + "schedule the KMS key's deletion and create another. Another KMS key cannot decrypt what this one "
                    + "encrypted."
            ]),
        KMSWord(
            "key-not-enabled", .messages, names: ["InvalidStateException"],
            sentences: [
                "The external key store proxy rejected the request because the external key is not enabled in the external "
                    + "key manager.",
                "The external key associated with this KMS key in an external key store is not enabled in the external key "
                    + "manager. Enable the external key in the external key manager and retry the request.",
            ],
            exceptions: ["KMSInvalidStateException", "XksKeyInvalidConfigurationException"],
            nodeSays: ["the key is outside its CKA_START_DATE and CKA_END_DATE"],
            meaning:
                "You, or the node for you, refuse the key: it is blocked, disputed, held under another value, or outside "
                + "its dates; or the node does not know what is blocked.",
            answer: "400 `InvalidStateException`.",
            look: [
                failed + ", `reason` names the block",
                "`claviger blocks`", "conditions `key-disputed`, `key-different`, `blocks-unknown`",
            ],
            node: [
                "A block: `claviger unblock --id ID`, once whoever gave it agrees ([break glass](break-glass.md)).",
                "A disputed key: decide by your own records, then `claviger key trust KEY --hsm NAME`.",
                "A lost list of blocks: it comes from the first peer; where no node has one, [restoring](restore.md).",
            ],
            aws: ["Nothing. Callers may try again once the node serves the key."]),
        KMSWord(
            "key-usage", .messages, names: ["InvalidKeyUsageException"],
            sentences: [
                "The external key store proxy rejected the request because the external key does not support the requested "
                    + "operation.",
                "The external key associated with this KMS key in an external key store does not support the requested "
                    + "operation. Enable the operation on the key in your external key manager, and try the request again.",
            ],
            exceptions: ["KMSInvalidStateException", "XksKeyInvalidConfigurationException"],
            nodeSays: ["the key does not allow Decrypt, without which", "the key does not allow"],
            meaning: "The key's attributes in the HSMs forbid the operation.",
            answer: "400 `InvalidKeyUsageException`.",
            look: ["condition `key-odd`", "`claviger status`: what is odd about the key"],
            node: [
                "Correct CKA_ENCRYPT and CKA_DECRYPT in the HSMs; a new catalogue is read within a minute. KMS wants both."
            ],
            aws: ["Nothing."]),
        KMSWord(
            "ciphertext-refused", .messages, names: ["InvalidCiphertextException"],
            sentences: [
                "The external key store proxy rejected the request because the specified ciphertext or additional "
                    + "authenticated data is corrupted, missing, or otherwise invalid.",
                "The external key store proxy rejected the request because the specified ciphertext or encryption context is "
                    + "corrupted, missing, or otherwise invalid.",
            ],
            exceptions: ["KMSInvalidStateException"],
            nodeSays: [
                "ciphertext, initializationVector, authenticationTag, additional data and key do not belong together"
            ],
            meaning:
                "Each of two HSMs that are well refused the ciphertext twice, and each opened something that the key "
                + "once encrypted: it is not for this key, or it was changed.",
            answer:
                "400 `InvalidCiphertextException`, which KMS takes as final and does not count against reliability.",
            look: [
                failed + "; `hsm`, `attempts`",
                "is it one ciphertext, or all of a key? All: condition `key-contested` or `key-disputed`, and the log's "
                    + "`KEY DIFFERS`, `KEY SWAPPED`",
                "ciphertext of AWS's reference proxy: [the digest form of the AAD](../reference/ciphertext.md)",
            ],
            node: [
                "One ciphertext: nothing. Look for where it was stored or copied.",
                "All of a key, since a date: the key behind the label was changed. Bring the former one back.",
            ],
            aws: [
                "The caller's encryption context must be the same as for encryption. Try once more: a bit may have been "
                    + "lost on the way."
            ]),
        KMSWord(
            "access-denied", .messages, names: ["AccessDeniedException"],
            sentences: [
                "The external key store proxy denied access to the operation. Verify that the user and the external key are "
                    + "both authorized for this operation, and try the request again."
            ],
            exceptions: anyOperation, nodeSays: ["the policy of the external key store does not allow this"],
            meaning: "The key store's policy does not allow it.",
            answer: "403 `AccessDeniedException`.",
            look: [
                "log: `policy` names the statement that denied it; without it `reason` says that none allowed it",
                "`claviger policy explain --policy FILE --request FILE`",
            ],
            node: [
                "Change the policy on every node, `claviger policy check FILE`, then `claviger reload` "
                    + "([policies](policies.md))."
            ],
            aws: [
                "Nothing: KMS's own policies have allowed it already. An AccessDeniedException of KMS itself, with a text about "
                    + "an action and an identity, is about KMS's policies, and never came to a node."
            ]),
        KMSWord(
            "unsupported", .messages, names: ["UnsupportedOperationException", "XksKeyInvalidResponseException"],
            sentences: [
                "The external key store proxy rejected the request because it does not support the requested operation. If "
                    + "you see this error repeatedly, report it to your external key store proxy administrator.",
                "The external key store proxy rejected the request because it does not support the requested cryptographic "
                    + "operation.",
            ],
            exceptions: anyOperation,
            nodeSays: ["the limit of this proxy", "method not allowed: every operation of this API is a POST"],
            meaning:
                "Plaintext, ciphertext or AAD are larger than this node takes, or the request was no POST. KMS's own "
                + "requests stay far below every limit.",
            answer: "501 `UnsupportedOperationException`; 405 where the method was not POST.",
            look: [failed + ", `reason` names the field and the limit"],
            node: ["Look who sends it: `peer`, `accessKeyID`. It is hardly KMS."],
            aws: ["Nothing."]),
        KMSWord(
            "out-of-time", .messages, names: ["DependencyTimeoutException"],
            sentences: [
                "The external key store proxy did not respond to the request in the time allotted. Retry the request. If you "
                    + "see this error repeatedly, report it to your external key store proxy administrator."
            ],
            exceptions: anyOperation + ["XksProxyUriUnreachableException"],
            nodeSays: [
                "no HSM could be asked in time: the request came too late",
                "no HSM answered in time: no lane of one became free", "no HSM answered in time",
                "no HSM answered in time, and the budget for further attempts is spent",
            ],
            meaning: "The node's deadline passed (`xks.request_deadline`) before an HSM had answered.",
            answer: "503 `DependencyTimeoutException`, in time for KMS to read it.",
            look: [
                failed
                    + "; `reason` says what was short: the time that was left, a lane, an answer; `hsm_us`, `waited_us`, "
                    + "`total_us`",
                "`claviger status`: HSMs that are degraded, their p99, condition `hsms-too-slow`; `claviger status --requests`",
                "metrics `claviger_hsm_duration_seconds`, `claviger_hsm_longest_wait_seconds`",
            ],
            node: [
                "One HSM is slow or hangs: `claviger hsm drain NAME`, then look at it.",
                "All are busy: more sessions or HSMs ([capacity](capacity.md)).",
            ],
            aws: ["KMS's callers may try again at once. If it lasts, ask for a lower quota, so that KMS refuses early."]
        ),
        KMSWord(
            "too-many-requests", .messages, names: ["ThrottlingException"],
            sentences: [
                "The external key store proxy rejected the request due to a very high request rate. Reduce the frequency of "
                    + "your calls using KMS keys in this external key store."
            ],
            exceptions: anyOperation + ["XksProxyUriUnreachableException"],
            nodeSays: [
                "no lane of an HSM becomes free in time: more is asked than the HSMs can do",
                "the external key store has more requests than its quota allows",
                "the principal has more requests than the quota of the external key store allows",
            ],
            meaning:
                "More is asked than the HSMs can do in time, or than the key store's quota or the principal's allows.",
            answer: "429 `ThrottlingException`.",
            look: [
                failed + "; `reason` says which limit", "condition `overloaded`",
                "`claviger status`: `calls/s` beside `can do/s`",
            ],
            node: [
                "The HSMs: more sessions, HSMs or nodes ([capacity](capacity.md)).",
                "A quota: `requests_per_second`, `principal_requests_per_second` ([quotas](quotas.md)).",
            ],
            aws: [
                "Where the HSMs cannot carry KMS's 1,800 requests a second, ask AWS by a support case to lower the key "
                    + "store's quota. AWS's metric `ExternalKeyStoreThrottle` does not count this answer."
            ]),
        KMSWord(
            "no-hsm", .messages, names: ["InternalException"],
            sentences: [
                "The external key store proxy rejected the request because it cannot communicate with the external key "
                    + "manager. Verify that the external key store proxy configuration is correct and that the external key "
                    + "manager is available.",
                "The external key store proxy is in an unhealthy state. If you see this message repeatedly, notify your "
                    + "external key store proxy administrator.",
            ],
            exceptions: anyOperation + ["XksProxyInvalidResponseException", "XksProxyUriUnreachableException"],
            nodeSays: [
                "no HSM can do this at the moment", "the HSMs that held this key say that they have it no more",
                "this node serves no key of this id, and",
                "this node has no key store under this path prefix, and another",
                "an HSM's answer was empty", "an HSM called its own input invalid", "no HSM here opens this",
                "the ciphertext just made does not decrypt; it was not handed out",
            ],
            meaning:
                "No HSM could do it, nor another node; or the key is known and no HSM lists it at the moment; or nodes "
                + "disagree about their configuration.",
            answer: "500 `InternalException`.",
            look: [
                failed + "; `reason`",
                "`claviger status`, `claviger cluster status`: conditions `no-hsm-serves`, `no-key-served`, `key-unserved`, "
                    + "`key-contested`, `configuration-differs`",
            ],
            node: [
                "Follow the condition's mend ([conditions](../reference/conditions.md)), and the HSM's reason "
                    + "([states](../reference/hsm-states.md)).",
                "A key that is gone for good: `claviger key forget KEY`; from then on it is 404.",
            ],
            aws: ["KMS's callers may try again. Do not disconnect the key store: it comes back by itself."]),
        KMSWord(
            "answer-unreadable", .messages, names: ["ValidationException"],
            sentences: [
                "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, "
                    + "report it to your external key store proxy administrator."
            ],
            exceptions: anyOperation + ["XksProxyInvalidResponseException"],
            nodeSays: ["is larger than", "must be 12 or 16 bytes long", "must be 16 bytes long"],
            meaning:
                "Something other than a node answered, for example a load balancer's error page; or the node called the "
                + "request malformed.",
            answer:
                "400, 408, 413, 417 or 431 `ValidationException`, or nothing: then no line of the log has the request.",
            look: [
                "log: a line with the `requestID` as `kmsRequestId` or `claimedRequestId`, and its `reason`",
                "no line: the load balancer's own log, at that second",
                "`curl --verbose https://HOST/PREFIX/kms/xks/v1/health`: a node answers 405 and JSON",
            ],
            node: [
                "A balancer in HTTP mode must pass bodies of 64 KiB, and answer for no node "
                    + "([load balancers](load-balancers.md)).",
                "A ValidationException to KMS itself is a defect: report it with the line of the log.",
            ],
            aws: ["Nothing."]),
    ]
}
