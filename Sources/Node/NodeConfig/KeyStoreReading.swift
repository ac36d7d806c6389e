// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

extension TableReader {
    func keyStore(hsmNames: [String], resolve: (String) -> String) -> KeyStoreSettings {
        KeyStoreSettings(
            pathPrefix: pathPrefix() ?? "",
            keys: keySelectors(),
            credentials: credentials(resolve: resolve),
            hsms: hsmReferences(hsmNames),
            regions: regions(),
            aad: aadForm(),
            policy: filePath(KeyStoreKeys.policy, resolve: resolve),
            rate: rate(KeyStoreKeys.requestsPerSecond, burst: KeyStoreKeys.burst),
            principalRate: rate(KeyStoreKeys.principalRequestsPerSecond, burst: KeyStoreKeys.principalBurst),
            auditsSuccesses: auditsSuccesses())
    }

    private func auditsSuccesses() -> Bool {
        text(
            KeyStoreKeys.audit, required: nil, "must be one of \(KeyStoreKeys.auditWords.joined(separator: ", "))",
            fix: "take \"all\", or leave it out", accepts: KeyStoreKeys.auditWords.contains) != "failures"
    }

    /// The whole path is at most 128 characters (XKS 1.0.3, "URI path"), and `/kms/xks/v1` are 11 of them.
    private func pathPrefix() -> String? {
        guard let prefix = requiredText(KeyStoreKeys.pathPrefix, example: "/my/key/store") else { return nil }
        let suffix = "/kms/xks/v1"
        if prefix.hasSuffix(suffix) {
            report(
                KeyStoreKeys.pathPrefix, "contains the API's own part of the path",
                fix: "leave \(suffix) out: write path_prefix = "
                    + Shown.quoted(String(prefix.dropLast(suffix.count))))
            return nil
        }
        guard XKSPath.isValidPrefix(prefix) else {
            report(
                KeyStoreKeys.pathPrefix, "is not the beginning of a key store's path",
                fix: "begin with a slash, end without one, use A-Z a-z 0-9 / - _, at most 117 characters")
            return nil
        }
        return prefix
    }

    // MARK: - Keys

    private func keySelectors() -> [KeyStoreSettings.KeySelector] {
        guard has(KeyStoreKeys.keys) else {
            reportMissing(KeyStoreKeys.keys, fix: "write keys = [\"label\", \"prod-*\"]")
            return []
        }
        guard let entries = list(KeyStoreKeys.keys) else { return [] }
        if entries.isEmpty { report(KeyStoreKeys.keys, "is empty", fix: "name at least one key or pattern") }
        var seen: Set<String> = []
        var selectors: [KeyStoreSettings.KeySelector] = []
        for entry in entries {
            guard let selector = keySelector(entry.node, path: entry.path) else { continue }
            if !seen.insert(selector.externalName).inserted {
                problems.add(
                    entry.path, value: Shown.value(entry.node) ?? Shown.quoted(selector.externalName),
                    "stands in the list twice", fix: "remove one; an external key id means one key")
            }
            selectors.append(selector)
        }
        return selectors
    }

    private func keySelector(_ node: TOMLNode, path: String) -> KeyStoreSettings.KeySelector? {
        switch node {
        case .string(let text):
            let isGlob = text.contains { $0 == "*" || $0 == "?" }
            // A wildcard stands for characters that an id may have; the letter x is one.
            let example = String(text.map { $0 == "*" || $0 == "?" ? "x" : $0 })
            if XKSPath.isValidExternalKeyID(example) {
                return isGlob ? .glob(text) : .label(text)
            }
            problems.add(
                path, value: Shown.value(node), "cannot be an external key id (1 to 128 of A-Z a-z 0-9 . _ -)",
                fix: "give the key an id: { id = \"my-key\", label = \(Shown.quoted(text)) }")
            return nil
        case .table(let values):
            let reader = TableReader(values, path: path, keys: KeyEntryKeys.all, problems: problems)
            let id = reader.text(
                KeyEntryKeys.id, required: "my-key", "must be 1 to 128 of A-Z a-z 0-9 . _ -",
                fix: "choose another id; it is what is entered in the KMS console"
            ) { XKSPath.isValidExternalKeyID($0) }
            let label = reader.text(
                KeyEntryKeys.label, required: "my key", "must be 1 to 255 bytes",
                fix: "copy it from the output of `claviger hsm list MODULE`"
            ) { (1...255).contains($0.utf8.count) }
            guard let id, let label else { return nil }
            return .named(id: id, label: label)
        default:
            problems.add(
                path, value: Shown.value(node), "must be a label, a pattern or { id, label }, and is \(node.kind)",
                fix: "write it in quotes")
            return nil
        }
    }

