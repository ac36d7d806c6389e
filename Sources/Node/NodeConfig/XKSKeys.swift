// SPDX-License-Identifier: Apache-2.0

/// The keys of `[xks]`.
enum XKSKeys {
    static let listen = ConfigurationKey(
        "listen", "address and port", standard: "\"0.0.0.0:8443\"",
        "Where KMS reaches the node. KMS itself dials port 443 over IPv4; a load balancer usually stands between.",
        cost: "An address that more can reach is one that more can attack.")
    static let certificate = ConfigurationKey(
        "certificate", "path", standard: "required without `plaintext`",
        "PEM file with the server's certificate, and after it those that it is chained by.")
    static let key = ConfigurationKey(
        "key", "path", standard: "required without `plaintext`",
        "PEM file with the private key of the certificate: PKCS#8, PKCS#1 or SEC 1, RSA or EC. Owner and "
            + "mode as for files of secrets.")
    static let certificateFor = ConfigurationKey(
        "certificate_for", "`\"kms\"` or `\"balancer\"`", standard: "\"kms\"",
        "Who sees the certificate: `kms`, or `balancer` where a load balancer ends the TLS of KMS, and begins TLS of its own "
            + "towards the node. What KMS would not take (a self-signed certificate, one without a DNS name or not for "
            + "servers, a key that is too weak) is warned of with `kms`, where `listen` is no loopback address.")
    static let clientCA = ConfigurationKey(
        "client_ca", "path", standard: "none: no client certificate is asked for",
        "PEM file with the roots that a client's certificate must chain to. Needs `client_name` beside it: many "
            + "others have certificates from the roots that KMS uses.",
        cost: "Every handshake verifies one more chain.")
    static let clientName = ConfigurationKey(
        "client_name", "string, or list of strings", standard: "none",
        "Names of which a client's certificate must bear one, for example `cks.kms.eu-central-1.amazonaws.com`. "
            + "Needs `client_ca` beside it.")
    static let plaintext = ConfigurationKey(
        "plaintext", "boolean", standard: "false",
        "Serve plain HTTP, for use behind a TLS terminator on the same host. Excludes `certificate`, `key`, "
            + "`client_ca` and `client_name`.",
        cost: "Whoever can read the network in between reads the plaintext of every key.")

    static let maxPlaintext = IntegerKey(
        "max_plaintext_bytes", 8192...65536, standard: 8192, unit: "bytes",
        "Largest plaintext to encrypt, and largest ciphertext to decrypt; above it the answer is "
            + "UnsupportedOperationException. KMS sends up to 4,300 bytes.",
        cost: "Memory for each request in flight; some HSMs take less.")
    static let maxAAD = IntegerKey(
        "max_aad_bytes", 16384...65535, standard: 16384, unit: "bytes",
        "Largest additional authenticated data; above it the answer is UnsupportedOperationException. KMS sends up to "
            + "8,192 bytes.",
        cost: "Memory for each request in flight; some HSMs take less.")
    static let maxBody = ConfigurationKey(
        "max_body_bytes", "integer, bytes, 65536 to 1048576",
        standard: "`262144`",
        "Largest request body. It is checked before the request is authenticated; above it the connection ends. The "
            + "default leaves room for data somewhat above the other limits, which then get their own error.",
        cost: "Anybody who reaches the port can make the node hold this much for each connection.")
    static let maxHeader = IntegerKey(
        "max_header_bytes", 4096...65536, standard: 16384, unit: "bytes",
        "Largest sum of request line and header fields.",
        cost: "Anybody who reaches the port can make the node hold this much for each connection.")

