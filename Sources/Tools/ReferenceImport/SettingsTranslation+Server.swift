// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import XKSProtocol

// What becomes of the tables `server`, `tracing`, `security`, `tls` and `limits`.

extension SettingsTranslation {
    mutating func translate(server: SettingsTable) {
        noteOthers(
            of: server,
            than: [
                "ip", "port", "port_http_ping", "region", "service", "ciphertext_metadata_b64", "tcp_keepalive",
                "tcp_keepalive_secs",
            ])
        if let ip = server.requiredText("ip"), let port = server.integer("port", 1...65535) {
            let address = ip.contains(":") ? "[\(ip)]:\(port)" : "\(ip):\(port)"
            if ListenAddress(address) == nil {
                server.report("ip", "is not an IP address", fix: "write for example \"0.0.0.0\"")
            }
            xks.set("listen", ConfigurationText.quoted(address))
        } else if !server.has("port") {
            _ = server.requiredText("port")
        }
        note(
            .toDo, server, "port_http_ping",
            "the load balancer's check has to be changed: /ping, and /readyz, which says whether this node can serve, are "
                + "answered at `listen` of [control], 127.0.0.1:8080 without that table. Set it to an address that the "
                + "balancer reaches; it shows the status page and metrics besides, so give it `certificate` and `token`, "
                + "or close it to others (docs/guides/load-balancers.md)")
        if let region = server.text("region") { translate(region: region, of: server) }
        if let service = server.text("service"), service != "kms-xks-proxy" {
            note(
                .told, server, "service", "left out: KMS signs for \"kms-xks-proxy\" alone, and so does Claviger expect"
            )
        }
        translateMetadata(of: server)
    }

    private mutating func translate(region: String, of server: SettingsTable) {
        let isRegion =
            (3...32).contains(region.utf8.count)
            && region.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
        guard isRegion else {
            return server.report("region", "is not a region", fix: "write its code, for example \"eu-central-1\"")
        }
        allow(region: region)
    }

    private mutating func translateMetadata(of server: SettingsTable) {
        guard let text = server.text("ciphertext_metadata_b64") else { return }
        let encoded = Array(text.utf8)
        guard let bytes = encoded.withUnsafeBytes({ Base64.decode($0) })?.withUnsafeBytes(Array.init) else {
            return server.report(
                "ciphertext_metadata_b64", "is not Base64",
                fix: "the reference proxy does not start with it; give the settings that it runs with")
        }
        switch CiphertextMetadata(bytes) {
        case .foreign, .absent:
            note(
                .told, server, "ciphertext_metadata_b64",
                "left out: Claviger marks new ciphertext with metadata of its own. Old ciphertext brings these along, and "
                    + "opens")
        case .claviger, .clavigerUnknown:
            server.report(
                "ciphertext_metadata_b64",
                "is the mark of Claviger's own ciphertext, so that what was made with it is "
                    + "taken for that, and does not open",
                fix: "change it, and have KMS encrypt anew (ReEncrypt) while the reference proxy still runs")
        }
    }

    mutating func translateKeepalive(of server: SettingsTable) {
        // Earlier versions had one number in `server` itself.
        let table = server.table("tcp_keepalive")
        if let table {
            noteOthers(
                of: table, than: ["tcp_keepalive_secs", "tcp_keepalive_retries", "tcp_keepalive_interval_secs"])
        }
        var parts: [String] = []
        let source = table?.has("tcp_keepalive_secs") == true ? table : server
        if let source, let seconds = keepalive(source, "tcp_keepalive_secs", 1...3_600) {
            parts.append("idle = \"\(seconds)s\"")
        } else {
            note(
                .told, source ?? server, "tcp_keepalive_secs",
                "without it the reference proxy sends no TCP keep-alive; Claviger does, by default after a minute")
        }
        if let table, let seconds = keepalive(table, "tcp_keepalive_interval_secs", 1...3_600) {
            parts.append("interval = \"\(seconds)s\"")
        }
        if let table, let count = keepalive(table, "tcp_keepalive_retries", 1...20) { parts.append("count = \(count)") }
        if !parts.isEmpty { xks.set("tcp_keepalive", "{ \(parts.joined(separator: ", ")) }") }
    }

    private mutating func keepalive(_ table: SettingsTable, _ key: String, _ range: ClosedRange<Int>) -> Int? {
        clamped(table, key, range, largest: Int(UInt32.max))
    }

    /// A number within the range that Claviger takes; that it was another is noted.
    mutating func clamped(
        _ table: SettingsTable, _ key: String, _ range: ClosedRange<Int>, largest: Int
    ) -> Int? {
        guard let number = table.integer(key, 0...largest) else { return nil }
        let taken = min(max(number, range.lowerBound), range.upperBound)
        if taken != number {
            note(.told, table, key, "taken as \(taken): Claviger takes \(range.lowerBound) to \(range.upperBound)")
        }
        return taken
    }

