// SPDX-License-Identifier: Apache-2.0

/// `[control]`: the listener for people, load balancers and monitoring. It only reads.
package struct ControlSettings: Sendable, Equatable {
    /// What TLS is served with, and who is answered.
    package struct Protection: Sendable, Equatable {
        /// Absolute paths of PEM files.
        package var certificate: String
        package var key: String
        /// `nil` where nobody is asked for a token.
        package var token: SecretSource?

        package init(certificate: String, key: String, token: SecretSource? = nil) {
            self.certificate = certificate
            self.key = key
            self.token = token
        }
    }

    package var listen: ListenAddress
    /// `nil` for plain HTTP.
    package var protection: Protection?
    /// Whether metrics and the status page name keys.
    package var showsKeys: Bool

    package init(listen: ListenAddress, protection: Protection? = nil, showsKeys: Bool = false) {
        self.listen = listen
        self.protection = protection
        self.showsKeys = showsKeys
    }
}

enum ControlKeys {
    static let listen = ConfigurationKey(
        "listen", "address and port", standard: "\"127.0.0.1:8080\"",
        "Where the status page (`/`), `/ping`, `/livez`, `/readyz`, `/health`, `/cluster/health` and `/metrics` are served: "
            + "over plain HTTP and to everybody, unless `certificate` and `token` say otherwise.",
        cost: "Beyond the loopback address, whoever reaches it sees names and states of the HSMs.")
    static let certificate = ConfigurationKey(
        "certificate", "path", standard: "none: plain HTTP",
        "PEM file with the certificate that the listener shows, then intermediate ones. With it the listener serves HTTPS "
            + "alone. A reload takes over another one, and goes over from HTTP to HTTPS or back.",
        cost: "Load balancers and Prometheus have to ask by HTTPS.")
    static let key = ConfigurationKey(
        "key", "path", standard: "none",
        "PEM file with the private key of the certificate; owner and mode as for files of secrets.")
    static let token = ConfigurationKey(
        "token", "secret", standard: "none: everybody is answered",
        "What whoever asks has to show, as bearer token or, in a browser, as password with any user name: 16 to 512 of "
            + "`A-Z a-z 0-9 - . _ ~ + /`, then any number of `=`; `openssl rand -hex 32` makes one. Only with `certificate`. "
            + "`/ping`, `/livez` and `/readyz` are answered without it, for load balancers; `/readyz` then names no HSM.",
        cost: "Prometheus needs a copy (`authorization: { credentials_file: … }`).")
    static let showKeys = ConfigurationKey(
        "show_keys", "boolean", standard: "false",
        "Whether `/metrics` has series for each key, by label, up to 500 keys, and the status page names keys. Without it, "
            + "and with more, the series are those of the key that is worst off.",
        cost: "Whoever reaches the listener sees which keys there are.")
    static let all = [listen, certificate, key, token, showKeys]
}

extension TableReader {
    func control(resolve: (String) -> String) -> ControlSettings {
        ControlSettings(
            listen: address(ControlKeys.listen, standard: ListenAddress(host: "127.0.0.1", port: 8080)),
            protection: controlProtection(resolve: resolve),
            showsKeys: boolean(ControlKeys.showKeys, standard: false))
    }

    private func controlProtection(resolve: (String) -> String) -> ControlSettings.Protection? {
        let files = [ControlKeys.certificate, ControlKeys.key]
        let token = secret(ControlKeys.token, resolve: resolve)
        guard files.contains(where: has) else {
            if has(ControlKeys.token) {
                // Where it stands in the file itself, that has been said.
                problems.add(
                    path(of: ControlKeys.token.name),
                    "needs certificate and key: over plain HTTP, whoever is on the way reads the token",
                    fix: "write certificate = \"/etc/claviger/tls/control.pem\" and key, or remove token")
            }
            return nil
        }
        for key in files where !has(key) {
            reportMissing(key, fix: "write \(key.name) = \"/etc/claviger/tls/control-\(key.name).pem\"")
        }
        guard let certificate = filePath(ControlKeys.certificate, resolve: resolve),
            let key = filePath(ControlKeys.key, resolve: resolve)
        else { return nil }
        return ControlSettings.Protection(certificate: certificate, key: key, token: token)
    }
}
