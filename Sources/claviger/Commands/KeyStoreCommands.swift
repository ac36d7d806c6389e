// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import KeyStoreCredentials
import NodeConfig
import SecureMemory
import SigV4

/// `claviger keystore …`
struct KeyStoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keystore", abstract: "Credentials and console files of key stores.",
        subcommands: [
            KeyStoreListCommand.self, KeyStoreRotateCommand.self, NewCredentialCommand.self, ConsoleFileCommand.self,
        ])
}

/// `claviger keystore new-credential`
struct NewCredentialCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new-credential",
        abstract: "Make an access key id and a secret of 256 random bits, of the form that KMS asks for.",
        discussion: "Prints the access key id, and writes the secret to a new file (0600) that the configuration's "
            + "secret = { file = … } can point at. Nothing else shows the secret.")

    @Option(help: "File to write the secret to. Must not exist yet.", completion: .file())
    var secretFile: String

    func run() throws {
        let credential = Credential.generate()
        try writeNew(credential.secret, to: secretFile)
        printLine(
            """
            access_key_id = "\(credential.accessKeyID)"
            secret = { file = \(secretFile.debugDescription) }
            """, isForPrograms: true)
    }
}

/// `claviger keystore console-file`
struct ConsoleFileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "console-file",
        abstract: "Write the JSON file that the KMS console takes when an external key store is created.")

    @Option(help: "The key store's path_prefix, for example /example/uri/path/prefix; empty for none.")
    var pathPrefix: String

    @Option(help: "The access key id.")
    var accessKeyID: String

    @Option(help: "File that holds the secret.", completion: .file())
    var secretFile: String

    @Option(help: "File to write. Must not exist yet. It holds the secret.", completion: .file())
    var output: String

    func run() throws {
        do {
            let secret = try SecretReader(taking: []).read(.file(secretFile))
            let credential = try Credential(accessKeyID: accessKeyID, secret: secret)
            guard let document = credential.consoleFile(pathPrefix: pathPrefix) else {
                throw failure(
                    "path prefix \(pathPrefix.debugDescription) is not of the form that KMS asks for: empty, or "
                        + "/ and words of A-Z a-z 0-9 - _, with /kms/xks/v1 at most 128 characters",
                    status: ExitStatus.configuration)
            }
            try writeNew(document, to: output)
            printLine("wrote \(output): give it to the KMS console, then remove it")
        } catch let error as CredentialError {
            throw failure(error.description, status: ExitStatus.configuration)
        } catch let problem as SecretProblem {
            throw failure("\(problem.message); \(problem.fix)", status: ExitStatus.configuration)
        }
    }
}

/// Writes a file that only its owner can read, and never over another.
///
/// - Parameter model: a file whose owner, group and mode it gets, where there is one: who may read that may read this.
func writeNew(_ content: SecretBytes, to path: String, like model: String? = nil) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
        let reason = errno == EEXIST ? "it exists already; choose another name" : String(cString: strerror(errno))
        throw failure("cannot write \(path): \(reason)", status: ExitStatus.start)
    }
    defer { close(descriptor) }
    var status = stat()
    if let model, stat(model, &status) == 0 {
        // Only root can give a file away; whoever else runs this is told by the node that it cannot read the file.
        _ = fchown(descriptor, status.st_uid, status.st_gid)
        _ = fchmod(descriptor, status.st_mode & 0o640)
    }
    let isWritten = content.withUnsafeBytes { bytes -> Bool in
        var rest = bytes
        while !rest.isEmpty {
            let written = write(descriptor, rest.baseAddress, rest.count)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
        return fsync(descriptor) == 0
    }
    guard isWritten else {
        let reason = String(cString: strerror(errno))
        unlink(path)
        throw failure("cannot write \(path): \(reason)", status: ExitStatus.start)
    }
}
