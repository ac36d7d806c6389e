// SPDX-License-Identifier: Apache-2.0

extension KMSWord {
    /// Nothing of use came back to KMS.
    static let unansweredMessages: [KMSWord] = [
        KMSWord(
            "no-connection", .messages, names: ["XksProxyUnreachableException"],
            sentences: [
                "AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue. If "
                    + "you see this error repeatedly, verify that your external key store proxy is active and is connected to "
                    + "the network, and that its endpoint URI is correct in your external key store.",
                "AWS KMS cannot communicate with the external key store proxy. Verify that your external key store proxy is "
                    + "active and is connected to the network, and that its URI path and endpoint URI or VPC service name are "
                    + "correct in your external key store.",
            ],
            exceptions: anyOperation + ["XksProxyUriUnreachableException"],
            meaning: "KMS got no TCP connection. It dials port 443 over IPv4, and nothing else.",
            answer: "Nothing came to a node.",
            look: [
                "the load balancer: how many targets are healthy, and since when",
                "`/readyz` of each node; `claviger cluster status`",
                "`claviger status`, table of listeners: `closed for room`, `turned away`; log: `turned away`",
            ],
            node: [
                "All nodes unready: conditions say why. One node: take it out of the balancer.",
                "Connections are turned away: `xks.max_connections`, descriptors ([connections](../internals/connections.md)).",
            ],
            aws: [
                "Public endpoint: DNS name, firewall for AWS's addresses of the region, port 443. VPC endpoint service: the "
                    + "target group, the security groups of the balancer, the subnets' routes to the nodes.",
                "Endpoint, connectivity and VPC service of a key store can be changed while it is disconnected only: "
                    + "disconnect, update, connect.",
            ]),
        KMSWord(
            "no-answer", .messages,
            sentences: [
                "AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the "
                    + "request. If you see this error repeatedly, report it to your external key store proxy administrator."
            ],
            exceptions: anyOperation + ["XksProxyUriUnreachableException"],
            meaning:
                "KMS waited 250 ms in vain, connection and handshake included, and once more for a network time-out.",
            answer: "An answer that came too late, or none.",
            look: [
                "log: `\"outcome\": \"undelivered\"`; `claviger status`: `answer-undelivered`",
                "metrics `claviger_requests_late_total`, `claviger_request_duration_seconds`; CloudWatch `XksProxyLatency`",
                "no line of the log: a node that hangs, or the way",
            ],
            node: [
                "Lines with a high `total_us`: as for DependencyTimeoutException. Low: the round trip leaves too little; a "
                    + "shorter `xks.request_deadline` ([times](load-balancers.md#times)).",
                "A frozen node: the balancer's health check must take it out ([load balancers](load-balancers.md)).",
            ],
            aws: ["KMS's callers may try again. A region that is nearer helps where the round trip is above 35 ms."]),
        KMSWord(
            "no-tls", .messages,
            sentences: [
                "AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS configuration, "
                    + "including its certificate."
            ],
            exceptions: anyOperation + ["XksProxyUriUnreachableException", "XksProxyInvalidConfigurationException"],
            meaning:
                "The handshake failed: a certificate that has ended, of another name or of a CA that KMS does not take, "
                + "an incomplete chain; or mutual TLS that refuses KMS.",
            answer: "No request came to a node.",
            look: [
                "log: `turned away`, `kind` `server-certificate-refused`, `no-shared-cipher`, `client-certificate-untrusted`, "
                    + "`client-certificate-name`",
                "`claviger check --config FILE`, `claviger diagnose --config FILE`; conditions `certificate-invalid`, "
                    + "`certificate-ending`",
                "`openssl s_client -connect HOST:443 -servername HOST`",
            ],
            node: [
                "A new certificate with its whole chain, then `claviger reload` ([certificates](certificates.md)).",
                "Mutual TLS: `client_ca` must have the CAs of Amazon Trust Services, `client_name` the name of the region.",
            ],
            aws: ["The endpoint's name must be the certificate's. To change the endpoint: disconnect, update, connect."]
        ),
        KMSWord(
            "ciphertext-of-ours", .messages,
            sentences: [
                "The ciphertext that the external key store proxy submitted for decryption, or the encryption context, is "
                    + "corrupted, missing, or otherwise invalid."
            ],
            exceptions: ["KMSInvalidStateException"],
            meaning: "KMS could not open the inner layer of what a node decrypted for it.",
            answer: "200, with a plaintext that KMS does not accept.",
            look: [
                failed + ", `hsm`, `forwardedTo`: is it always one HSM, or one node?",
                "the log's `KEY DIFFERS`, `KEY SWAPPED`; `claviger status`",
            ],
            node: [
                "One HSM: `claviger hsm drain NAME`, and its vendor. A balancer that ends TLS: whether it changes bodies."
            ],
            aws: ["Try once more; compare the encryption context."]),
    ]

    /// KMS did not ask a node at all.
    static let ownMessages: [KMSWord] = [
        KMSWord(
            "not-connected", .messages,
            sentences: [
                "This KMS key is in a custom key store that is not connected to its external key store proxy. Connect the "
                    + "external key store and try the request again."
            ],
            exceptions: anyOperation,
            meaning: "The key store is disconnected in KMS, or has failed to connect.",
            answer: "Nothing came to a node.",
            look: [
                "`aws kms describe-custom-key-stores`: `ConnectionState`, `ConnectionErrorCode`",
                "CloudTrail: who called DisconnectCustomKeyStore",
            ],
            node: ["Nothing, unless the error code says so."],
            aws: [
                "`FAILED`: mend what the error code says, then disconnect, wait for `DISCONNECTED`, connect. `DISCONNECTED`: "
                    + "connect. It takes some five minutes."
            ]),
        KMSWord(
            "invalid-state", .messages, names: ["KMSInvalidStateException"],
            meaning:
                "Of an operation with a KMS key in an external key store it says only that something about the key store is "
                + "wrong. Its text, CloudTrail's `errorMessage`, says what: look for that text on the page *What KMS says*, or "
                + "give it to `claviger explain`.",
            answer: "Anything.",
            look: ["CloudTrail: `errorMessage`; the request's line in the log has `requestID` as `kmsRequestId`"],
            node: ["What the text says."], aws: ["What the text says."]),
        KMSWord(
            "key-state", .messages, title: "… is pending deletion. / … is unavailable. / … is disabled.",
            names: ["DisabledException"],
            sentences: ["is pending deletion.", "is unavailable.", "is disabled."],
            exceptions: ["KMSInvalidStateException"],
            meaning: "It is about the KMS key's own state, not about the external key.",
            answer: "Nothing came to a node.",
            look: ["`aws kms describe-key --key-id …`: `KeyState`", "CloudTrail: `errorMessage` beside `errorCode`"],
            node: ["Nothing."],
            aws: [
                "`PendingDeletion`: cancel the deletion, and enable the key. `Disabled`: enable it. `Unavailable`: connect the "
                    + "key store."
            ]),
        KMSWord(
            "kms-throttles", .messages, names: ["ThrottlingException"],
            sentences: [
                "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
            ],
            meaning:
                "KMS's own quota is used up, of the account or of the key store (1,800 requests a second by default).",
            answer: "Nothing came to a node.",
            look: [
                "CloudWatch `ExternalKeyStoreThrottle`",
                "metric `claviger_requests_total`: is the rate near the quota?",
            ],
            node: ["Nothing."],
            aws: [
                "Fewer calls: S3 bucket keys, caching of data keys. A higher quota only where the HSMs can carry it "
                    + "([capacity](capacity.md))."
            ]),
    ]
}
