// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import SecureMemory

/// What the settings of the AWS reference proxy (aws-samples/aws-kms-xks-proxy) do not say, and a configuration needs.
package struct ImportOptions: Sendable {
    /// `node.id`; 1 to 64 of `A-Z a-z 0-9 . _ -`.
    package var nodeID: String
    /// The label of the token with the keys; `nil`: slot 0, which a person has to look at.
    package var tokenLabel: String?
    /// Absolute path of the directory in which the reference proxy is started: its relative paths begin there.
    package var workingDirectory: String
    /// Absolute path of the directory for the files with secrets; `nil`: they lie beside the configuration.
    package var secretDirectory: String?

    package init(nodeID: String, tokenLabel: String?, workingDirectory: String, secretDirectory: String?) {
        self.nodeID = nodeID
        self.tokenLabel = tokenLabel
        self.workingDirectory = workingDirectory
        self.secretDirectory = secretDirectory
    }

    /// Where the reference proxy is started, as far as the place of its settings tells: its sources have them in
    /// `configuration/`, and all paths begin one directory above.
    package static func workingDirectory(ofSettings path: String) -> String {
        var parts = path.split(separator: "/").dropLast()
        if parts.last == "configuration" { parts = parts.dropLast() }
        return "/" + parts.joined(separator: "/")
    }
}

/// A setting that was not carried over as it stood, and why.
package struct ImportNote: Sendable, Equatable {
    package enum Kind: Sendable, Equatable, CaseIterable {
        /// A person has to do something before a node serves with the configuration.
        case toDo
        /// It is carried over in another form, or has no counterpart; nothing has to be done.
        case told
    }

    package var kind: Kind
    /// In the settings, from 1; `nil` where the setting is not in the file.
    package var line: Int?
    /// For example `server.port_http_ping`.
    package var setting: String
    /// As it stands in the file; never of a secret.
    package var value: String?
    package var text: String

    /// `settings.toml:12: security.secondary_auth = "Oso": …`
    package func rendered(file: String) -> String {
        file + (line.map { ":\($0)" } ?? "") + ": " + setting + (value.map { " = \($0)" } ?? "") + ": " + text
    }
}

/// A secret of the settings, for a file of its own.
package struct ImportedSecret: Sendable {
    /// Of the file, without a directory.
    package var name: String
    /// Ends with a line break, which is no part of the secret.
    package var content: SecretBytes
}

/// A configuration made from the settings of the AWS reference proxy.
package struct ImportedConfiguration: Sendable {
    /// The configuration file. Holds no secret.
    package var text: String
    package var secrets: [ImportedSecret]
    package var notes: [ImportNote]

    /// Translates settings, which may be any bytes. What comes out is a configuration that `NodeConfiguration` takes.
    ///
    /// - Parameter file: names the settings in messages and comments.
    /// - Throws: everything that is wrong with the settings at once, with lines.
    package static func make(
        from settings: [UInt8], file: String, options: ImportOptions
    ) throws(ConfigurationProblems) -> ImportedConfiguration {
        let document: TOMLDocument
        do throws(ConfigurationProblem) {
            document = try TOMLDocument.parse(settings)
        } catch {
            throw ConfigurationProblems(file: file, problems: [error])
        }
        let problems = ProblemCollector(outline: document.outline)
        var translation = SettingsTranslation(
            file: file, options: options, outline: document.outline, problems: problems)
        let root = SettingsTable(document.root, path: "", problems: problems)
        translation.translate(root)
        guard problems.isEmpty else { throw ConfigurationProblems(file: file, problems: problems.sorted) }
        let imported = translation.result
        // Whatever a value was that no rule above knows of, a file that no node takes is not handed out.
        do throws(ConfigurationProblems) {
            _ = try NodeConfiguration.parse(Array(imported.text.utf8), file: file, directory: "/")
        } catch {
            let found = error.problems.map { problem in
                ConfigurationProblem(
                    path: problem.path, message: "\(problem.message), in the configuration made from these settings",
                    fix: problem.fix)
            }
            throw ConfigurationProblems(file: file, problems: found)
        }
        return imported
    }
}