    static let handshakeTimeout = DurationKey(
        "handshake_timeout", .milliseconds(100)...(.seconds(60)), standard: .seconds(1),
        "Time for the TLS handshake, and for the header of the PROXY protocol before it.",
        cost: "How long a silent peer can hold a connection.")
    static let headerTimeout = DurationKey(
        "header_timeout", .milliseconds(100)...(.seconds(60)), standard: .seconds(5),
        "Time from the first byte of a request to the end of its header fields.",
        cost: "How long a slow peer can hold a connection.")
    static let bodyTimeout = DurationKey(
        "body_timeout", .milliseconds(100)...(.seconds(60)), standard: .seconds(5),
        "Time from the end of the header fields to the end of the body.",
        cost: "How long a slow peer can hold a connection and a body's memory.")
    static let idleTimeout = DurationKey(
        "idle_timeout", .seconds(1)...(.seconds(3600)), standard: .seconds(75),
        "How long a connection without a request stays open. Longer than the 60 s of common load balancers, so that the "
            + "client closes first: a request that crosses our close on its way is lost to KMS's 250 ms. An NLB forgets a "
            + "connection after 350 s without a packet: above that `tcp_keepalive.idle` has to be less.",
        cost: "More idle connections; less means more handshakes, and each costs KMS a part of its 250 ms.")
    static let maxConnections = IntegerKey(
        "max_connections", 1...65536, standard: 1024,
        "Connections at a time. For a further one the oldest is closed of those that have sent nothing for 250 ms, else one "
            + "of which no request was authenticated; where all have authenticated, the further one.",
        cost:
            "A descriptor and some 30 KiB each with TLS; where the process may not have so many descriptors open, fewer "
            + "connections are taken, and that is said.")
    static let maxPerAddress = IntegerKey(
        "max_unauthenticated_per_address", 1...65536, standard: 64,
        "Connections at a time of one address (IPv6: of one /64) of which no request was authenticated; for a further one "
            + "the oldest of them is closed. There is no such limit for an address from which a request was authenticated "
            + "in the last minute, nor for a load balancer of `proxy_protocol_from` itself.",
        cost: "How much of the room for everybody one host can take.")
    static let proxyProtocolFrom = ConfigurationKey(
        "proxy_protocol_from", "list of networks", standard: "`[]`",
        "Networks of load balancers that send the PROXY protocol, version 2, for example `[\"10.0.1.0/24\"]`. From there "
            + "each connection must begin with its header, and the address that it names is the client's, in logs and "
            + "limits; from everywhere else it must not.",
        cost: "Whoever reaches the port from these addresses can say to come from any address.")
    static let maxRequests = IntegerKey(
        "max_requests_in_flight", 1...65536, standard: 512,
        "Requests at a time in all; a further one is answered ThrottlingException at once.",
        cost: "Memory of a body each; more than the HSMs can do within `request_deadline` only turns refusals into "
            + "time-outs.")
    static let requestDeadline = DurationKey(
        "request_deadline", .milliseconds(20)...(.seconds(10)), standard: .milliseconds(200),
        "Time for a whole request, from its first byte; after it the answer is DependencyTimeoutException. An HSM whose "
            + "calls take more than 0.6 of it is given fewer at a time, on trial; not where they are known to run side by side.",
        cost: "KMS gives up after 250 ms, the way there and back and the handshake included: above 230 ms answers come "
            + "too late (a table of round trips is in the guide on load balancers).")
    static let attemptDeadline = DurationKey(
        "attempt_deadline", .milliseconds(5)...(.seconds(10)), standard: .milliseconds(80),
        "Most time for one HSM; after it another one is tried. Within this the time is learned from the HSM's own "
            + "answers: three times their 99th percentile, and never less than nine of ten of them take, even where that "
            + "is more than this. At most `request_deadline`.",
        cost: "Fewer HSMs can be tried within `request_deadline`.")
    static let keepalive = ConfigurationKey(
        "tcp_keepalive", "table", standard: "the defaults of its keys",
        "TCP keep-alive of the accepted connections, see below.")

    static let all = [
        listen, certificate, key, certificateFor, clientCA, clientName, plaintext, maxPlaintext.key, maxAAD.key,
        maxBody, maxHeader.key,
        handshakeTimeout.key, headerTimeout.key, bodyTimeout.key, idleTimeout.key, maxConnections.key,
        maxPerAddress.key,
        proxyProtocolFrom, maxRequests.key,
        requestDeadline.key, attemptDeadline.key, keepalive,
    ]
}

/// The keys of `xks.tcp_keepalive`.
enum KeepaliveKeys {
    static let idle = DurationKey(
        "idle", .seconds(1)...(.seconds(3600)), standard: .seconds(60),
        "Silence after which the first probe is sent (TCP_KEEPIDLE), whole seconds.",
        cost: "A dead peer's connection is noticed later; firewalls in between may forget it sooner.")
    static let interval = DurationKey(
        "interval", .seconds(1)...(.seconds(3600)), standard: .seconds(10),
        "Time between probes (TCP_KEEPINTVL), whole seconds.", cost: "A dead peer's connection is noticed later.")
    static let count = IntegerKey(
        "count", 1...20, standard: 3,
        "Unanswered probes after which the connection is given up (TCP_KEEPCNT).",
        cost: "A dead peer's connection is noticed later.")
    static let all = [idle.key, interval.key, count.key]
}
