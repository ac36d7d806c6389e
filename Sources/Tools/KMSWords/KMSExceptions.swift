// SPDX-License-Identifier: Apache-2.0

extension KMSWord {
    /// What CreateKey alone says. All else that it says is among the messages, as CustomKeyStoreInvalidStateException.
    static let creatingKeys: [KMSWord] = [
        KMSWord(
            "key-in-use", .createKey, names: ["XksKeyAlreadyInUseException"],
            meaning:
                "The key store has a KMS key with this external key already. Each KMS key needs an external key of its own.",
            answer: "Nothing came to a node.",
            look: ["`aws kms list-keys`, `aws kms describe-key`: `XksKeyConfiguration.Id`"],
            node: [
                "Make another key in the HSMs. Two external ids for one key (`{ id = \"…\", label = \"…\" }`) would be "
                    + "taken, and what the two KMS keys encrypt cannot be exchanged."
            ],
            aws: ["Use the KMS key that is there, or another `--xks-key-id`."]),
        KMSWord(
            "created-key-not-found", .createKey, names: ["XksKeyNotFoundException"],
            meaning: "CreateKey asked a node for the key's metadata, and was told that there is no such key.",
            answer: "404 `KeyNotFoundException` to GetKeyMetadata.",
            look: [
                "log: `\"operation\": \"GetKeyMetadata\"`, `key`, `reason`",
                "`claviger status`: the key's row, `P` for an HSM",
            ],
            node: [
                "As for \"could not find the external key\": the id must be in `keys` of this key store, and the label in its "
                    + "HSMs. Case counts."
            ],
            aws: ["`aws kms create-key … --xks-key-id` once more, with the id as the node knows it."]),
        KMSWord(
            "key-configuration", .createKey, names: ["XksKeyInvalidConfigurationException"],
            meaning:
                "The external key is not one that KMS takes: it is not enabled, or may not both encrypt and decrypt. The "
                + "exception's text says which.",
            answer:
                "200 to GetKeyMetadata, with `\"keyStatus\": \"DISABLED\"` or without a usage; or `InvalidStateException`, "
                + "`InvalidKeyUsageException`.",
            look: [
                "`claviger blocks`", "`claviger status`: the key's row, and what is odd about it; condition `key-odd`",
            ],
            node: ["Lift the block, or correct dates, CKA_ENCRYPT and CKA_DECRYPT in every HSM that has the key."],
            aws: ["`aws kms create-key` once more."]),
        KMSWord(
            "key-spec", .createKey,
            sentences: [
                "The key spec of the external key must be AES_256. The key spec of specified external key is"
            ],
            exceptions: ["XksKeyInvalidConfigurationException"],
            meaning:
                "Something answered that the key is no AES key of 256 bits. A node never does: of such an object it says "
                + "that there is no key, and why.",
            answer:
                "Another proxy at this endpoint. A node: 404 `KeyNotFoundException`, with the object's kind in `reason`.",
            look: [
                "who answers: `curl --verbose https://HOST/PREFIX/kms/xks/v1/health`",
                "log: `key cannot serve`; `claviger status`: the key's row says what the object is",
            ],
            node: ["Make an AES key of 256 bits with CKA_ENCRYPT and CKA_DECRYPT, in every HSM the same."],
            aws: ["`aws kms create-key` once more."]),
        KMSWord(
            "key-status", .createKey,
            sentences: ["The status of the external key must be ENABLED. The status of specified external key is"],
            exceptions: ["XksKeyInvalidConfigurationException"],
            meaning: "The node calls the key DISABLED: it is blocked, or outside its dates.",
            answer: "200 to GetKeyMetadata, with `\"keyStatus\": \"DISABLED\"`.",
            look: ["`claviger blocks`", "CKA_START_DATE and CKA_END_DATE of the object"],
            node: ["`claviger unblock --id ID` once whoever gave the block agrees, or other dates in the HSMs."],
            aws: ["`aws kms create-key` once more."]),
        KMSWord(
            "key-usages", .createKey,
            sentences: [
                "The key usage of the external key must include ENCRYPT and DECRYPT. The key use of specified external key is"
            ],
            exceptions: ["XksKeyInvalidConfigurationException"],
            meaning: "The key's attributes forbid Encrypt or Decrypt.",
            answer: "200 to GetKeyMetadata, with the `keyUsage` that the HSMs allow.",
            look: ["condition `key-odd`; `claviger status`"],
            node: ["Correct CKA_ENCRYPT and CKA_DECRYPT in every HSM that has the key."],
            aws: ["`aws kms create-key` once more."]),
    ]

