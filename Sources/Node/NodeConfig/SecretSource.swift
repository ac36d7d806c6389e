// SPDX-License-Identifier: Apache-2.0

/// Where a secret is to be had. The configuration never holds the secret itself.
package enum SecretSource: Sendable, Hashable {
    /// An absolute path. The file must not be readable or writable by everybody.
    case file(String)
    /// The name of a systemd credential (`LoadCredential=`, `SetCredentialEncrypted=`): a file in
    /// `$CREDENTIALS_DIRECTORY`.
    case credential(String)
    /// The name of an environment variable. It is taken out of the environment when it is read.
    case environment(String)
    /// A program (absolute path) and its arguments, run without a shell; the secret is its standard output.
    case command([String])
}

extension SecretSource: CustomStringConvertible {
    /// The source in words; never the secret.
    package var description: String {
        switch self {
        case .file(let path): "file \(path)"
        case .credential(let name): "credential \(name)"
        case .environment(let name): "environment variable \(name)"
        case .command(let words): "command \(words.first ?? "")"
        }
    }
}

/// The keys of a secret's table.
enum SecretKeys {
    static let file = ConfigurationKey(
        "file", "path", standard: "none",
        "A file whose content is the secret; one line break at its end is not part of it. It belongs to root or to "
            + "the user of the program, its group may read and not write it, and everybody else is locked out (0640 or "
            + "less; in Kubernetes `defaultMode: 0440` and `fsGroup`).")
    static let credential = ConfigurationKey(
        "credential", "string", standard: "none",
        "A systemd credential, by the name given to `LoadCredential=` or `LoadCredentialEncrypted=`.")
    static let environment = ConfigurationKey(
        "env", "string", standard: "none",
        "An environment variable. It is removed from the program's environment when it is read, so that no process "
            + "started later inherits it. The least protected of the four: whoever starts the program can leave it in "
            + "a unit file or a shell's history.")
    static let command = ConfigurationKey(
        "command", "list of strings", standard: "none",
        "A program by its absolute path, and its arguments. It is run without a shell, and writes the secret to its "
            + "standard output. All commands run side by side and have 10 seconds together; what is left of one's process "
            + "group is killed when it has ended. Its standard error is discarded, since it may hold secrets.")
    static let all = [file, credential, environment, command]

    /// How a secret is given, in one line.
    static func howTo(_ key: String) -> String {
        "write \(key) = { file = \"/etc/claviger/\(key)\" }, { credential = \"…\" } (systemd), { env = \"NAME\" } "
            + "or { command = [\"/path/to/program\", …] }"
    }
}

extension TableReader {
    /// The source of a secret. Nothing of what stands there is ever shown, in case it is the secret itself.
    func secret(_ key: ConfigurationKey, resolve: (String) -> String) -> SecretSource? {
        let location = path(of: key.name)
        switch node(key) {
        case nil: return nil
        case .table(let values):
            let reader = TableReader(values, path: location, keys: SecretKeys.all, problems: problems)
            let given = SecretKeys.all.filter(reader.has)
            guard given.count == 1, let only = given.first else {
                if given.isEmpty, !values.isEmpty { return nil }
                problems.add(
                    location, given.isEmpty ? "names no source" : "names more than one source",
                    fix: SecretKeys.howTo(key.name))
                return nil
            }
            return reader.secretSource(only, resolve: resolve)
        default:
            problems.add(location, "is a secret, and must not stand in the file", fix: SecretKeys.howTo(key.name))
            return nil
        }
    }

    private func secretSource(_ key: ConfigurationKey, resolve: (String) -> String) -> SecretSource? {
        switch key.name {
        case SecretKeys.file.name:
            return filePath(key, resolve: resolve).map(SecretSource.file)
        case SecretKeys.credential.name:
            let name = text(
                key, required: nil, "is not the name of a credential",
                fix: "write the name alone, as in LoadCredential=NAME:PATH", isShown: false
            ) { !$0.isEmpty && $0.utf8.count <= 255 && !$0.contains("/") && $0 != "." && $0 != ".." }
            return name.map(SecretSource.credential)
        case SecretKeys.environment.name:
            let name = text(
                key, required: nil, "is not the name of an environment variable",
                fix: "write the name alone, without $", isShown: false, accepts: EnvironmentName.isValid)
            return name.map(SecretSource.environment)
        default:
            guard let words = texts(key) else { return nil }
            guard let program = words.first, program.text.hasPrefix("/"), words.count <= 64 else {
                problems.add(
                    path(of: key.name), "must begin with the absolute path of a program, and have at most 64 words",
                    fix: "write command = [\"/path/to/program\", \"argument\"]; there is no shell to find it")
                return nil
            }
            return .command(words.map(\.text))
        }
    }

    /// A path, made absolute.
    func filePath(_ key: ConfigurationKey, resolve: (String) -> String) -> String? {
        let path = text(
            key, required: nil, "is not a path", fix: "write the path of a file, at most 4095 bytes"
        ) { !$0.isEmpty && $0.utf8.count <= 4095 }
        return path.map(resolve)
    }
}

/// Names of environment variables as shells take them (POSIX.1, 8.1).
enum EnvironmentName {
    static func isValid(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first), name.utf8.count <= 128 else { return false }
        return name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
        }
    }
}
