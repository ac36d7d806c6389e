// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import DevEnvironment
import HSMWorker
import LaneProtocol
import NodeConfig
import PKCS11
import SecureMemory

/// `claviger hsm …`
struct HSMCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hsm", abstract: "Look at HSMs, and take them out of service.",
        subcommands: [HSMListCommand.self, HSMProbeCommand.self, HSMDrainCommand.self, HSMUndrainCommand.self])
}

/// `claviger hsm list MODULE`: what a new user needs first.
struct HSMListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show slots, tokens, keys and mechanisms of a PKCS#11 library.",
        discussion: "Most libraries take their settings from environment variables (SOFTHSM2_CONF, CKNFAST_…, "
            + "ChrystokiConfigurationPath): set them as for the library's own tools. Without --pin-file only keys "
            + "that are visible without login are shown.")

    @Argument(
        help: "Path of the PKCS#11 library, for example /usr/lib/softhsm/libsofthsm2.so.",
        completion: .file(extensions: ["so"]))
    var module: String

    @Option(help: "Label of the token to log in to. Only this one ever sees the PIN.")
    var token: String?

    @Option(help: "File that holds the user PIN of --token.", completion: .file())
    var pinFile: String?

    @Option(help: "Text for C_Initialize (pReserved), as NSS softoken wants it.")
    var initializeArguments: String?

    func validate() throws {
        guard (token == nil) == (pinFile == nil) else {
            throw ValidationError("--token and --pin-file belong together: give both, or neither.")
        }
    }

    func run() throws { try LibraryProcess.run { try list() } }

    private func list() throws -> String {
        do {
            var login: (token: TokenSelector, pin: SecretBytes)?
            if let token, let pinFile {
                login = (.label(token), try SecretReader(taking: []).read(.file(pinFile)))
            }
            let listing = try HSMListing.read(
                module: module, initializeArguments: initializeArguments, login: login)
            return Terminal.shown(listing.table) + "\n"
        } catch let error as WorkerFailure {
            throw failure(error.message, status: ExitStatus.configuration)
        } catch let problem as SecretProblem {
            throw failure("\(problem.message); \(problem.fix)", status: ExitStatus.configuration)
        }
    }
}

/// Fills one development token: the plan comes on standard input. Started by `claviger dev`, never by a person.
struct HSMProvisionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "hsm-provision", shouldDisplay: false)

    @Argument(help: "Path of the PKCS#11 library.", completion: .file())
    var module: String

    func run() throws {
        let plan = try TokenPlan.read(fromDescriptor: 0)
        let provisioner = TokenProvisioner(try Module.load(path: module))
        let token = try provisioner.initializeToken(
            label: plan.label, securityOfficerPIN: plan.soPIN, userPIN: plan.userPIN)
        let keys = plan.keys.map { NewKey(label: $0.label, id: $0.id, value: $0.value, usage: $0.usage) }
        try provisioner.createKeys(keys, slot: token.slot, userPIN: plan.userPIN)
    }
}
