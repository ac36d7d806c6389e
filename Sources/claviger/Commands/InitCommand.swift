// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import NodeConfig
import SetupPlan

/// `claviger init`
struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a node's first configuration, credential and certificate: asks, and tries each answer.",
        discussion:
            "Asks at a terminal for what no option answers; elsewhere each missing answer is an error, and --yes takes what "
            + "would be proposed. Tries as it goes: the library is loaded by a process of its own, the token is logged in to, "
            + "each key encrypts and decrypts, addresses are bound for a moment. A PIN is typed without being shown, or lies "
            + "in a file; one that the token has refused before is not tried again. Then all files are written, or none; one "
            + "that is there stays, unless --force is given. At the end it does what claviger check does, and says what comes "
            + "next. Status 0: written, and a node can serve with it. Status 2: an answer is wrong or missing, or the check "
            + "found something. Status 3: a file cannot be written, or is there already.")

    @Option(
        help: "Directory for the configuration and the files beside it; made where it is missing.",
        completion: .directory)
    var directory: String?

    @Option(help: "The node's name, node.id.")
    var nodeId: String?

    @Option(help: "Directory for what the node keeps, node.state_dir.", completion: .directory)
    var stateDir: String?

    @Option(help: "Path of the HSM's PKCS#11 library.", completion: .file(extensions: ["so"]))
    var module: String?

    @Option(
        help: ArgumentHelp(
            "NAME=VALUE for the environment of the module; may be repeated. SOFTHSM2_CONF and the like are taken over when "
                + "they are set."))
    var env: [String] = []

    @Option(help: "Text for C_Initialize (pReserved), as NSS softoken wants it.")
    var initializeArguments: String?

    @Option(help: "Label of the token.")
    var token: String?

    @Option(help: "Serial number of the token, instead of its label.")
    var serial: String?

    @Option(help: "Slot of the token, instead of its label.")
    var slot: UInt64?

    @Option(
        help: ArgumentHelp(
            "File that holds the token's user PIN, of mode 0600; the configuration points at it. Without it the PIN is asked "
                + "for."), completion: .file())
    var pinFile: String?

    @Option(help: "The HSM's name in status, logs and metrics.")
    var hsmName = "hsm-a"

    @Option(help: "Keys that KMS may use: labels, patterns such as 'prod-*', or ID=LABEL, with commas between.")
    var keys: String?

    @Option(help: "Make an AES-256 key of this label on the token, unless it has one.")
    var makeKey: String?

    @Option(help: "Address and port to listen at for KMS. Proposed: 0.0.0.0:8443.")
    var listen: String?

    @Option(help: "Address and port of this host for health, metrics and the status page. Proposed: 127.0.0.1:8080.")
    var control: String?

    @Option(help: "Host name by which KMS reaches the endpoint, for example xks.example.com.")
    var endpoint: String?

    @Option(
        help: ArgumentHelp(
            "self-signed; request (a key, a self-signed certificate and a request for a CA); or the path of a certificate "
                + "that is there. Proposed: self-signed."), completion: .file())
    var certificate: String?

    @Option(help: "Path of the private key of a certificate that is there.", completion: .file())
    var certificateKey: String?

    @Option(help: "Path prefix of the key store. Proposed: /claviger.")
    var pathPrefix: String?

    @Option(
        help: "Access key id of a credential that is there, as for a further node of a cluster. Default: a new one.")
    var accessKeyId: String?

    @Option(help: "File that holds the secret of --access-key-id.", completion: .file())
    var secretFile: String?

    @Option(
        help: ArgumentHelp(
            "User that the node runs as, for root: this user's group may read what is written, and everything is tried as this "
                + "user."))
    var owner: String?

    @Flag(name: [.long, .customShort("y")], help: "Take what would be proposed where no option answers.")
    var yes = false

    @Flag(help: "Replace files that are there.")
    var force = false

    @Flag(help: "Print the configuration, and write nothing; no key is made.")
    var dryRun = false

    @Flag(help: "Log in with a PIN that was refused before, too: each try may be the one that locks the token.")
    var retryRefusedPins = false

    func validate() throws {
        guard [token != nil, serial != nil, slot != nil].filter({ $0 }).count <= 1 else {
            throw ValidationError("Name the token by one of --token, --serial and --slot.")
        }
        guard (accessKeyId == nil) == (secretFile == nil) else {
            throw ValidationError("--access-key-id and --secret-file belong together: give both, or neither.")
        }
        if certificateKey != nil, [nil, "self-signed", "request"].contains(certificate) {
            throw ValidationError("--certificate-key belongs to a certificate that is there: name it by --certificate.")
        }
        for pair in env where !SetupRun.isVariable(pair) {
            // Its value may be somebody's business.
            throw ValidationError("--env takes NAME=VALUE, with a name of A-Z a-z 0-9 and _.")
        }
    }

    /// What options answer.
    var given: [SetupQuestion: String] {
        let values: [(SetupQuestion, String?)] = [
            (.directory, directory), (.nodeID, nodeId), (.stateDirectory, stateDir), (.module, module),
            (.token, token ?? serial ?? slot.map { "\($0)" }), (.pin, pinFile), (.keys, keys), (.listen, listen),
            (.control, control), (.endpoint, endpoint), (.certificate, certificate), (.certificateKey, certificateKey),
            (.pathPrefix, pathPrefix),
        ]
        return Dictionary(uniqueKeysWithValues: values.compactMap { question, text in text.map { (question, $0) } })
    }

    func run() async throws {
        var setup = try SetupRun(self)
        try await setup.interview()
        let product = try setup.configuration()
        if dryRun { return try setup.show(product) }
        try setup.write(product)
        try await setup.check(product)
        let isPackaged = setup.isPackaged(product.configuration)
        for line in SetupNext(product.configuration, isService: isPackaged).lines { printLine(line) }
    }
}
