// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import Foundation
import NodeConfig
import PrivateFiles
import ReferenceImport
import SecureMemory

/// `claviger import`
struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make a configuration from the settings.toml of the AWS reference proxy (aws-kms-xks-proxy).",
        discussion:
            "Writes the configuration to standard output or to a new file (0600), and each secret to a new file of its own "
            + "(0600); no secret is in the configuration or printed, and no file is replaced. What could not be carried over "
            + "as it stood is explained in comments and on standard error: \"warning\" where you have to do something "
            + "before a node serves with it, \"note\" elsewhere. Nothing that the settings name is opened; go on with "
            + "claviger check. Status 0: written. Status 2: the settings are wrong, and each line says where. Status 3: a "
            + "file cannot be written, or is there already.")

    @Argument(help: "The reference proxy's settings.", completion: .file(extensions: ["toml"]))
    var settings: String

    @Option(
        help: "File to write the configuration to. Must not exist yet. Default: standard output.", completion: .file())
    var out: String?

    @Option(
        help: "Directory for the files with secrets; made (0700) where it is missing. Default: beside --out.",
        completion: .directory)
    var secrets: String?

    @Option(help: "Label of the token with the keys; the reference proxy takes the first slot.")
    var token: String?

    @Option(help: "The node's name, node.id.")
    var nodeId = "node-1"

    @Option(
        help:
            "Where the reference proxy is started, and its relative paths begin. Default: beside the settings, or one above.",
        completion: .directory)
    var workingDirectory: String?

    func validate() throws {
        guard out != nil || secrets != nil else {
            throw ValidationError("Without --out, say by --secrets where the files with secrets go.")
        }
    }

    func run() throws {
        let imported: ImportedConfiguration
        do throws(ConfigurationProblems) {
            imported = try translated()
        } catch {
            printError(lines(error))
            throw ExitStatus.configuration
        }
        try write(imported)
        for note in imported.notes {
            let word = note.kind == .toDo ? "warning" : "note"
            printError(Terminal.plain("\(word): \(note.rendered(file: settings))"))
        }
    }

    private func translated() throws(ConfigurationProblems) -> ImportedConfiguration {
        let text: SecretBytes
        do throws(FileReading.Failure) {
            text = try FileReading.read(settings, as: .plain, atMost: TOMLLimits.size)
        } catch {
            throw ConfigurationProblems(
                file: settings, problems: [ConfigurationProblem(path: "", message: error.message, fix: error.fix)])
        }
        let options = ImportOptions(
            nodeID: nodeId, tokenLabel: token,
            workingDirectory: workingDirectory.map(Self.absolute)
                ?? ImportOptions.workingDirectory(ofSettings: Self.absolute(settings)),
            secretDirectory: secrets.map(Self.absolute))
        return try ImportedConfiguration.make(
            from: text.withUnsafeBytes(Array.init), file: settings, options: options)
    }

    private static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

    /// All of it, or nothing.
    private func write(_ imported: ImportedConfiguration) throws {
        let directory = secrets ?? out.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path } ?? "."
        do {
            if secrets != nil { try PrivateFiles.makeDirectory(directory) }
        } catch {
            throw failure("\(error)", status: ExitStatus.start)
        }
        var written: [String] = []
        do {
            for secret in imported.secrets {
                let path = (directory.hasSuffix("/") ? directory : directory + "/") + secret.name
                try writeNew(secret.content, to: path)
                written.append(path)
            }
            if let out {
                try writeNew(SecretBytes(Array(imported.text.utf8)), to: out)
                printLine("wrote \(out) and \(written.joined(separator: ", ")); next: claviger check --config \(out)")
            } else {
                Output.whole(imported.text, isForPrograms: true)
            }
        } catch {
            for path in written { unlink(path) }
            throw error
        }
    }
}
