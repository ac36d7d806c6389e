// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import Audit
import AuditChain
import Glibc
import Policy
import PrivateFiles

/// `claviger policy …`
struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Look at policies of key stores before a node works by them.",
        subcommands: [PolicyCheckCommand.self, PolicyExplainCommand.self, PolicyTryCommand.self])
}

/// `claviger policy check`
struct PolicyCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a policy: its form, and statements that can never match.",
        discussion: "Status 0: a node can work by it; what is hardly meant is warned of. Status 2: something is wrong; "
            + "each line names place, value and what mends it.")

    @Argument(help: "The file.", completion: .file(extensions: ["json"]))
    var file: String

    func run() throws {
        let policy = try read(file) { try KeyStorePolicy(text: $0) }
        for finding in policy.findings { printError("warning: \(file): \(finding)") }
        printLine(Terminal.shown("\(file): good, \(policy.statementCount) statements"))
    }
}

/// `claviger policy explain`
struct PolicyExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say what a policy decides of a request, and why each of its statements matches or does not.",
        discussion: "The request is a JSON file: action (xks:Encrypt, xks:Decrypt, xks:GetKeyMetadata), externalKeyId, "
            + "keyStore (its path_prefix), clientAddress, time (now where it is left out), and requestMetadata as KMS "
            + "sends it. Status 0: it is allowed. Status 1: it is denied. Status 2: a file is wrong.")

    @Option(help: "The policy's file.", completion: .file(extensions: ["json"]))
    var policy: String

    @Option(help: "The request's file.", completion: .file(extensions: ["json"]))
    var request: String

    func run() throws {
        let policy = try read(self.policy) { try KeyStorePolicy(text: $0) }
        let request = try read(self.request) { try PolicyRequest.read(text: $0, now: Int64(time(nil))) }
        let explanation = policy.explain(request)
        printLine(Terminal.shown(explanation.description))
        guard explanation.decision.isAllowed else { throw ExitStatus.notDone }
    }
}

/// `claviger policy try`
struct PolicyTryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "try",
        abstract: "Say which requests of an audit log a policy would have denied, before a node works by it.",
        discussion:
            "Each request of the log is asked anew, by what its record says of it. Requests that other nodes passed on are "
            + "left out: the node that they came to first decides. Status 0: none that was let through would be denied. "
            + "Status 1: some would be. Status 2: a file is wrong.")

    @Argument(help: "The policy's file.", completion: .file(extensions: ["json"]))
    var file: String

    @Option(
        help: ArgumentHelp("A directory of an audit log, or a segment. May be repeated.", valueName: "path"),
        completion: .file())
    var audit: [String]

    @Option(help: ArgumentHelp("Only requests of the key store with this path prefix.", valueName: "path"))
    var keystore: String?

    func validate() throws {
        guard !audit.isEmpty else { throw ValidationError("--audit is missing: name the directory of an audit log.") }
    }

    func run() throws {
        let policy = try read(file) { try KeyStorePolicy(text: $0) }
        var trial = PolicyTrial(policy: policy, keyStore: keystore)
        for chain in try AuditFiles.chains(of: audit).chains {
            for segment in chain.files {
                do throws(AuditFileError) {
                    _ = try AuditFileReader.read(segment.path) { line in
                        if let record = AuditLine(line) { trial.take(record) }
                        return true
                    }
                } catch {
                    throw failure(error.description, status: ExitStatus.configuration)
                }
            }
        }
        printLine(Terminal.shown(trial.report()))
        guard trial.denied.isEmpty else { throw ExitStatus.notDone }
    }
}

/// Ends with status 2 where the file cannot be read, or is wrong.
private func read<Value>(_ file: String, _ parse: ([UInt8]) throws -> Value) throws -> Value {
    do {
        return try parse(try PlannedPolicy.text(of: file))
    } catch let failure as FileReading.Failure {
        printError("\(file) \(failure.message); \(failure.fix)")
    } catch let problems as PolicyProblems {
        for problem in problems.problems { printError("\(file): \(problem)") }
    }
    throw ExitStatus.configuration
}
