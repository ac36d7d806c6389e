// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import HostLimits
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
            + "and the mend. Status 1, with --against: it can, and a ciphertext does not open.")

    @Option(
        name: [.long, .customShort("c")], help: "The configuration file.", completion: .file(extensions: ["toml"]))
    var config: String

    @Flag(help: "Judge the file alone, and open nothing that it names: for machines that have none of it.")
    var offline = false

    @Flag(help: "End with status 2 where there is a warning, too.")
    var strict = false

    @Flag(help: "Log in with PINs that were refused before, too: each try may be the one that locks the token.")
    var retryRefusedPins = false

    @Option(
        help: ArgumentHelp(
            "Have each HSM open the ciphertexts of this file, a JSON object a line: before KMS's requests go to this node.",
            valueName: "file"), completion: .file())
    var against: String?

    func validate() throws {
        guard !(offline && against != nil) else {
            throw ValidationError("--offline asks no HSM: leave out --against.")
        }
        guard !(offline && retryRefusedPins) else {
            throw ValidationError("--offline logs in nowhere: leave out --retry-refused-pins.")
        }
    }

    func run() async throws {
        let configuration = try loadConfiguration(config)
        guard !offline else { return try conclude(Translation.judge(configuration)) }
        HostLimits.raiseDescriptors()
        let settings = configuration.settings
        let admin = AdminClient(stateDirectory: settings.node.stateDirectory, timeout: .seconds(10))
        let check = ConfigurationCheck(
            configuration: configuration, secrets: SecretReader(taking: settings.secretVariables),
            triesRefusedPINs: retryRefusedPins)
        let running = await RunningNode.of(admin, settings: settings)
        guard let against else { return try conclude(await check.run(running: running)) }
        let file = try CiphertextFile(against, limits: settings.xks.limits)
        var report = CiphertextCheck.Report()
        let diagnostics = await check.run(running: running) { plan, serving in
            report = await CiphertextCheck(plan: plan, serving: serving, file: file).run()
        }
        try conclude(diagnostics)
        for line in report.counts { printLine(Terminals.page.text("\(against): \(line)")) }
        for fault in report.faults { printError(Terminal.plain("\(against): \(fault)")) }
        guard report.faults.isEmpty else {
            throw failure("\(against): not all of it opens at every HSM", status: ExitStatus.notDone)
        }
    }

    private func conclude(_ diagnostics: Diagnostics) throws {
        for line in diagnostics.found { printLine(Terminals.page.text(line)) }
        let warnings = diagnostics.warnings
        for warning in warnings { printError(Terminal.plain("warning: \(warning)")) }
        if let error = diagnostics.error {
            printError(lines(error))
            throw ExitStatus.configuration
        }
        for note in diagnostics.notes { printError(Terminal.plain("note: \(note)")) }
        guard !strict || warnings.isEmpty else {
            let count = warnings.count == 1 ? "1 warning" : "\(warnings.count) warnings"
            throw failure("\(config): \(count), and --strict", status: ExitStatus.configuration)
        }
        printLine(offline ? "\(config): good, as far as the file says" : "\(config): good")
    }
}
