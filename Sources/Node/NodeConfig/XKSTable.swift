// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits

/// `[xks]`: the listener for KMS.
package struct XKSSettings: Sendable, Equatable {
    /// How the listener is protected.
    package enum Protection: Sendable, Equatable {
        /// Plain HTTP, asked for explicitly.
        case plaintext
        /// Absolute paths of PEM files.
        case tls(certificate: String, key: String, clients: ClientVerification?)
    }

    /// Whom mutual TLS lets in: chained to `ca`, and bearing one of `names`.
    package struct ClientVerification: Sendable, Equatable {
        /// Absolute path of a PEM file.
        package var ca: String
        /// At least one.
        package var names: [String]

        package init(ca: String, names: [String]) {
            self.ca = ca
            self.names = names
        }
    }

    /// TCP keep-alive, whole seconds.
    package struct Keepalive: Sendable, Equatable {
        package var idle: Duration
        package var interval: Duration
        package var count: Int

        package init(idle: Duration = .seconds(60), interval: Duration = .seconds(10), count: Int = 3) {
            self.idle = idle
            self.interval = interval
            self.count = count
        }
    }

    /// Who is shown the server's certificate.
    package enum CertificateAudience: String, Sendable {
        case kms, balancer
    }

    package var listen: ListenAddress
    package var protection: Protection
    package var certificateFor: CertificateAudience
    package var maxPlaintextBytes: Int
    package var maxAADBytes: Int
    package var maxBodyBytes: Int
    package var maxHeaderBytes: Int
    package var handshakeTimeout: Duration
    package var headerTimeout: Duration
    package var bodyTimeout: Duration
    package var idleTimeout: Duration
    package var maxConnections: Int
    /// Of one address, of which no request was authenticated.
    package var maxUnauthenticatedPerAddress: Int
    /// Of load balancers that begin each connection with a header of the PROXY protocol.
    package var proxyProtocolFrom: [Network]
    package var maxRequestsInFlight: Int
    package var keepalive: Keepalive
    package var requestDeadline: Duration
    /// At most `requestDeadline`.
    package var attemptDeadline: Duration

    package init(
        listen: ListenAddress, protection: Protection, certificateFor: CertificateAudience = .kms,
        maxPlaintextBytes: Int = 8192, maxAADBytes: Int = 16384,
        maxBodyBytes: Int = 262_144, maxHeaderBytes: Int = 16384, handshakeTimeout: Duration = .seconds(1),
        headerTimeout: Duration = .seconds(5), bodyTimeout: Duration = .seconds(5),
        idleTimeout: Duration = .seconds(75), maxConnections: Int = 1024, maxUnauthenticatedPerAddress: Int = 64,
        proxyProtocolFrom: [Network] = [], maxRequestsInFlight: Int = 512,
        keepalive: Keepalive = Keepalive(), requestDeadline: Duration = .milliseconds(200),
        attemptDeadline: Duration = .milliseconds(80)
    ) {
        self.listen = listen
        self.protection = protection
        self.certificateFor = certificateFor
        self.maxPlaintextBytes = maxPlaintextBytes
        self.maxAADBytes = maxAADBytes
        self.maxBodyBytes = maxBodyBytes
        self.maxHeaderBytes = maxHeaderBytes
        self.handshakeTimeout = handshakeTimeout
        self.headerTimeout = headerTimeout
        self.bodyTimeout = bodyTimeout
        self.idleTimeout = idleTimeout
        self.maxConnections = maxConnections
        self.maxUnauthenticatedPerAddress = maxUnauthenticatedPerAddress
        self.proxyProtocolFrom = proxyProtocolFrom
        self.maxRequestsInFlight = maxRequestsInFlight
        self.keepalive = keepalive
        self.requestDeadline = requestDeadline
        self.attemptDeadline = attemptDeadline
    }

    /// Bytes of body that the largest allowed request can take: plaintext (or ciphertext) and AAD in base64, and 16 KiB
    /// for everything else (three ARNs of 2,048 characters, XKS 1.0.3, may come escaped).
    package static func bodyBytesNeeded(plaintext: Int, aad: Int) -> Int {
        (plaintext + 2) / 3 * 4 + (aad + 2) / 3 * 4 + 16384
    }
}

extension TableReader {
    func xks(resolve: (String) -> String) -> XKSSettings {
        let maxPlaintext = integer(XKSKeys.maxPlaintext)
        let maxAAD = integer(XKSKeys.maxAAD)
        let deadlines = deadlines()
        return XKSSettings(
            listen: address(XKSKeys.listen, standard: ListenAddress(host: "0.0.0.0", port: 8443)),
            protection: protection(resolve: resolve),
            certificateFor: certificateAudience(),
            maxPlaintextBytes: maxPlaintext,
            maxAADBytes: maxAAD,
            maxBodyBytes: maxBody(plaintext: maxPlaintext, aad: maxAAD),
            maxHeaderBytes: integer(XKSKeys.maxHeader),
            handshakeTimeout: duration(XKSKeys.handshakeTimeout),
            headerTimeout: duration(XKSKeys.headerTimeout),
            bodyTimeout: duration(XKSKeys.bodyTimeout),
            idleTimeout: duration(XKSKeys.idleTimeout),
            maxConnections: integer(XKSKeys.maxConnections),
            maxUnauthenticatedPerAddress: integer(XKSKeys.maxPerAddress),
            proxyProtocolFrom: networks(XKSKeys.proxyProtocolFrom),
            maxRequestsInFlight: integer(XKSKeys.maxRequests),
            keepalive: keepalive(),
            requestDeadline: deadlines.request,
            attemptDeadline: deadlines.attempt)
    }

