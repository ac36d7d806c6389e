// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import ClusterCertificates
import Foundation
import KeyStoreCredentials
import NodeConfig
import PrivateFiles
import SecureMemory
import SetupPlan
import SigV4

/// What is written at the end, and checked.
extension SetupRun {
    /// A configuration, and the secret that belongs to it, if it is a new one.
    struct Product {
        var configuration: SetupConfiguration
        var text: String
        var newSecret: SecretBytes?
    }

    func configuration() throws -> Product {
        let credential = try credential()
        let source: SecretSource =
            switch pin {
            case .file(let path): source(ofPIN: path)
            case .typed, nil: source(ofPIN: paths.pin)
            }
        let configuration = SetupConfiguration(
            answers: plan.answers, hsm: command.hsmName, pin: source, environment: environment,
            initializeArguments: command.initializeArguments, accessKeyID: credential.accessKeyID,
            secret: command.secretFile.map(absolute) ?? paths.secret, paths: paths)
        do throws(ConfigurationProblems) {
            return Product(
                configuration: configuration, text: try configuration.text(),
                newSecret: command.secretFile == nil ? credential.secret : nil)
        } catch {
            printError(lines(error))
            throw ExitStatus.configuration
        }
    }

    private func credential() throws -> Credential {
        guard let id = command.accessKeyId, let file = command.secretFile else { return Credential.generate() }
        do {
            return try Credential(accessKeyID: id, secret: SecretReader(taking: []).read(.file(absolute(file))))
        } catch let error as CredentialError {
            throw failure("--access-key-id, --secret-file: \(error.description)", status: ExitStatus.configuration)
        } catch let problem as SecretProblem {
            throw failure("--secret-file: \(problem.message); \(problem.fix)", status: ExitStatus.configuration)
        }
    }

    /// Standard output has the configuration, and nothing else.
    func show(_ product: Product) throws {
        Output.whole(product.text, isForPrograms: true)
        printError(
            "claviger: nothing was written; without --dry-run: \(try files(product).map(\.path).joined(separator: ", "))"
        )
    }

    func isPackaged(_ configuration: SetupConfiguration) -> Bool {
        owner != nil && configuration.paths.configuration == "/etc/claviger/claviger.toml"
    }

    // MARK: - Writing

    private func files(_ product: Product) throws -> [NewFile] {
        let paths = product.configuration.paths
        let reader = owner.map { (user: uid_t(0), group: $0.group) }
        let secretMode: mode_t = owner == nil ? 0o600 : 0o640
        func file(_ path: String, _ content: SecretBytes, _ mode: mode_t) -> NewFile {
            NewFile(path: path, content: content, mode: mode, owner: reader)
        }
        var files: [NewFile] = []
        if case .typed(let secret) = pin {
            let content = SecretBytes(capacity: secret.count + 1)
            secret.withUnsafeBytes { content.append(copying: $0) }
            content.append(UInt8(ascii: "\n"))
            // Root's alone where systemd hands it to the node.
            let isHanded = if case .credential = product.configuration.pin { true } else { false }
            files.append(
                isHanded ? NewFile(path: paths.pin, content: content) : file(paths.pin, content, secretMode))
        }
        if let secret = product.newSecret { files.append(file(paths.secret, secret, secretMode)) }
        if plan.answers.certificate == .selfSigned || plan.answers.certificate == .request {
            let made = try EndpointCertificate.make(host: plan.answers.endpoint ?? "", now: Date())
            files.append(file(paths.key, made.key, secretMode))
            files.append(file(paths.certificate, SecretBytes(Array(made.certificate.utf8)), 0o644))
            if plan.answers.certificate == .request {
                files.append(file(paths.request, SecretBytes(Array(made.request.utf8)), 0o644))
            }
        }
        files.append(file(paths.configuration, SecretBytes(Array(product.text.utf8)), secretMode))
        return files
    }

    func write(_ product: Product) throws {
        var made: [String] = []
        do {
            let files = try files(product)
            if !command.force, let present = files.map(\.path).first(where: PrivateFiles.exists) {
                throw PrivateFileError(
                    "\(present) is there already: choose another --directory, or replace it with --force.")
            }
            let group = owner.map { (user: uid_t(0), group: $0.group, mode: mode_t(0o750)) }
            for path in files.map({ Self.parent(of: $0.path) }) {
                try Self.makeDirectories(path, owner: group, made: &made)
            }
            try makeStateDirectory()
            try FileGroup.write(files, replacing: command.force)
            for file in files { printLine("wrote \(Terminal.plain(file.path))") }
        } catch let error as ExitCode {
            throw error
        } catch {
            for path in made.reversed() { rmdir(path) }
            throw failure("nothing was written: \(error)", status: ExitStatus.start)
        }
    }

