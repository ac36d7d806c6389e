// SPDX-License-Identifier: Apache-2.0
import Foundation
import PrivateFiles
import SecureMemory

/// A configuration file that was read and found right.
package struct NodeConfiguration: Sendable {
    /// The file's name as it was given.
    package let file: String
    package let settings: NodeSettings
    private let outline: TOMLOutline
    /// What was read. Somebody may have put a secret into it.
    private let text: SecretBytes

    /// Reads and validates a file of at most 1 MiB. Paths in it are relative to its directory.
    /// Throws everything that is wrong with it at once.
    ///
    /// - Parameter last: what the same file held when it was last read: as long as its text is the same, that is the
    ///   answer. The TOML parser never frees a text that it has parsed, and a node is reloaded for each new certificate.
    package static func load(
        file: String, last: NodeConfiguration? = nil
    ) throws(ConfigurationProblems) -> NodeConfiguration {
        let content: SecretBytes
        do throws(FileReading.Failure) {
            content = try FileReading.read(file, as: .plain, atMost: TOMLLimits.size)
        } catch {
            let problem = ConfigurationProblem(path: "", message: error.message, fix: error.fix)
            throw ConfigurationProblems(file: file, problems: [problem])
        }
        if let last, last.file == file, last.text == content { return last }
        let absolute = URL(fileURLWithPath: file).standardizedFileURL
        return try parse(
            content.withUnsafeBytes(Array.init), file: file, directory: absolute.deletingLastPathComponent().path)
    }

    /// Validates a text. `file` names it in messages; paths in it are relative to `directory`, an absolute path.
    package static func parse(
        _ text: [UInt8], file: String, directory: String
    ) throws(ConfigurationProblems) -> NodeConfiguration {
        let document: TOMLDocument
        do throws(ConfigurationProblem) {
            document = try TOMLDocument.parse(text)
        } catch {
            throw ConfigurationProblems(file: file, problems: [error])
        }
        let collector = ProblemCollector(outline: document.outline)
        let reader = TableReader(document.root, path: "", keys: RootKeys.all, problems: collector)
        let settings = reader.settings { path in
            path.hasPrefix("/") ? path : (directory.hasSuffix("/") ? directory : directory + "/") + path
        }
        guard collector.isEmpty else { throw ConfigurationProblems(file: file, problems: collector.sorted) }
        return NodeConfiguration(file: file, settings: settings, outline: document.outline, text: SecretBytes(text))
    }

    /// A problem with what the configuration points at (a certificate, a token, a secret), with the line of `path`,
    /// for example `xks.certificate` or `keystore[0].credentials[1].secret`.
    package func problem(
        at path: String, value: String? = nil, _ message: String, fix: String
    ) -> ConfigurationProblem {
        ConfigurationProblem(line: outline.line(of: path), path: path, value: value, message: message, fix: fix)
    }
}
