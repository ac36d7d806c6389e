// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import SecureMemory
import SigV4
import XKSProtocol

/// Goes through the settings of the AWS reference proxy, table by table, and gathers what becomes of them.
///
/// The names and meanings are those of its settings.rs and settings.toml at 9f89898, the last version; settings that only
/// earlier versions had are known, too.
struct SettingsTranslation {
    let file: String
    let options: ImportOptions
    let outline: TOMLOutline
    let problems: ProblemCollector

    var node = ConfigurationText()
    var xks = ConfigurationText()
    var hsm = ConfigurationText()
    var keyStores = ConfigurationText()
    var secrets: [ImportedSecret] = []
    var notes: [ImportNote] = []

    /// Lines of a key store's table that the rest of the settings asks for.
    private var regions: String?
    private var policy: String?

    init(file: String, options: ImportOptions, outline: TOMLOutline, problems: ProblemCollector) {
        self.file = file
        self.options = options
        self.outline = outline
        self.problems = problems
    }

    /// The name of the policy that has to be written where the reference proxy asked Oso; beside the configuration.
    static let policyFile = "policy.json"

    mutating func translate(_ root: SettingsTable) {
        let known = [
            "server", "tracing", "security", "tls", "external_key_stores", "pkcs11", "pkcs11_logger", "limits",
            "hsm_capabilities",
        ]
        noteOthers(of: root, than: known)
        node.set("id", ConfigurationText.quoted(options.nodeID))
        if let server = root.table("server", isRequired: true) { translate(server: server) }
        if let tracing = root.table("tracing") { translate(tracing: tracing) }
        if let security = root.table("security", isRequired: true) {
            translate(security: security, tls: root.table("tls"))
        }
        if let limits = root.table("limits") { translate(limits: limits) }
        if let server = root.table("server") { translateKeepalive(of: server) }
        if let module = root.table("pkcs11", isRequired: true) {
            translate(pkcs11: module, logger: root.table("pkcs11_logger"))
        }
        if let capabilities = root.table("hsm_capabilities") { translate(capabilities: capabilities) }
        translateKeyStores(root)
    }

    var result: ImportedConfiguration {
        let toDo = notes.filter { $0.kind == .toDo }
        let told = notes.filter { $0.kind == .told }
        var text = ConfigurationText()
        text.comment(
            "Made by `claviger import` from \(Shown.quoted(file)), settings of the AWS reference proxy "
                + "(aws-kms-xks-proxy). The guide to the change-over is docs/guides/move-from-aws-reference.md; every "
                + "key is explained in docs/reference/configuration.md.")
        for (heading, notes) in [
            ("To be done before a node serves with this file:", toDo),
            ("Carried over in another form, or not at all:", told),
        ] where !notes.isEmpty {
            text.line("#")
            text.comment(heading)
            for note in notes { text.comment("- " + note.rendered(file: Shown.quoted(file)), indent: "  ") }
        }
        text.line("\n[node]\n\(node.text)")
        text.line("[xks]\n\(xks.text)")
        text.line("[[hsm]]\n\(hsm.text)")
        let body = text.text + keyStores.text
        return ImportedConfiguration(text: body, secrets: secrets, notes: toDo + told)
    }

    // MARK: - Notes and paths

    mutating func note(_ kind: ImportNote.Kind, _ table: SettingsTable, _ key: String, _ text: String) {
        let path = table.path(of: key)
        notes.append(
            ImportNote(
                kind: kind, line: table.has(key) ? outline.line(of: path) : nil, setting: path,
                value: table.shown(key), text: text))
    }

    mutating func noteOthers(of table: SettingsTable, than known: [String]) {
        for key in table.others(than: known) {
            let path = table.path(of: Shown.key(key))
            // Without its value: nobody knows what it holds.
            notes.append(
                ImportNote(
                    kind: .told, line: outline.line(of: table.path(of: key)), setting: path, value: nil,
                    text: "left out: it is no setting of the reference proxy that is known here"))
        }
    }

    /// The absolute path of a file that the settings name, quoted.
    mutating func path(_ table: SettingsTable, _ key: String) -> String? {
        guard let path = table.requiredText(key) else { return nil }
        guard !path.isEmpty else {
            table.report(key, "is empty", fix: "give the settings.toml that the reference proxy runs with")
            return nil
        }
        guard !path.hasPrefix("/") else { return ConfigurationText.quoted(path) }
        let base = options.workingDirectory
        let absolute = (base.hasSuffix("/") ? base : base + "/") + path
        note(
            .told, table, key,
            "begins where the reference proxy is started, taken to be \(Shown.quoted(base)); --working-directory names "
                + "another directory")
        return ConfigurationText.quoted(absolute)
    }

    /// Keeps a secret for a file of its own, and returns the TOML that points at it.
    mutating func keep(_ secret: String, as name: String) -> String {
        // A secret's file may end with a line break that is no part of it: so one that ends with one keeps it.
        let content = SecretBytes(capacity: secret.utf8.count + 1)
        content.append(contentsOf: secret.utf8)
        content.append(UInt8(ascii: "\n"))
        secrets.append(ImportedSecret(name: name, content: content))
        let path = options.secretDirectory.map { ($0.hasSuffix("/") ? $0 : $0 + "/") + name } ?? name
        return "{ file = \(ConfigurationText.quoted(path)) }"
    }
}