    // MARK: - Credentials

    private func credentials(resolve: (String) -> String) -> [KeyStoreSettings.Credential] {
        let example =
            "write credentials = [{ access_key_id = \"…\", secret = { file = \"…\" } }]; "
            + "`claviger keystore new-credential` makes one"
        guard has(KeyStoreKeys.credentials) else {
            reportMissing(KeyStoreKeys.credentials, fix: example)
            return []
        }
        if list(KeyStoreKeys.credentials)?.isEmpty == true {
            report(KeyStoreKeys.credentials, "is empty", fix: example)
        }
        var seen: Set<String> = []
        return tables(KeyStoreKeys.credentials, keys: CredentialKeys.all).compactMap { reader in
            let id = reader.text(
                CredentialKeys.accessKeyID, required: "AAAABBBBCCCCDDDD2222", "must be 20 to 30 of A-Z 2-7",
                // It may be the secret, where the two were exchanged.
                fix: "make a credential with `claviger keystore new-credential`", isShown: false
            ) { id in
                (20...30).contains(id.utf8.count)
                    && id.utf8.allSatisfy { (0x41...0x5A).contains($0) || (0x32...0x37).contains($0) }
            }
            if let id, !seen.insert(id).inserted {
                reader.report(CredentialKeys.accessKeyID, "stands in the list twice", fix: "remove one")
            }
            if !reader.has(CredentialKeys.secret) {
                reader.reportMissing(CredentialKeys.secret, fix: SecretKeys.howTo(CredentialKeys.secret.name))
            }
            guard let secret = reader.secret(CredentialKeys.secret, resolve: resolve), let id else { return nil }
            return KeyStoreSettings.Credential(accessKeyID: id, secret: secret)
        }
    }

    // MARK: - Where and for whom

    private func hsmReferences(_ known: [String]) -> [String]? {
        guard let names = texts(KeyStoreKeys.hsms) else { return nil }
        if names.isEmpty, case .list([]) = node(KeyStoreKeys.hsms) {
            report(KeyStoreKeys.hsms, "is empty", fix: "name at least one HSM, or remove it to use all")
        }
        var seen: Set<String> = []
        for name in names {
            if !known.contains(name.text) {
                let nearest = NearestName.find(name.text, among: known)
                problems.add(
                    name.path, value: Shown.quoted(name.text), "is no configured HSM",
                    fix: nearest.map { "did you mean \"\($0)\"?" } ?? "give it an [[hsm]] table, or remove it")
            }
            if !seen.insert(name.text).inserted {
                problems.add(name.path, value: Shown.quoted(name.text), "stands in the list twice", fix: "remove one")
            }
        }
        return names.map(\.text)
    }

    private func regions() -> [String]? {
        guard let regions = texts(KeyStoreKeys.regions) else { return nil }
        if regions.isEmpty, case .list([]) = node(KeyStoreKeys.regions) {
            report(KeyStoreKeys.regions, "is empty", fix: "name at least one region, or remove it to allow any")
        }
        for region in regions {
            let isRegion =
                (3...32).contains(region.text.utf8.count)
                && region.text.utf8.allSatisfy {
                    (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
                }
            if !isRegion {
                problems.add(
                    region.path, value: Shown.quoted(region.text), "is not a region",
                    fix: "write its code, for example \"eu-central-1\"")
            }
        }
        return regions.map(\.text)
    }

    // MARK: - How much

    private func rate(_ key: ConfigurationKey, burst burstKey: ConfigurationKey) -> KeyStoreSettings.Rate? {
        let burst = integer(burstKey, range: KeyStoreKeys.rates)
        guard let perSecond = integer(key, range: KeyStoreKeys.rates) else {
            if has(burstKey), !has(key) {
                report(burstKey, "is the burst of no limit", fix: "write \(key.name) = …, or remove it")
            }
            return nil
        }
        return KeyStoreSettings.Rate(perSecond: perSecond, burst: burst ?? perSecond)
    }

    private func aadForm() -> KeyStoreSettings.AADForm {
        guard let text = text(KeyStoreKeys.aad) else { return .specification }
        if let form = KeyStoreSettings.AADForm(rawValue: text) { return form }
        report(
            KeyStoreKeys.aad, "must be \"spec\" or \"digest\"",
            fix: "remove it unless another proxy's ciphertext is to be opened")
        return .specification
    }
}

extension KeyStoreSettings.KeySelector {
    /// What is unique among the entries of a list: the external key id, or the pattern.
    fileprivate var externalName: String {
        switch self {
        case .label(let name), .glob(let name), .named(id: let name, label: _): name
        }
    }
}
