// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import Glibc
import HostLimits
import NIOPosix
import NodeConfig

/// `claviger check`
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a configuration file and all that it points at: certificates, secrets, tokens, logins, keys.",
        discussion:
            "Does what a node does when it starts: reads every file, makes and writes the state directory, binds "
            + "each address for a moment (what the running node of this state directory holds counts as free), starts "
            + "a worker with one session for each HSM, logs in once, and ends all of it again. No login is tried with "
            + "a PIN that its token has refused before. Status 0: a node can serve with it, each key store and each "
            + "key that one names; warnings say what it would lack. Status 2: it cannot; each line names what is wrong "
            + "and the mend.")

    @Option(
        name: [.long, .customShort("c")], help: "The configuration file.", completion: .file(extensions: ["toml"]))
    var config: String

    @Flag(help: "Judge the file alone, and open nothing that it names: for machines that have none of it.")
    var offline = false

    @Flag(help: "End with status 2 where there is a warning, too.")
    var strict = false

    @Flag(help: "Log in with PINs that were refused before, too: each try may be the one that locks the token.")
    var retryRefusedPins = false

    func validate() throws {
        guard !(offline && retryRefusedPins) else {
            throw ValidationError("--offline logs in nowhere: leave out --retry-refused-pins.")
        }
    }

    func run() async throws {
        let configuration = try loadConfiguration(config)
        let diagnostics = offline ? Translation.judge(configuration) : await examine(configuration)
        try conclude(diagnostics)
    }

    /// - Returns: what was found.
    private func examine(_ configuration: NodeConfiguration) async -> Diagnostics {
        let settings = configuration.settings
        HostLimits.raiseDescriptors()
        var (plan, diagnostics) = NodePlan.examine(
            configuration, secrets: SecretReader(taking: settings.secretVariables))
        if let certificate = diagnostics.certificate {
            printLine(Terminal.shown("certificate: \(certificate.description(now: Int64(time(nil))))"))
        }
        await checkPorts(settings, &diagnostics)
        // What is wrong with who may write to it has been said.
        if plan != nil {
            StateDirectoryCheck(directory: settings.node.stateDirectory, isClustered: settings.cluster != nil)
                .run(now: Int64(time(nil)), &diagnostics)
        }
        // Where a PIN could not be read, no login is tried without it.
        if let plan {
            let refused = RefusedPINs(stateDirectory: settings.node.stateDirectory, marks: plan.pinMarks)
            await HSMCheck(plan: plan, refused: refused, triesRefusedPINs: retryRefusedPins).run(&diagnostics)
        }
        diagnostics.takeFatalWarnings()
        return diagnostics
    }

    private func checkPorts(_ settings: NodeSettings, _ diagnostics: inout Diagnostics) async {
        let running = try? await AdminClient(stateDirectory: settings.node.stateDirectory, timeout: .seconds(5))
            .status()
        let ports = running.map { ($0.status.limits?.listeners ?? []).compactMap(\.port) } ?? []
        let held: Set<Int>? = running != nil && ports.isEmpty ? nil : Set(ports)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let failures = await PortCheck(held: held).failures(of: PortCheck.listeners(of: settings), group: group)
        try? await group.shutdownGracefully()
        for (listener, failure, mayBeOwn) in failures {
            let message = "cannot listen on \(listener.address): \(failure.reason)"
            if mayBeOwn {
                diagnostics.warn(
                    listener.setting, "\(message); it may be the running node, whose version does not say",
                    isFatal: false, fix: failure.mend)
            } else {
                diagnostics.report(listener.setting, message, fix: failure.mend)
            }
        }
    }

    private func conclude(_ diagnostics: Diagnostics) throws {
        let warnings = diagnostics.warnings
        for warning in warnings { printError(Terminal.shown("warning: \(warning)")) }
        if let error = diagnostics.error {
            printError(error.description)
            throw ExitStatus.configuration
        }
        for note in diagnostics.notes { printError(Terminal.shown("note: \(note)")) }
        guard !strict || warnings.isEmpty else {
            let count = warnings.count == 1 ? "1 warning" : "\(warnings.count) warnings"
            throw failure("\(config): \(count), and --strict", status: ExitStatus.configuration)
        }
        printLine(offline ? "\(config): good, as far as the file says" : "\(config): good")
    }
}