    private static func parent(of path: String) -> String {
        let end = path.lastIndex(of: "/") ?? path.startIndex
        return end == path.startIndex ? "/" : String(path[..<end])
    }

    private static func makeDirectories(
        _ path: String, owner: (user: uid_t, group: gid_t, mode: mode_t)?, made: inout [String]
    ) throws {
        guard !PrivateFiles.exists(path) else { return }
        try makeDirectories(parent(of: path), owner: owner, made: &made)
        try PrivateFiles.makeDirectory(path)
        made.append(path)
        guard let owner else { return }
        guard chown(path, owner.user, owner.group) == 0, chmod(path, owner.mode) == 0 else {
            throw PrivateFiles.failure("give away", path)
        }
    }

    /// The node's own.
    func makeStateDirectory() throws {
        guard let directory = plan.answers.stateDirectory, !PrivateFiles.exists(directory) else { return }
        var made: [String] = []
        try Self.makeDirectories(Self.parent(of: directory), owner: nil, made: &made)
        // Others pass through those above it to nothing that is theirs to see.
        for path in made { chmod(path, 0o755) }
        try PrivateFiles.makeDirectory(directory)
        if let owner, chown(directory, owner.user, owner.group) != 0 {
            throw PrivateFiles.failure("give away", directory)
        }
    }

    // MARK: - Check

    /// What `claviger check` does, as the node's user.
    func check(_ product: Product) async throws {
        let path = product.configuration.paths.configuration
        let words = ["check", "--config", path] + (command.retryRefusedPins ? ["--retry-refused-pins"] : [])
        if let settings = try? loadConfiguration(path).settings {
            for finding in HostDiagnosis(settings: settings).findings() where finding.state != .ok {
                let advice = finding.advice.map { "; \($0)" } ?? ""
                printError("warning: \(finding.subject): \(finding.text)\(advice)")
            }
        }
        do {
            if let owner {
                try check(words, as: owner, product)
            } else {
                let check = try CheckCommand.parse(Array(words.dropFirst()))
                try await check.run()
            }
        } catch {
            printError(
                "claviger: the files are written, and a node cannot serve with them yet: mend what is said above, then "
                    + "claviger check --config \(path)")
            throw error
        }
    }

    private func check(_ words: [String], as owner: ServiceUser, _ product: Product) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: ownExecutable())
        process.arguments = ["run-as", owner.name] + words
        var directory: String?
        defer { if let directory { try? PrivateFiles.removeTree(directory) } }
        if case .credential(let name) = product.configuration.pin {
            let handed = try handOver(name, to: owner)
            directory = handed
            process.environment = ProcessInfo.processInfo.environment.merging(["CREDENTIALS_DIRECTORY": handed]) { $1 }
        }
        try process.run()
        process.waitUntilExit()
        let status = process.terminationReason == .exit ? process.terminationStatus : ExitStatus.configuration.rawValue
        guard status == 0 else { throw ExitCode(status) }
    }

    /// As systemd does it: a directory in memory that is the user's alone, with the PIN in it.
    private func handOver(_ name: String, to owner: ServiceUser) throws -> String {
        var generator = SystemRandomNumberGenerator()
        let directory = "/dev/shm/claviger-init-\(String(generator.next(), radix: 16))"
        guard mkdir(directory, 0o700) == 0 else { throw PrivateFiles.failure("create the directory", directory) }
        let content: SecretBytes
        switch pin {
        case .typed(let secret): content = secret.withUnsafeBytes { SecretBytes(copying: $0) }
        case .file(let path): content = try PrivateFiles.read(path) ?? SecretBytes()
        case nil: content = SecretBytes()
        }
        try FileGroup.write(
            [
                NewFile(
                    path: "\(directory)/\(name)", content: content, mode: 0o400, owner: (owner.user, owner.group))
            ], replacing: false)
        guard chown(directory, owner.user, owner.group) == 0 else { throw PrivateFiles.failure("give away", directory) }
        return directory
    }
}