    /// What CreateCustomKeyStore, UpdateCustomKeyStore, ConnectCustomKeyStore and their like say.
    static let configuring: [KMSWord] = configuringTheProxy + configuringKMS

    private static let configuringTheProxy: [KMSWord] = [
        KMSWord(
            "create-credential", .configuration, names: ["XksProxyIncorrectAuthenticationCredentialException"],
            meaning:
                "KMS asked for GetHealthStatus with the credential that you gave it, and was refused. Nothing has changed.",
            answer: "401 `AuthenticationFailedException` to GetHealthStatus.",
            look: ["log: `authentication`, `claimedAccessKeyID`, `path`", "`claviger keystore list`"],
            node: [
                "The credential must be on every node before KMS is given it ([credential rotation](credential-rotation.md))."
            ],
            aws: ["The same command again, with the file of `claviger keystore console-file` or of `keystore rotate`."]),
        KMSWord(
            "create-path", .configuration, names: ["XksProxyInvalidConfigurationException"],
            meaning: "KMS asked for GetHealthStatus under the URI path that you gave it, and there is none; or the TLS "
                + "configuration is wrong: the exception's text says which.",
            answer: "404 `InvalidUriPathException`; with TLS nothing came to a node.",
            look: ["log: `path`, `nearestPath`", "log: `turned away`"],
            node: ["The URI path is `path_prefix` and `/kms/xks/v1` behind it."],
            aws: ["The same command again, with the right `--xks-proxy-uri-path`."]),
        KMSWord(
            "create-response", .configuration, names: ["XksProxyInvalidResponseException"],
            meaning: "What came back to KMS's GetHealthStatus was no answer of the API, or InternalException or "
                + "ValidationException.",
            answer: "500, 400, or nothing: something on the way answered.",
            look: [
                "log: a request with `\"operation\": \"GetHealthStatus\"` at that second, `reason`",
                "`curl --verbose https://HOST/PREFIX/kms/xks/v1/health`: a node answers 405 and JSON",
            ],
            node: [
                "As for \"cannot interpret the response\" and \"cannot communicate with the external key manager\"."
            ],
            aws: ["The same command again."]),
        KMSWord(
            "create-unreachable", .configuration, names: ["XksProxyUriUnreachableException"],
            meaning:
                "KMS did not reach the endpoint within 250 ms; or it did, and GetHealthStatus called every HSM UNAVAILABLE.",
            answer: "Nothing; or 200 to GetHealthStatus with all of `ekmFleetDetails` UNAVAILABLE; or 429, 503.",
            look: [
                "log: a request with `\"operation\": \"GetHealthStatus\"` at that second. There: look at the HSMs. Not there: at "
                    + "the way",
                "`claviger status`, `claviger cluster status`; an HSM that is drained counts as UNAVAILABLE",
            ],
            node: [
                "`claviger hsm undrain NAME`, or what the HSM's reason asks for ([states](../reference/hsm-states.md)).",
                "A key store with `hsms` tells of these only.",
            ],
            aws: ["Endpoint, DNS, port 443, IPv4, firewall, balancer. Then the same command again."]),
        KMSWord(
            "endpoint-in-use", .configuration, names: ["XksProxyUriEndpointInUseException"],
            meaning:
                "Another key store of the region has this endpoint in a way that excludes yours: with VPC endpoint services "
                + "each key store needs a private DNS name of its own.",
            answer: "Nothing came to a node.",
            look: ["`aws kms describe-custom-key-stores`; other accounts of yours"],
            node: ["A further name in the nodes' certificate; the key stores may share nodes."],
            aws: ["Another endpoint. Key stores with public endpoints may share one, with different paths."]),
        KMSWord(
            "uri-in-use", .configuration, names: ["XksProxyUriInUseException"],
            meaning: "Another key store of the region has this endpoint and this path.",
            answer: "Nothing came to a node.",
            look: ["`aws kms describe-custom-key-stores`; other accounts of yours"],
            node: ["A `[[keystore]]` with another `path_prefix`."],
            aws: ["Another `--xks-proxy-uri-path`; or take up the key store that is there."]),
    ]

