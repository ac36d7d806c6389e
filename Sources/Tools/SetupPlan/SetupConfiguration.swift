// SPDX-License-Identifier: Apache-2.0
import NodeConfig

/// Where `init` puts what it makes.
package struct SetupPaths: Sendable, Equatable {
    package var configuration: String
    package var certificate: String
    package var key: String
    /// What a CA wants to have.
    package var request: String
    package var pin: String
    /// What KMS signs with.
    package var secret: String

    /// - Parameters:
    ///   - directory: absolute.
    ///   - hsm: `hsm.name`.
    ///   - pinsOfService: whether PINs have a directory of their own, from which systemd hands them to the node.
    package init(directory: String, hsm: String, pinsOfService: Bool) {
        let base = directory == "/" ? "" : directory
        configuration = "\(base)/claviger.toml"
        certificate = "\(base)/tls/cert.pem"
        key = "\(base)/tls/key.pem"
        request = "\(base)/tls/request.csr"
        pin = pinsOfService ? "\(base)/pins/\(hsm)" : "\(base)/\(hsm).pin"
        secret = "\(base)/kms.secret"
    }
}

/// The configuration that the answers make: commented, with what is often wanted besides in comments.
package struct SetupConfiguration: Sendable {
    package var answers: SetupAnswers
    /// `hsm.name`, 1 to 64 of `A-Z a-z 0-9 . _ -`.
    package var hsm: String
    /// Where the node finds the PIN.
    package var pin: SecretSource
    /// Of the library; by name.
    package var environment: [String: String]
    package var initializeArguments: String?
    package var accessKeyID: String
    /// Absolute path of the file with the secret.
    package var secret: String
    package var paths: SetupPaths

    package init(
        answers: SetupAnswers, hsm: String, pin: SecretSource, environment: [String: String] = [:],
        initializeArguments: String? = nil, accessKeyID: String, secret: String, paths: SetupPaths
    ) {
        self.answers = answers
        self.hsm = hsm
        self.pin = pin
        self.environment = environment
        self.initializeArguments = initializeArguments
        self.accessKeyID = accessKeyID
        self.secret = secret
        self.paths = paths
    }

    /// The text of the file. Holds no secret.
    ///
    /// - Throws: what the product's own reader finds wrong with it; never with answers that were all taken.
    package func text() throws(ConfigurationProblems) -> String {
        var text = ConfigurationText()
        text.comment(
            "Made by `claviger init`. docs/reference/configuration.md (man claviger.toml) has every key with its default, "
                + "range and cost; `claviger check` says what is wrong with a file, and what mends it; after a change of it, "
                + "`claviger reload`.")
        writeNode(&text)
        writeListeners(&text)
        writeCluster(&text)
        writeHSM(&text)
        writeKeyStore(&text)
        // Whatever an answer was that no rule knows of, a file that no node takes is not written.
        _ = try NodeConfiguration.parse(
            Array(text.text.utf8), file: paths.configuration, directory: answers.directory ?? "/")
        return text.text
    }

    private static func quoted(_ text: String) -> String { ConfigurationText.quoted(text) }

    private func writeNode(_ text: inout ConfigurationText) {
        text.line("\n[node]")
        text.comment("Unique among the nodes of a cluster; in logs, status and gossip.")
        text.set("id", Self.quoted(answers.nodeID ?? ""))
        text.comment("Where it stands: nodes of one site take one another for near.")
        text.line("# site = \"site-1\"")
        text.comment(
            "What must outlive a restart: the list of blocks, proofs of keys, the socket for orders. On a disk that lasts, the "
                + "node's own.")
        text.set("state_dir", Self.quoted(answers.stateDirectory ?? ""))
        text.comment(
            "How long the node goes on serving after SIGTERM while /readyz says 503: longer than the load balancer needs to "
                + "notice.")
        text.line("# drain_delay = \"3s\"")
        text.comment("A group whose members may give orders (block, reload) besides root and the node's user.")
        text.line("# admin_group = \"claviger-admin\"")
    }

    private func writeListeners(_ text: inout ConfigurationText) {
        let name = answers.endpoint ?? ""
        text.line("\n[xks]")
        text.comment(
            "Where KMS is listened for. KMS dials \(name) at port 443"
                + (answers.listen?.port == 443 ? "." : ": a load balancer, or a redirection of the port, leads here."))
        text.set("listen", Self.quoted(answers.listen?.description ?? ""))
        switch answers.certificate {
        case .file(let path):
            text.comment("For \(name), of a public CA of AWS's list, with the whole chain but the root.")
            text.set("certificate", Self.quoted(path))
            text.set("key", Self.quoted(answers.certificateKey ?? ""))
        case .request:
            text.comment(
                "Self-signed, until a CA of AWS's list has answered to \(paths.request): put its answer, with the whole chain, "
                    + "in place of the certificate, then `claviger reload`. The key stays.")
            text.set("certificate", Self.quoted(paths.certificate))
            text.set("key", Self.quoted(paths.key))
        case .selfSigned, nil:
            text.comment(
                "Self-signed: KMS takes only one of a public CA of AWS's list (docs/guides/certificates.md), shown by the node "
                    + "or by what ends TLS before it.")
            text.set("certificate", Self.quoted(paths.certificate))
            text.set("key", Self.quoted(paths.key))
        }
        text.comment(
            "KMS gives up after 250 ms, its way here and back included: 200ms is for a round trip of up to 35 ms.")
        text.line("# request_deadline = \"200ms\"")
        text.comment(
            "Mutual TLS, both together: KMS shows a certificate of Amazon Trust Services for its region's name.")
        text.line("# client_ca = \"/etc/claviger/tls/amazon-trust.pem\"")
        text.line("# client_name = \"cks.kms.eu-central-1.amazonaws.com\"")
        text.line("\n[control]")
        text.comment(
            "Health for the load balancer (/readyz), metrics, the status page at /: plain HTTP, read only, for this host."
        )
        text.set("listen", Self.quoted(answers.control?.description ?? ""))
        text.comment(
            "Beyond this host: HTTPS, and a token for all but /readyz, /livez, /ping (docs/guides/status-page.md).")
        text.line("# certificate = \"/etc/claviger/tls/control.pem\"")
        text.line("# key = \"/etc/claviger/tls/control-key.pem\"")
        text.line("# token = { file = \"/etc/claviger/control.token\" }")
    }

    private func writeCluster(_ text: inout ConfigurationText) {
        text.line()
        text.comment("A record of each request and each order, chained and signed (docs/guides/audit.md).")
        text.line("# [audit]")
        text.line("# directory = \"/var/lib/claviger/audit\"   # a file system of its own is better")
        text.line()
        text.comment(
            "Several nodes as one (docs/guides/three-sites.md). `claviger cluster new-ca` and `claviger cluster issue` make the "
                + "files; all have the same [[keystore]] with the same credential.")
        text.line("# [cluster]")
        text.line("# listen = \"0.0.0.0:7443\"")
        text.line("# advertise = \"node-1.example.com:7443\"   # where the others reach it")
        text.line("# seeds = [\"node-2.example.com:7443\", \"node-3.example.com:7443\"]")
        text.line("# ca = \"/etc/claviger/cluster/ca.pem\"")
        text.line("# certificate = \"/etc/claviger/cluster/node-1.pem\"")
        text.line("# key = \"/etc/claviger/cluster/node-1-key.pem\"")
    }

    private func writeHSM(_ text: inout ConfigurationText) {
        text.line()
        text.comment(
            "One such table for each HSM: a second one keeps the node serving when this one fails. All must hold the same keys "
                + "under the same labels; the node proves it before it uses one.")
        text.line("[[hsm]]")
        text.comment("In status, logs and metrics.")
        text.set("name", Self.quoted(hsm))
        text.comment("The vendor's library, loaded by a process of its own. `claviger hsm list` shows what is in it.")
        text.set("module", Self.quoted(answers.module ?? ""))
        text.comment("Which of its tokens; or { serial = \"…\" }, { slot = 1 }.")
        switch answers.token {
        case .label(let label): text.set("token", "{ label = \(Self.quoted(label)) }")
        case .serial(let serial): text.set("token", "{ serial = \(Self.quoted(serial)) }")
        case .slot(let slot): text.set("token", "{ slot = \(slot) }")
        case nil: break
        }
        switch pin {
        case .credential(let name):
            text.comment(
                "The user PIN, which systemd hands to the node (LoadCredential= in the unit) out of \(paths.pin).")
            text.set("pin", "{ credential = \(Self.quoted(name)) }")
        case .file(let path):
            text.comment("The user PIN; or { credential = \"…\" } (systemd), { command = […] }.")
            text.set("pin", "{ file = \(Self.quoted(path)) }")
        case .environment, .command: break
        }
        if !environment.isEmpty {
            text.comment("What the library wants in its environment: it gets nothing else of the node's.")
            let pairs = environment.sorted { $0.key < $1.key }.map { "\($0.key) = \(Self.quoted($0.value))" }
            text.set("env", "{ \(pairs.joined(separator: ", ")) }")
        }
        if let initializeArguments {
            text.comment("What the library wants in C_Initialize.")
            text.set("initialize_arguments", Self.quoted(initializeArguments))
        }
        text.comment("Requests that the HSM is given at a time: as many as it takes before it becomes slower.")
        text.line("# sessions = 16")
        text.comment("Asked only while no HSM of tier 0 can serve: one that is far away, or slow.")
        text.line("# tier = 1")
    }

    private func writeKeyStore(_ text: inout ConfigurationText) {
        let prefix = answers.pathPrefix ?? ""
        text.line("\n[[keystore]]")
        text.comment(
            "The KMS console asks for \(prefix)/kms/xks/v1 (XksProxyUriPath), and https://\(answers.endpoint ?? "").")
        text.set("path_prefix", Self.quoted(prefix))
        text.comment(
            "Labels of AES-256 keys, which are what KMS calls them; patterns such as \"prod-*\"; { id = \"for KMS\", label = \"…\" }."
        )
        let keys = answers.keys.map { key in
            switch key {
            case .label(let label): Self.quoted(label)
            case .named(let id, let label): "{ id = \(Self.quoted(id)), label = \(Self.quoted(label)) }"
            }
        }
        text.set("keys", "[\(keys.joined(separator: ", "))]")
        text.comment(
            "What KMS signs with: no credential of IAM. `claviger keystore rotate` leads through replacing it.")
        text.set(
            "credentials",
            "[{ access_key_id = \(Self.quoted(accessKeyID)), secret = { file = \(Self.quoted(secret)) } }]")
        text.comment("Regions that KMS may sign for; without it, any.")
        text.line("# regions = [\"eu-central-1\"]")
        text.comment("Who may use which key (docs/guides/policies.md); without it, all that KMS signs for.")
        text.line("# policy = \"policy.json\"")
        text.comment("Of all nodes together, fair among principals (docs/guides/quotas.md); without it, no limit.")
        text.line("# requests_per_second = 1800")
    }
}