// MARK: - Key stores

extension SettingsTranslation {
    mutating func allow(region: String) { regions = ConfigurationText.list([region]) }

    mutating func askForPolicy() { policy = ConfigurationText.quoted(Self.policyFile) }

    private mutating func translateKeyStores(_ root: SettingsTable) {
        let stores = root.tables("external_key_stores")
        var prefixes: Set<String> = []
        var count = 0
        for (position, store) in stores.enumerated() {
            noteOthers(
                of: store,
                than: ["uri_path_prefix", "sigv4_access_key_id", "sigv4_secret_access_key", "xks_key_id_set"])
            guard let lines = translate(store: store, number: position + 1, prefixes: &prefixes) else { continue }
            if count > 0 { keyStores.line() }
            keyStores.line("[[keystore]]")
            for (key, value) in lines { keyStores.set(key, value) }
            count += 1
        }
        if count == 0, problems.isEmpty {
            root.report(
                "external_key_stores", "has no key store with a credential and a key, so there is nothing to serve",
                fix: "give the settings.toml that the reference proxy runs with", isSecret: true)
        }
    }

    /// The lines of a key store's table; `nil` where it is left out, or wrong.
    private mutating func translate(
        store: SettingsTable, number: Int, prefixes: inout Set<String>
    ) -> [(String, String)]? {
        let prefix = store.requiredText("uri_path_prefix")
        let accessKeyID = store.requiredText("sigv4_access_key_id")
        let secret = store.requiredText("sigv4_secret_access_key")
        if !store.has("xks_key_id_set") { _ = store.requiredText("xks_key_id_set") }
        let ids = store.texts("xks_key_id_set")
        guard let prefix, let accessKeyID, let secret, let ids else { return nil }
        if accessKeyID.isEmpty, secret.isEmpty {
            note(
                .told, store, "uri_path_prefix",
                "the key store is left out: it has no credential, so KMS cannot use it")
            return nil
        }
        if let problem = XKSPath.problem(withPrefix: prefix) {
            store.report("uri_path_prefix", problem, fix: "KMS and Claviger take no other prefix; correct it")
        } else if !prefixes.insert(prefix).inserted {
            store.report("uri_path_prefix", "is the prefix of two key stores", fix: "remove one of them")
        }
        let keys = keys(ids, of: store)
        // A placeholder would make a key store that KMS never signs for.
        if let error = Self.problem(accessKeyID: accessKeyID, secret: secret) {
            store.report(
                error.isOfSecret ? "sigv4_secret_access_key" : "sigv4_access_key_id", error.message,
                fix: "copy the credential that KMS has for this key store", isSecret: true)
        }
        guard problems.isEmpty, !keys.isEmpty else { return nil }
        let source = keep(secret, as: "keystore-\(number).secret")
        let credential = "{ access_key_id = \(ConfigurationText.quoted(accessKeyID)), secret = \(source) }"
        var lines = [
            ("path_prefix", ConfigurationText.quoted(prefix)), ("keys", ConfigurationText.list(keys)),
            ("credentials", "[\(credential)]"),
        ]
        if let regions { lines.append(("regions", regions)) }
        // All of its ciphertext is bound to a digest of the AAD.
        lines.append(("aad", "\"digest\""))
        if let policy { lines.append(("policy", policy)) }
        return lines
    }

    /// The external key ids that KMS can ask for, each once; they are the keys' labels, too.
    private mutating func keys(_ ids: [(text: String, path: String)], of store: SettingsTable) -> [String] {
        var keys: [String] = []
        var seen: Set<String> = []
        for id in ids where seen.insert(id.text).inserted {
            if let problem = XKSPath.problem(withExternalKeyID: id.text) {
                notes.append(
                    ImportNote(
                        kind: .told, line: outline.line(of: id.path), setting: id.path, value: Shown.quoted(id.text),
                        text: "left out: an external key id \(problem), so KMS cannot ask for it"))
            } else {
                keys.append(id.text)
            }
        }
        if keys.isEmpty {
            note(.told, store, "xks_key_id_set", "the key store is left out: it has no key that KMS could ask for")
        }
        return keys
    }

    private static func problem(accessKeyID: String, secret: String) -> (message: String, isOfSecret: Bool)? {
        do throws(CredentialError) {
            _ = try Credential(accessKeyID: accessKeyID, secret: SecretBytes(Array(secret.utf8)))
            return nil
        } catch {
            switch error {
            case .accessKeyIDLength(let length): return ("has \(length) characters, and must have 20 to 30", false)
            case .accessKeyIDCharacter(let position):
                return ("has a character that is not one of A-Z 2-7, the \(position). of them", false)
            case .secretLength(let length): return ("has \(length) bytes, and must have 43 to 64", true)
            case .secretCharacter(let position):
                return ("has a byte that is not one of A-Z a-z 0-9 + / =, the \(position). of them", true)
            case .noCredentials, .repeatedAccessKeyID: return ("cannot be used", false)
            }
        }
    }
}