    mutating func translate(tracing: SettingsTable) {
        noteOthers(
            of: tracing,
            than: [
                "is_stdout_writer_enabled", "is_file_writer_enabled", "level", "directory", "file_prefix",
                "rotation_kind",
            ])
        if let level = tracing.text("level") {
            switch level.uppercased() {
            case "TRACE", "DEBUG", "INFO": node.set("log_level", ConfigurationText.quoted(level.lowercased()))
            case "WARN", "ERROR":
                node.set("log_level", "\"notice\"")
                note(
                    .told, tracing, "level",
                    "taken as log_level = \"notice\", the least that can be logged: requests have a line only where they "
                        + "failed by a fault of this side")
            default:
                tracing.report("level", "is none of TRACE, DEBUG, INFO, WARN, ERROR", fix: "correct it")
            }
        }
        if tracing.boolean("is_file_writer_enabled") == true {
            note(
                .told, tracing, "is_file_writer_enabled",
                "left out, with directory, file_prefix and rotation_kind: the log goes to standard error, and what runs the "
                    + "node (systemd's journal, for example) keeps and rotates it. For records that prove what was done "
                    + "there is [audit] (docs/guides/audit.md)")
        }
        if tracing.boolean("is_stdout_writer_enabled") == false {
            note(
                .told, tracing, "is_stdout_writer_enabled", "left out: the log always goes to standard error")
        }
    }

    mutating func translate(security: SettingsTable, tls: SettingsTable?) {
        noteOthers(
            of: security, than: ["is_sigv4_auth_enabled", "is_tls_enabled", "is_mtls_enabled", "secondary_auth", "oso"])
        if let tls {
            noteOthers(of: tls, than: ["tls_cert_pem", "tls_key_pem", "mtls_client_ca_pem", "mtls_client_dns_name"])
        }
        if security.boolean("is_sigv4_auth_enabled") == false {
            note(
                .told, security, "is_sigv4_auth_enabled", "left out: Claviger takes no request that is not signed")
        }
        let hasTLS = security.boolean("is_tls_enabled") ?? false
        let asksForCertificate = security.boolean("is_mtls_enabled") ?? false
        if !security.has("is_tls_enabled") {
            security.report(
                "is_tls_enabled", "is missing", fix: "give the settings.toml that the reference proxy runs with")
        }
        if hasTLS {
            translate(tls: tls, in: security, asksForCertificate: asksForCertificate)
        } else {
            xks.set("plaintext", "true")
            note(
                .toDo, security, "is_tls_enabled",
                "carried over as plaintext = true: whoever can read the network to this node reads the plaintext of every "
                    + "key. It is for a TLS terminator on the same host; a load balancer elsewhere can speak TLS to the "
                    + "node: `certificate`, `key` and certificate_for = \"balancer\" in place of it")
        }
        translateOso(security)
    }

    private mutating func translate(tls: SettingsTable?, in security: SettingsTable, asksForCertificate: Bool) {
        guard let tls else {
            return security.report(
                "is_tls_enabled", "is true, and there is no table tls",
                fix: "give the settings.toml that the reference proxy runs with")
        }
        if let certificate = path(tls, "tls_cert_pem") { xks.set("certificate", certificate) }
        if let key = path(tls, "tls_key_pem") { xks.set("key", key) }
        if asksForCertificate {
            if let authority = path(tls, "mtls_client_ca_pem") { xks.set("client_ca", authority) }
            if let name = tls.requiredText("mtls_client_dns_name") {
                xks.set("client_name", ConfigurationText.quoted(name))
                if !name.hasPrefix("cks.kms.") || !name.hasSuffix(".amazonaws.com") {
                    note(
                        .toDo, tls, "mtls_client_dns_name",
                        "KMS shows a certificate for cks.kms.REGION.amazonaws.com; with another name nobody but a test "
                            + "client gets in")
                }
            }
        } else if tls.text("mtls_client_ca_pem")?.isEmpty == false {
            note(
                .told, tls, "mtls_client_ca_pem",
                "left out, with mtls_client_dns_name: is_mtls_enabled is not true. In Claviger client_ca and client_name "
                    + "turn it on")
        }
    }

    private mutating func translateOso(_ security: SettingsTable) {
        let oso = security.table("oso")
        if let oso { noteOthers(of: oso, than: ["polar_file_path"]) }
        guard security.text("secondary_auth") != nil else {
            if let oso {
                note(.told, oso, "polar_file_path", "left out: without secondary_auth it had no effect")
            }
            return
        }
        askForPolicy()
        let rules = oso?.shown("polar_file_path").map { " (\($0))" } ?? ""
        note(
            .toDo, security, "secondary_auth",
            "its rules\(rules) cannot be translated. Write them as a policy in the language of IAM's, \(Self.policyFile) "
                + "beside this file (docs/guides/policies.md; `claviger policy check`): so that no protection is lost "
                + "unnoticed, no node starts until it is there. Whoever wants none takes the lines `policy` out")
    }

    mutating func translate(limits: SettingsTable) {
        noteOthers(of: limits, than: ["max_plaintext_in_base64", "max_aad_in_base64"])
        translate(limit: "max_plaintext_in_base64", of: limits, as: "max_plaintext_bytes", 8_192...65_536)
        translate(limit: "max_aad_in_base64", of: limits, as: "max_aad_bytes", 16_384...65_535)
    }

    /// The reference proxy counts characters of Base64, on encryption alone; Claviger bytes before it, on decryption too.
    private mutating func translate(
        limit key: String, of limits: SettingsTable, as name: String, _ range: ClosedRange<Int>
    ) {
        guard let characters = limits.integer(key, 0...Int(UInt32.max)) else { return }
        let bytes = characters / 4 * 3
        let taken = min(max(bytes, range.lowerBound), range.upperBound)
        if taken > range.lowerBound { xks.set(name, "\(taken)") }
        note(
            .told, limits, key,
            "\(name) = \(taken), in bytes before Base64"
                + (taken == bytes
                    ? "" : "; the setting is \(bytes), and Claviger takes \(range.lowerBound) to \(range.upperBound)"))
    }
}
