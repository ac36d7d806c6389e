// SPDX-License-Identifier: Apache-2.0

extension KMSWord {
    /// `ConnectionErrorCode` of DescribeCustomKeyStores, all that an external key store can have. Before it connects, KMS asks
    /// for GetHealthStatus, which no HSM and no policy is asked about.
    static let connecting: [KMSWord] = connectingToNodes + connectingThroughAWS

    private static let connectAgain =
        "`aws kms disconnect-custom-key-store`, wait for `DISCONNECTED`, mend, `aws kms connect-custom-key-store`; after some "
        + "five minutes `aws kms describe-custom-key-stores` says what came of it."
    private static let poll = "log: requests with `\"operation\": \"GetHealthStatus\"` at that time"

    private static let connectingToNodes: [KMSWord] = [
        KMSWord(
            "connect-credentials", .connection, names: ["INVALID_CREDENTIALS"],
            meaning: "KMS signs with another credential than the key store of the nodes has.",
            answer: "401 `AuthenticationFailedException`.",
            look: [
                "log: `authentication`, `claimedAccessKeyID`, `host`, `path` ([authentication](../reference/authentication.md))",
                "`claviger keystore list`; condition `clock-off`",
            ],
            node: [
                "As for \"could not authenticate AWS KMS\". On every node: the balancer may have asked another one."
            ],
            aws: [
                "`aws kms update-custom-key-store … --xks-proxy-authentication-credential file://credential.json`.",
                connectAgain,
            ]),
        KMSWord(
            "connect-denied", .connection, names: ["XKS_PROXY_ACCESS_DENIED"],
            meaning: "Something answered 403. No node does, to GetHealthStatus: no policy is asked about it.",
            answer: "Nothing came to a node: a firewall for web applications, a gateway or a proxy before it refused.",
            look: [poll + ": there are none", "the log of what stands before the nodes"],
            node: ["Nothing."],
            aws: ["Let the requests through, unchanged.", connectAgain]),
        KMSWord(
            "connect-path", .connection, names: ["XKS_PROXY_INVALID_CONFIGURATION"],
            meaning: "The URI path is that of no key store.",
            answer: "404 `InvalidUriPathException`.",
            look: ["log: `path`, `nearestPath`"],
            node: ["The right path is `path_prefix` and `/kms/xks/v1` behind it, on every node."],
            aws: ["`aws kms update-custom-key-store … --xks-proxy-uri-path`.", connectAgain]),
        KMSWord(
            "connect-response", .connection, names: ["XKS_PROXY_INVALID_RESPONSE"],
            meaning: "What came back is no answer of the API: mostly a balancer's or a gateway's error page.",
            answer: "Nothing came to a node, or 500 or 400 with a `reason`.",
            look: [
                poll, "`curl --verbose https://HOST/PREFIX/kms/xks/v1/health`: a node answers 405 and JSON",
                "the balancer's log",
            ],
            node: ["Nodes that are not ready: their conditions. Else the balancer."],
            aws: [connectAgain]),
        KMSWord(
            "connect-tls", .connection, names: ["XKS_PROXY_INVALID_TLS_CONFIGURATION"],
            meaning:
                "The certificate has ended, is for another name, is of no CA on AWS's list, or comes without its chain; or "
                + "no version of TLS or cipher suite is shared.",
            answer: "No request came to a node.",
            look: [
                "log: `turned away` with `kind` `server-certificate-refused`, `tls-version`, `no-shared-cipher`",
                "`claviger check --config FILE`; `claviger diagnose --config FILE`",
            ],
            node: ["[Certificates](certificates.md): the name, the list of CAs, the chain. `claviger reload`."],
            aws: [connectAgain]),
        KMSWord(
            "connect-unreachable", .connection, names: ["XKS_PROXY_NOT_REACHABLE"],
            meaning: "KMS got no connection; or it got one, and GetHealthStatus called every HSM UNAVAILABLE.",
            answer: "Nothing; or 200 with all of `ekmFleetDetails` UNAVAILABLE.",
            look: [
                poll + ". There: look at the HSMs. Not there: at the way",
                "`claviger cluster status`: HSMs that are out or drained; the key store's `hsms`",
                "the balancer: healthy targets",
            ],
            node: ["Bring an HSM back: `claviger hsm undrain NAME`, or [states](../reference/hsm-states.md)."],
            aws: [
                "DNS name, port 443, IPv4, firewall; by VPC: target group, security groups, routes to the nodes.",
                connectAgain,
            ]),
        KMSWord(
            "connect-timed-out", .connection, names: ["XKS_PROXY_TIMED_OUT"],
            meaning:
                "KMS got a connection, and no answer within 250 ms. No HSM is asked for this answer, so a slow HSM is not "
                + "the cause.",
            answer: "None, or one that came too late.",
            look: [
                poll + ", `total_us`, `\"outcome\": \"undelivered\"`",
                "`curl --output /dev/null --silent --write-out '%{time_connect} %{time_appconnect} %{time_total}\\n' "
                    + "https://HOST/` from the region",
                "`claviger diagnose`: processors, open files",
            ],
            node: [
                "`total_us` is low: the round trip or the balancer takes the time. High: the host is starved of processor time.",
                "A node that is frozen and still gets connections: the balancer's health check.",
            ],
            aws: ["A region within 35 ms of round trip.", connectAgain]),
    ]

    private static let connectingThroughAWS: [KMSWord] = [
        KMSWord(
            "connect-internal", .connection, names: ["INTERNAL_ERROR"],
            meaning: "A fault within KMS.",
            answer: "Nothing, or anything.",
            look: [poll, "AWS's health dashboard"],
            node: ["Nothing."],
            aws: [connectAgain, "If it comes again: a support case, with the key store's id and the time."]),
        KMSWord(
            "connect-network", .connection, names: ["NETWORK_ERRORS"],
            meaning: "KMS's way to the endpoint is disturbed.",
            answer: "Nothing came to a node.",
            look: [
                poll + ": there are none", "DNS of the endpoint's name, as a resolver outside sees it; the balancer",
            ],
            node: ["Nothing, if other clients reach the nodes."],
            aws: ["DNS, routes, the endpoint service's network load balancer.", connectAgain]),
        KMSWord(
            "connect-service", .connection, names: ["XKS_VPC_ENDPOINT_SERVICE_INVALID_CONFIGURATION"],
            meaning: "The VPC endpoint service is not as KMS wants it.",
            answer: "Nothing came to a node.",
            look: ["`aws ec2 describe-vpc-endpoint-service-configurations`"],
            node: ["Nothing."], aws: serviceRequirements + [connectAgain]),
        KMSWord(
            "connect-no-service", .connection, names: ["XKS_VPC_ENDPOINT_SERVICE_NOT_FOUND"],
            meaning: "KMS does not see the VPC endpoint service.",
            answer: "Nothing came to a node.",
            look: ["`aws ec2 describe-vpc-endpoint-service-permissions --service-id vpce-svc-…`"],
            node: ["Nothing."], aws: serviceIsSeen + [connectAgain]),
    ]
}