// MARK: - What comes next

/// What a person is told at the end.
package struct SetupNext: Sendable {
    package var configuration: SetupConfiguration
    /// Whether the unit of the package starts this very file.
    package var isService: Bool

    package init(_ configuration: SetupConfiguration, isService: Bool) {
        self.configuration = configuration
        self.isService = isService
    }

    package var lines: [String] {
        let answers = configuration.answers
        let paths = configuration.paths
        func quoted(_ word: String) -> String { SetupInterview.quoted(word) }
        let prefix = quoted(answers.pathPrefix ?? "")
        var lines = ["Next:"]
        lines.append(
            isService
                ? "  systemctl enable --now claviger"
                : "  claviger serve --config \(quoted(paths.configuration))")
        lines.append("  claviger status --config \(quoted(paths.configuration))")
        if answers.certificate == .request {
            lines.append(
                "  have \(paths.request) signed by a CA of AWS's list, put its answer in place of \(paths.certificate), "
                    + "then claviger reload --config \(quoted(paths.configuration))")
        }
        lines.append(
            "  claviger keystore console-file --path-prefix \(prefix) --access-key-id \(configuration.accessKeyID) "
                + "--secret-file \(quoted(configuration.secret)) --output console.json")
        lines.append(
            "  the key store in KMS, at https://\(answers.endpoint ?? ""): docs/guides/register-with-kms.md "
                + "(aws kms create-custom-key-store)")
        return lines
    }
}
