// SPDX-License-Identifier: Apache-2.0

extension KMSWord {
    /// Metrics of CloudWatch, name space AWS/KMS, that are about external key stores.
    static let metrics: [KMSWord] = [
        KMSWord(
            "metric-errors", .metrics, names: ["XksProxyErrors"],
            meaning:
                "Requests that failed, by `ErrorType` (`Retryable` lowers the graph of reliability) and `ExceptionName`. "
                + "The exception's name, given to `claviger explain`, says more.",
            answer: "By `ExceptionName`; `XksProxyUnreachableException` is KMS's own name for no answer.",
            look: [
                "metrics `claviger_requests_total` (`exception` has AWS's names) and `claviger_requests_reliability_total`, which "
                    + "counts by AWS's rule",
                "errors at AWS that the nodes have not counted were lost on the way, or came from something before the nodes",
            ],
            node: ["What the name says. An InvalidCiphertextException that is wrong lowers no graph: watch its rate."],
            aws: ["Alarms on both types: `deploy/terraform` has them."]),
        KMSWord(
            "metric-latency", .metrics, names: ["XksProxyLatency"],
            meaning:
                "Milliseconds from KMS's view, connection and handshake included; 250 or some 500 for what was not answered.",
            answer: "Late answers, or none.",
            look: [
                "metrics `claviger_request_duration_seconds` (the node's share) and `claviger_hsm_duration_seconds` (the HSM's)",
                "AWS's value less the node's is the network, the balancer and new connections",
            ],
            node: ["The HSM's share: `claviger status`. The node's: `claviger status --requests`, `waited_us`."],
            aws: ["A nearer region; [times](load-balancers.md#times)."]),
        KMSWord(
            "metric-certificate", .metrics, names: ["XksProxyCertificateDaysToExpire"],
            meaning:
                "Days until the certificate that KMS sees ends. When it ends, nothing can be encrypted or decrypted. Of a "
                + "wildcard certificate AWS shows nothing.",
            answer: "Nothing is wrong yet.",
            look: [
                "metric `claviger_certificate_expiry_timestamp_seconds`", "condition `certificate-ending`",
                "`openssl s_client -connect HOST:443 -servername HOST`",
            ],
            node: [
                "[Certificates](certificates.md): the new file in the old one's place on each node, `claviger reload`."
            ],
            aws: ["Nothing."]),
        KMSWord(
            "metric-credential", .metrics, names: ["XksProxyCredentialAge"],
            meaning: "Days since KMS was given the credential that it signs with.",
            answer: "Nothing is wrong.",
            look: ["`claviger keystore list`"],
            node: ["`claviger keystore rotate PATH` ([credential rotation](credential-rotation.md))."],
            aws: ["`aws kms update-custom-key-store`, as `rotate` prints it."]),
        KMSWord(
            "metric-states", .metrics, names: ["XksExternalKeyManagerStates"],
            meaning: "How many HSMs GetHealthStatus calls Active, Degraded and Unavailable, of ten at most.",
            answer: "200 to GetHealthStatus. Of more than ten HSMs it names the nine worst and the best.",
            look: [
                "`claviger cluster status`, `claviger status`", "metrics `claviger_hsm_state`, `claviger_hsm_serves`",
                "an HSM that is drained counts as Unavailable",
            ],
            node: ["[States](../reference/hsm-states.md): what each reason asks for."],
            aws: ["Nothing, while one is Active."]),
        KMSWord(
            "metric-throttle", .metrics, names: ["ExternalKeyStoreThrottle"],
            meaning:
                "Requests that KMS refused by its own quota of the key store (1,800 a second by default), without asking a "
                + "node. It does not count the node's own ThrottlingException.",
            answer: "Nothing came to a node.",
            look: ["metric `claviger_requests_total`: the rate, and what was answered with ThrottlingException"],
            node: ["Nothing."],
            aws: [
                "Fewer calls; a higher quota only where the HSMs carry it with one of them lost ([capacity](capacity.md))."
            ]),
    ]
}
