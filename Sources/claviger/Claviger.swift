// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CPlatform
import Glibc
import HSMWorker
import HostLimits

/// Product and version, as users, KMS and logs see it.
enum Product {
    static let version = "0.2.0"
    static let name = "Claviger \(version)"
}

@main
enum Program {
    static func main() async {
        // PINs and secrets may come to lie in the memory of every command: no core dump, no debugger.
        _ = claviger_forbid_dumps()
        // A worker gives up rights for its one thread and those to come: before there are others.
        if CommandLine.arguments.dropFirst().first == HSMWorker.command {
            HostLimits.lowerDescriptorsForLibrary()
            HSMWorker.run()
        }
        // Of an option that is given twice, the argument parser takes the last, and says nothing.
        if let option = RepeatedOptions.first(in: Array(CommandLine.arguments.dropFirst())) {
            printError(
                "Error: \(option) is given more than once, and nothing was done: give it once, and one command for each "
                    + "thing that is meant.")
            exit(ExitCode.validationFailure.rawValue)
        }
        // A reader that is gone is an error of the write, for every command alike.
        signal(SIGPIPE, SIG_IGN)
        exit(await Claviger.runToEnd().rawValue)
    }
}

struct Claviger: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "claviger",
        abstract: "An AWS KMS External Key Store proxy over pools of HSMs.",
        discussion: "Try it: claviger dev. Then, with an HSM of your own: claviger init, claviger serve.",
        version: Product.name,
        subcommands: [
            ServeCommand.self, InitCommand.self, CheckCommand.self, ImportCommand.self, DiagnoseCommand.self,
            DebugCommand.self, StatusCommand.self,
            DrainCommand.self,
            ReloadCommand.self,
            BlockCommand.self, UnblockCommand.self, BlocksCommand.self, ClusterCommand.self, DevCommand.self,
            KeyStoreCommand.self,
            BenchCommand.self, DrillCommand.self, PolicyCommand.self, AuditCommand.self, HSMCommand.self,
            KeyCommand.self, LogCommand.self,
            ExplainCommand.self, CertifyCommand.self, KMSPlayCommand.self, HSMProvisionCommand.self,
            HSMLookCommand.self,
            RunAsCommand.self,
        ])
}

extension Claviger {
    /// Does what the arguments say. As `main` of the argument parser, but for what it writes: help and versions, too, go
    /// through `Output`.
    fileprivate static func runToEnd() async -> ExitCode {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            let code = exitCode(for: error)
            let text = fullMessage(for: error)
            if !text.isEmpty { code.isSuccess ? printLine(text) : printError(text) }
            guard code.isSuccess else { return code }
        }
        return Output.status ?? .success
    }
}

/// Exit statuses that scripts can rely on (besides those of the argument parser).
enum ExitStatus {
    /// All was done, and what there was to say could not be written to standard output.
    static let unsaid = ExitCode(5)
    /// The configuration, or something that it points at, is wrong.
    static let configuration = ExitCode(2)
    /// The node could not be started: an address is in use, a file is not to be had.
    static let start = ExitCode(3)
}

/// Path of this very program, for the processes it starts.
func ownExecutable() -> String { "/proc/self/exe" }