    private func protection(resolve: (String) -> String) -> XKSSettings.Protection {
        let isPlaintext = boolean(XKSKeys.plaintext, standard: false)
        let files = [XKSKeys.certificate, XKSKeys.key]
        if isPlaintext {
            for key in files + [XKSKeys.certificateFor, XKSKeys.clientCA, XKSKeys.clientName] where has(key) {
                report(
                    key, "has no effect with plaintext = true",
                    fix: "remove it, or remove plaintext to serve TLS")
            }
            return .plaintext
        }
        for key in files where !has(key) {
            reportMissing(
                key,
                fix: "write \(key.name) = \"/etc/claviger/tls/\(key.name).pem\", or plaintext = true behind a "
                    + "TLS terminator on this host")
        }
        return .tls(
            certificate: filePath(XKSKeys.certificate, resolve: resolve) ?? "",
            key: filePath(XKSKeys.key, resolve: resolve) ?? "",
            clients: clientVerification(resolve: resolve))
    }

    private func certificateAudience() -> XKSSettings.CertificateAudience {
        guard let text = text(XKSKeys.certificateFor) else { return .kms }
        if let audience = XKSSettings.CertificateAudience(rawValue: text) { return audience }
        report(
            XKSKeys.certificateFor, "must be \"kms\" or \"balancer\"",
            fix: "remove it unless a load balancer ends the TLS of KMS")
        return .kms
    }

    private func clientVerification(resolve: (String) -> String) -> XKSSettings.ClientVerification? {
        let ca = filePath(XKSKeys.clientCA, resolve: resolve)
        let names = clientNames()
        switch (has(XKSKeys.clientCA), has(XKSKeys.clientName)) {
        case (true, false):
            reportMissing(
                XKSKeys.clientName,
                fix: "write client_name = \"cks.kms.<region>.amazonaws.com\"; the CA alone would let in everybody "
                    + "who has a certificate from it")
            return nil
        case (false, true):
            reportMissing(XKSKeys.clientCA, fix: "write client_ca = \"/etc/claviger/amazon-trust.pem\"")
            return nil
        default:
            guard let ca, !names.isEmpty else { return nil }
            return XKSSettings.ClientVerification(ca: ca, names: names)
        }
    }

    private func clientNames() -> [String] {
        var names: [(text: String, path: String)] = []
        if case .list(let elements) = node(XKSKeys.clientName) {
            names = texts(XKSKeys.clientName) ?? []
            if elements.isEmpty {
                problems.add(path(of: "client_name"), "is empty", fix: "name at least one subject, or remove it")
            }
        } else if let name = text(XKSKeys.clientName) {
            names = [(name, path(of: "client_name"))]
        }
        return names.compactMap { name in
            if (1...253).contains(name.text.utf8.count), SettingName.isIdentifier(name.text) { return name.text }
            problems.add(
                name.path, value: Shown.quoted(name.text), "is not a subject name",
                fix: "write a name such as \"cks.kms.eu-central-1.amazonaws.com\"; there are no wildcards")
            return nil
        }
    }

    private func networks(_ key: ConfigurationKey) -> [Network] {
        (texts(key) ?? []).compactMap { element in
            if let network = Network(element.text) { return network }
            problems.add(
                element.path, value: Shown.quoted(element.text), "is not a network",
                fix: "write an address such as \"192.0.2.7\", or a network such as \"10.0.1.0/24\" or "
                    + "\"2001:db8::/32\", without bits beyond its length")
            return nil
        }
    }

    private func maxBody(plaintext: Int, aad: Int) -> Int {
        let needed = XKSSettings.bodyBytesNeeded(plaintext: plaintext, aad: aad)
        guard let given = integer(XKSKeys.maxBody, range: 65536...1_048_576) else { return 262_144 }
        guard given >= needed else {
            report(
                XKSKeys.maxBody,
                "is too small for max_plaintext_bytes = \(plaintext) and max_aad_bytes = \(aad) in base64",
                fix: "raise it to at least \(needed), or remove it")
            return needed
        }
        return given
    }

    private func deadlines() -> (request: Duration, attempt: Duration) {
        let request = duration(XKSKeys.requestDeadline)
        let attempt = duration(XKSKeys.attemptDeadline)
        if attempt <= request { return (request, attempt) }
        if has(XKSKeys.attemptDeadline.key) {
            report(
                XKSKeys.attemptDeadline.key,
                "is longer than request_deadline (\(SettingDuration.text(request)))",
                fix: "choose less; about a third leaves time for two more HSMs")
        }
        return (request, request)
    }

    private func keepalive() -> XKSSettings.Keepalive {
        let reader = table(XKSKeys.keepalive, keys: KeepaliveKeys.all)
        func seconds(_ key: DurationKey) -> Duration {
            guard let duration = reader?.duration(key) else { return key.standard }
            if duration.inMilliseconds % 1000 == 0 { return duration }
            reader?.report(key.key, "must be whole seconds", fix: "TCP counts no smaller unit here")
            return key.standard
        }
        return XKSSettings.Keepalive(
            idle: seconds(KeepaliveKeys.idle), interval: seconds(KeepaliveKeys.interval),
            count: reader?.integer(KeepaliveKeys.count) ?? KeepaliveKeys.count.standard)
    }
}
