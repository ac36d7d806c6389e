// SPDX-License-Identifier: Apache-2.0

/// `[tracing]`: where traces of requests go.
package struct TracingSettings: Sendable, Equatable {
    package var endpoint: CollectorAddress
    /// Share of the requests, 0 to 1.
    package var ratio: Double
    /// Header fields that the collector is sent, a line each; `nil` for none.
    package var headers: SecretSource?
    /// Absolute path of a PEM file; `nil`: the system's authorities.
    package var authorities: String?
    /// Whether external key ids are named.
    package var showsKeys: Bool

    package init(
        endpoint: CollectorAddress, ratio: Double = 0.01, headers: SecretSource? = nil, authorities: String? = nil,
        showsKeys: Bool = false
    ) {
        self.endpoint = endpoint
        self.ratio = ratio
        self.headers = headers
        self.authorities = authorities
        self.showsKeys = showsKeys
    }
}

/// The URL at which a collector takes OTLP over HTTP.
package struct CollectorAddress: Sendable, Equatable, CustomStringConvertible {
    package let isTLS: Bool
    /// A name or an address; an IPv6 address without its brackets.
    package let host: String
    package let port: Int
    /// Begins with `/`.
    package let path: String

    /// Where collectors take traces (OTLP 1.x, "OTLP/HTTP Request").
    static let usualPath = "/v1/traces"

    /// `nil` where it is no such URL. Without a path the usual one is meant; without a port the scheme's.
    package init?(_ text: String) {
        guard let scheme = ["http://", "https://"].first(where: text.hasPrefix), text.utf8.count <= 2_048,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !Array("@?#\\\"<>".utf8).contains($0) })
        else { return nil }
        isTLS = scheme == "https://"
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        let path = rest[authority.endIndex...]
        self.path = path.isEmpty || path == "/" ? Self.usualPath : String(path)
        let hasPort = authority.lastIndex(of: ":").map { $0 > authority.lastIndex(of: "]") ?? authority.startIndex }
        let withPort = hasPort == true ? String(authority) : "\(authority):\(isTLS ? 443 : 80)"
        guard let address = ListenAddress(withPort), address.port > 0, !address.host.isEmpty else { return nil }
        (host, port) = (address.host, address.port)
    }

    /// An address of this host, not a name that looks like one.
    package var isLoopback: Bool {
        host == "localhost" || host == "::1"
            || (host.hasPrefix("127.") && host.utf8.allSatisfy { (0x2E...0x39).contains($0) })
    }

    package var description: String { "\(isTLS ? "https" : "http")://\(ListenAddress(host: host, port: port))\(path)" }
}

enum TracingKeys {
    static let endpoint = ConfigurationKey(
        "endpoint", "URL of `http` or `https`", standard: "required",
        "Where an OpenTelemetry collector takes OTLP over HTTP in its JSON encoding, for example "
            + "`\"http://127.0.0.1:4318\"`; `/v1/traces` is added where there is no path.",
        cost: "Traces name key stores, HSMs, nodes and KMS's request ids. Beyond this host take `https`.")
    static let sample = ConfigurationKey(
        "sample", "percentage in quotes, `\"0%\"` to `\"100%\"`", standard: "\"1%\"",
        "The share of the requests that are traced, for example `\"0.1%\"`; which ones, KMS's request id decides. A request that "
            + "a peer has passed on is traced where that peer traces it.",
        cost: "About 2 kB to the collector for each request that is traced, and the time to write and send them.")
    static let headers = ConfigurationKey(
        "headers", "secret", standard: "none",
        "Header fields that the collector is sent, one in a line (`Authorization: Bearer …`). To a collector on another host "
            + "only with `https`.")
    static let authorities = ConfigurationKey(
        "ca", "path", standard: "none: those of the system",
        "PEM file with the CAs that may have signed the collector's certificate. Only with `https`.")
    static let showKeys = ConfigurationKey(
        "show_keys", "boolean", standard: "false",
        "Whether traces name external key ids, and say in words why a request failed, which may name keys.",
        cost: "Whoever reads the traces sees which keys there are.")
    static let all = [endpoint, sample, headers, authorities, showKeys]
}

extension TableReader {
    func tracing(resolve: (String) -> String) -> TracingSettings? {
        let endpoint = text(
            TracingKeys.endpoint, required: "http://127.0.0.1:4318", "is no URL of a collector",
            fix: "write for example \"https://collector.example.com:4318\", without user, query and fragment",
            isShown: false
        ) { CollectorAddress($0) != nil }
        let ratio = percentage(TracingKeys.sample) ?? 0.01
        let headers = secret(TracingKeys.headers, resolve: resolve)
        let authorities = filePath(TracingKeys.authorities, resolve: resolve)
        let showsKeys = boolean(TracingKeys.showKeys, standard: false)
        guard let address = endpoint.flatMap({ CollectorAddress($0) }) else { return nil }
        if !address.isTLS, has(TracingKeys.headers), !address.isLoopback {
            problems.add(
                path(of: TracingKeys.headers.name),
                "needs an endpoint of https: over plain HTTP, whoever is on the way reads them",
                fix: "write endpoint = \"https://…\", or remove headers")
        }
        if !address.isTLS, has(TracingKeys.authorities) {
            report(
                TracingKeys.authorities, "is of no use without TLS", fix: "write endpoint = \"https://…\", or remove ca"
            )
        }
        return TracingSettings(
            endpoint: address, ratio: ratio, headers: headers, authorities: authorities, showsKeys: showsKeys)
    }

    /// As a fraction; `nil` where there is none.
    private func percentage(_ key: ConfigurationKey) -> Double? {
        let text = text(
            key, required: nil, "is no percentage from 0% to 100%", fix: "write for example \"1%\" or \"0.1%\""
        ) { Self.fraction($0) != nil }
        return text.flatMap(Self.fraction)
    }

    /// Of digits, at most one point among them, and `%`.
    private static func fraction(_ text: String) -> Double? {
        guard text.hasSuffix("%"), text.utf8.count <= 16, text.utf8.first.map({ (0x30...0x39).contains($0) }) == true,
            text.utf8.dropLast().allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }),
            let percent = Double(text.dropLast()), percent <= 100
        else { return nil }
        return percent / 100
    }
}
