// SPDX-License-Identifier: Apache-2.0

/// The whole configuration, validated: every value in its range, every name known, every path absolute.
/// What files and tokens it points at has not been looked at.
package struct NodeSettings: Sendable, Equatable {
    package var node: NodeIdentitySettings
    package var xks: XKSSettings
    package var control: ControlSettings
    /// `nil` for a node that is alone.
    package var cluster: ClusterTableSettings?
    /// `nil` where no audit log is written.
    package var audit: AuditTableSettings?
    /// `nil` where nothing is traced.
    package var tracing: TracingSettings?
    /// At least one; names differ.
    package var hsms: [HSMSettings]
    /// At least one; prefixes differ.
    package var keyStores: [KeyStoreSettings]

    package init(
        node: NodeIdentitySettings, xks: XKSSettings, control: ControlSettings, cluster: ClusterTableSettings? = nil,
        audit: AuditTableSettings? = nil, tracing: TracingSettings? = nil, hsms: [HSMSettings],
        keyStores: [KeyStoreSettings]
    ) {
        self.node = node
        self.xks = xks
        self.control = control
        self.cluster = cluster
        self.audit = audit
        self.tracing = tracing
        self.hsms = hsms
        self.keyStores = keyStores
    }

    /// Where all secrets come from.
    package var secretSources: [SecretSource] {
        hsms.compactMap(\.pin) + keyStores.flatMap { $0.credentials.map(\.secret) }
            + [control.protection?.token, tracing?.headers].compactMap(\.self)
    }

    /// The environment variables that hold secrets: what a `SecretReader` takes out of the environment.
    package var secretVariables: Set<String> {
        Set(
            secretSources.compactMap { source in
                if case .environment(let name) = source { name } else { nil }
            })
    }
}

/// The tables at the top of the file.
enum RootKeys {
    static let node = ConfigurationKey("node", "table", standard: "required", "Who this node is.")
    static let xks = ConfigurationKey("xks", "table", standard: "required", "The listener for KMS.")
    static let control = ConfigurationKey(
        "control", "table", standard: "the defaults of its keys",
        "The listener for people, load balancers and monitoring.")
    static let cluster = ConfigurationKey(
        "cluster", "table", standard: "none: the node is alone", "How the nodes of a cluster reach one another.")
    static let audit = ConfigurationKey(
        "audit", "table", standard: "none: no audit log is written", "The audit log; an empty table takes all defaults."
    )
    static let tracing = ConfigurationKey(
        "tracing", "table", standard: "none: nothing is traced", "Where traces of requests go.")
    static let hsms = ConfigurationKey("hsm", "list of tables", standard: "required", "The HSMs, 1 to 64.")
    static let keyStores = ConfigurationKey(
        "keystore", "list of tables", standard: "required", "The key stores, 1 to 1024.")
    static let all = [node, xks, control, cluster, audit, tracing, hsms, keyStores]
}

extension TableReader {
    func settings(resolve: (String) -> String) -> NodeSettings {
        let node = required(RootKeys.node, keys: NodeKeys.all)
        let xks = required(RootKeys.xks, keys: XKSKeys.all)
        let control = table(RootKeys.control, keys: ControlKeys.all)
        let cluster = table(RootKeys.cluster, keys: ClusterKeys.all)
        let audit = table(RootKeys.audit, keys: AuditKeys.all)
        let tracing = table(RootKeys.tracing, keys: TracingKeys.all)
        let hsmReaders = requiredList(RootKeys.hsms, keys: HSMKeys.all, atMost: 64)
        let hsms = hsmReaders.map { $0.hsm(resolve: resolve) }
        let names = hsms.map(\.name)
        let keyStoreReaders = requiredList(RootKeys.keyStores, keys: KeyStoreKeys.all, atMost: 1024)
        let keyStores = keyStoreReaders.map { $0.keyStore(hsmNames: names, resolve: resolve) }
        reportTwins(hsms, hsmReaders)
        reportTwins(keyStores, keyStoreReaders)
        let settings = NodeSettings(
            node: node.nodeIdentity(isClustered: has(RootKeys.cluster), resolve: resolve),
            xks: xks.xks(resolve: resolve),
            control: (control ?? empty(RootKeys.control, keys: ControlKeys.all)).control(resolve: resolve),
            cluster: cluster?.cluster(resolve: resolve), audit: audit?.audit(resolve: resolve),
            tracing: tracing?.tracing(resolve: resolve), hsms: hsms, keyStores: keyStores)
        reportClashes(settings)
        return settings
    }