    private static let configuringKMS: [KMSWord] = [
        KMSWord(
            "service-in-use", .configuration, names: ["XksProxyVpcEndpointServiceInUseException"],
            meaning: "Another key store of the region has this VPC endpoint service.",
            answer: "Nothing came to a node.",
            look: ["`aws kms describe-custom-key-stores`; other accounts of yours"],
            node: ["Nothing: several endpoint services may lead to the same nodes."],
            aws: ["An endpoint service, a balancer and a private DNS name for each key store (deploy/terraform)."]),
        KMSWord(
            "service-configuration", .configuration, names: ["XksProxyVpcEndpointServiceInvalidConfigurationException"],
            meaning: "The VPC endpoint service is not as KMS wants it.",
            answer: "Nothing came to a node.",
            look: ["`aws ec2 describe-vpc-endpoint-service-configurations`"],
            node: ["Nothing."],
            aws: serviceRequirements),
        KMSWord(
            "service-not-found", .configuration, names: ["XksProxyVpcEndpointServiceNotFoundException"],
            meaning:
                "KMS does not see the VPC endpoint service: another name or region, or KMS is not allowed to see it.",
            answer: "Nothing came to a node.",
            look: ["`aws ec2 describe-vpc-endpoint-service-permissions --service-id vpce-svc-…`"],
            node: ["Nothing."], aws: serviceIsSeen),
        KMSWord(
            "store-state", .configuration, names: ["CustomKeyStoreInvalidStateException"],
            meaning:
                "The operation does not go with the key store's connection state. From CreateKey it may also stand for any "
                + "fault of the external key store: then its text, among the messages above, says which.",
            answer: "Nothing came to a node, or what the text says.",
            look: ["`aws kms describe-custom-key-stores`: `ConnectionState`"],
            node: ["Nothing."],
            aws: [
                "Connect asks for `DISCONNECTED`; CreateKey for `CONNECTED`; a change of endpoint, connectivity or VPC service, "
                    + "and deletion, for `DISCONNECTED`. From `FAILED`: disconnect, wait, connect."
            ]),
        KMSWord(
            "store-name", .configuration, names: ["CustomKeyStoreNameInUseException"],
            meaning: "A key store of this account and region has the name.",
            answer: "Nothing came to a node.",
            look: ["`aws kms describe-custom-key-stores --custom-key-store-name NAME`"],
            node: ["Nothing."],
            aws: [
                "Another name; or take up the one that is there: `deploy/aws/create-custom-key-store.sh`, given again, does so."
            ]),
        KMSWord(
            "store-not-found", .configuration, names: ["CustomKeyStoreNotFoundException"],
            meaning: "There is no key store of this id or name in this account and region.",
            answer: "Nothing came to a node.",
            look: ["`aws kms describe-custom-key-stores`, `aws sts get-caller-identity`, the command's region"],
            node: ["Nothing."], aws: ["Another region or account. Key stores cannot be shared between accounts."]),
        KMSWord(
            "store-has-keys", .configuration, names: ["CustomKeyStoreHasCMKsException"],
            meaning: "The key store has KMS keys, scheduled for deletion or not.",
            answer: "Nothing came to a node.",
            look: ["`aws kms list-keys`, `aws kms describe-key`: `CustomKeyStoreId`"],
            node: ["Nothing. What these keys encrypted can be opened with them alone."],
            aws: [
                "Schedule the keys' deletion, wait until they are gone, then delete the key store. It is seldom needed."
            ]),
    ]

    /// What KMS asks of a VPC endpoint service.
    static let serviceRequirements = [
        "A network load balancer in at least two subnets, each in a zone of its own; IPv4.",
        "No acceptance by hand; `cks.kms.REGION.amazonaws.com` among the allowed principals.",
        "A private DNS name below a public domain, with the state `verified`; the endpoint is `https://` and this name.",
        "The certificate of the nodes is for this name.",
        "In another account: its number as `--xks-proxy-vpc-endpoint-service-owner`.",
        "All of it: `deploy/terraform`, and [registering](register-with-kms.md).",
    ]

    static let serviceIsSeen = [
        "The service's name and region (`com.amazonaws.vpce.REGION.vpce-svc-…`).",
        "`cks.kms.REGION.amazonaws.com` among the allowed principals.",
        "In another account: its number as `--xks-proxy-vpc-endpoint-service-owner`, and `ec2:DescribeVpcEndpointServices` for "
            + "whoever makes the key store.",
    ]
}
