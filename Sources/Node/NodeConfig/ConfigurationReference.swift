// SPDX-License-Identifier: Apache-2.0

/// The reference of the configuration file, made of the very keys that the reader takes.
package enum ConfigurationReference {
    /// Every table and its keys, in the order of a usual file.
    package static let tables: [ConfigurationTable] = [
        ConfigurationTable(
            title: "[node]", introduction: "Who this node is and where it keeps its state.", keys: NodeKeys.all),
        ConfigurationTable(
            title: "[xks]",
            introduction:
                "The listener for KMS: address, TLS, limits, deadlines. Limits come before work: what exceeds "
                + "one is refused before anything is done for it.",
            keys: XKSKeys.all),
        ConfigurationTable(
            title: "xks.tcp_keepalive", introduction: "TCP keep-alive of KMS's connections.", keys: KeepaliveKeys.all),
        ConfigurationTable(
            title: "[control]",
            introduction:
                "The listener for people, load balancers and monitoring. It only reads. The table may be left "
                + "out.",
            keys: ControlKeys.all),
        ConfigurationTable(
            title: "[cluster]",
            introduction:
                "The nodes that stand behind one load balancer as one endpoint know of one another over mutual TLS. "
                + "Without the table the node is alone.",
            keys: ClusterKeys.all),
        ConfigurationTable(
            title: "[audit]",
            introduction:
                "A record of each authenticated request and each order, chained and signed ([audit log](audit.md)). "
                + "Without the table none is written: what a node keeps for years is nobody's default. With the table "
                + "alone all is recorded.",
            keys: AuditKeys.all),
        ConfigurationTable(
            title: "[tracing]",
            introduction:
                "Where traces of requests go ([tracing](../guides/tracing.md)). Without the table nothing is traced.",
            keys: TracingKeys.all),
        ConfigurationTable(
            title: "[[hsm]]",
            introduction: "One PKCS#11 token, served by a worker process of its own. One table for each, up to 64.",
            keys: HSMKeys.all),
        ConfigurationTable(
            title: "hsm.token",
            introduction: "Which of the library's tokens: exactly one of these keys.",
            keys: TokenKeys.all),
        ConfigurationTable(
            title: "[[keystore]]",
            introduction: "One endpoint for KMS, with keys and credentials of its own, isolated from the others.",
            keys: KeyStoreKeys.all),
        ConfigurationTable(
            title: "keystore.keys",
            introduction: "An entry that is a table gives a key another external id than its label.",
            keys: KeyEntryKeys.all),
        ConfigurationTable(
            title: "keystore.credentials", introduction: "An access key that KMS signs with.",
            keys: CredentialKeys.all),
        ConfigurationTable(
            title: "Secrets",
            introduction: "No secret stands in the file. Where one is wanted (`hsm.pin`, "
                + "`keystore.credentials.secret`, `control.token`, `tracing.headers`), a table with exactly one of these keys says where it is to be had. "
                + "A secret has 1 to 4,096 bytes.",
            keys: SecretKeys.all),
    ]

    /// The document, in Markdown.
    package static func markdown() -> String {
        tables.reduce(preamble) { $0 + section($1) }
    }

    private static func section(_ table: ConfigurationTable) -> String {
        let title = table.title == "Secrets" ? table.title : "`\(table.title)`"
        var text = "\n## \(title)\n\n\(table.introduction)\n"
        for key in table.keys {
            text += "\n### `\(key.name)`\n\n"
            text += "Type: \(key.type). \(standard(key))\(restart(table, key))\n\n\(key.meaning)\n"
            if !key.cost.isEmpty { text += "\nCost: \(key.cost)\n" }
        }
        return text
    }

    private static func restart(_ table: ConfigurationTable, _ key: ConfigurationKey) -> String {
        NodeSettings.needsRestart(table.path + "." + key.name) ? " Changed by a restart." : ""
    }

    /// A value is shown as code; `required`, `none: …` and the like are words.
    private static func standard(_ key: ConfigurationKey) -> String {
        if key.standard.hasPrefix("required") { return "R" + key.standard.dropFirst() + "." }
        let isValue =
            (key.standard.hasPrefix("\"") && key.standard.hasSuffix("\"")) || Int(key.standard) != nil
            || key.standard == "false" || key.standard == "true"
        return "Default: " + (isValue ? "`\(key.standard)`" : key.standard) + "."
    }

    private static let preamble = """
        # The configuration file

        A [TOML](https://toml.io/en/v1.0.0) file of at most 1 MiB. `claviger check --config FILE` tells everything that
        is wrong with it at once: line, key, value, and what mends it. Keys that are not named here are errors.

        Durations are a whole number and a unit (`ms`, `s`, `m`, `h`) in quotes: `"200ms"`, `"5s"`. Relative paths begin
        at the directory of the file.

        `claviger reload` and SIGHUP take the file over without dropping a connection. Where a key is *changed by a
        restart*, a reload with another value is refused and says so; tables of HSMs and key stores may come and go.

        ```toml
        [node]
        id = "fra-1"

        [xks]
        listen = "0.0.0.0:8443"
        certificate = "/etc/claviger/tls/cert.pem"
        key = "/etc/claviger/tls/key.pem"

        [[hsm]]
        name = "hsm-a"
        module = "/usr/lib/softhsm/libsofthsm2.so"
        token = { label = "xks" }
        pin = { file = "/etc/claviger/hsm-a.pin" }

        [[keystore]]
        path_prefix = "/example/uri/path/prefix"
        keys = ["foo", "prod-*", { id = "payments", label = "Payments key 2024" }]
        credentials = [
            { access_key_id = "BETWEEN2TECHNIQUE2EXTRAS", secret = { file = "/etc/claviger/secret" } },
        ]
        ```

        """
}