    /// Listeners that cannot both have their port.
    private func reportClashes(_ settings: NodeSettings) {
        var listeners = [
            (path: "xks.listen", name: "XKS", address: settings.xks.listen),
            (path: "control.listen", name: "control", address: settings.control.listen),
        ]
        if let cluster = settings.cluster { listeners.append(("cluster.listen", "cluster", cluster.listen)) }
        for (index, listener) in listeners.enumerated() {
            guard let other = listeners.prefix(index).first(where: { $0.address.overlaps(listener.address) }) else {
                continue
            }
            let isSame = other.address == listener.address
            problems.add(
                listener.path, value: Shown.quoted("\(listener.address)"),
                isSame
                    ? "is the address of the \(other.name) listener"
                    : "overlaps with the address of the \(other.name) listener, \(other.address)",
                fix: "choose another port")
        }
    }

    private func required(_ key: ConfigurationKey, keys: [ConfigurationKey]) -> TableReader {
        if let reader = table(key, keys: keys) { return reader }
        if !has(key) { reportMissing(key, fix: "add a table [\(key.name)]") }
        return empty(key, keys: keys)
    }

    private func empty(_ key: ConfigurationKey, keys: [ConfigurationKey]) -> TableReader {
        TableReader([:], path: path(of: key.name), keys: keys, problems: problems)
    }

    private func requiredList(_ key: ConfigurationKey, keys: [ConfigurationKey], atMost: Int) -> [TableReader] {
        if case .table = node(key) {
            report(key, "must be a list of tables, and is one table", fix: "write [[\(key.name)]], in double brackets")
            return []
        }
        let readers = tables(key, keys: keys)
        if readers.isEmpty, list(key)?.isEmpty ?? !has(key) {
            reportMissing(key, fix: "add a table [[\(key.name)]]")
        }
        if readers.count > atMost { report(key, "has more than \(atMost) tables", fix: "remove some") }
        return Array(readers.prefix(atMost))
    }

    private func reportTwins(_ hsms: [HSMSettings], _ readers: [TableReader]) {
        var names: Set<String> = []
        var tokens: [TokenReference: String] = [:]
        for (hsm, reader) in zip(hsms, readers) {
            if !hsm.name.isEmpty, !names.insert(hsm.name).inserted {
                reader.report(HSMKeys.name, "is the name of another HSM", fix: "give each HSM a name of its own")
            }
            guard !hsm.module.isEmpty, hsm.token != .label("") else { continue }
            let reference = TokenReference(
                module: hsm.module, token: hsm.token, environment: hsm.environment, arguments: hsm.initializeArguments)
            if let other = tokens.updateValue(hsm.name, forKey: reference) {
                problems.add(
                    reader.path(of: HSMKeys.token.name), "is the token of hsm \(Shown.quoted(other))",
                    fix: "remove one, and raise sessions of the other; a token counted twice makes no second HSM")
            }
        }
    }

    private func reportTwins(_ keyStores: [KeyStoreSettings], _ readers: [TableReader]) {
        var prefixes: Set<String> = []
        for (keyStore, reader) in zip(keyStores, readers) {
            // A prefix that is missing or wrong reads as empty and has been reported already.
            guard case .string(keyStore.pathPrefix) = reader.node(KeyStoreKeys.pathPrefix) else { continue }
            if !prefixes.insert(keyStore.pathPrefix).inserted {
                reader.report(
                    KeyStoreKeys.pathPrefix, "is the path of another key store",
                    fix: "give each key store a path of its own")
            }
        }
    }
}

/// What makes two `[[hsm]]` tables mean one token. The environment counts, and so do the arguments: they choose the
/// configuration of vendors' libraries.
private struct TokenReference: Hashable {
    var module: String
    var token: HSMSettings.Token
    var environment: [String: String]
    var arguments: String?
}
