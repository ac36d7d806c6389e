// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminClient
import AdminProtocol
import ArgumentParser
import Glibc
import HSMPool
import HostLimits
import LaneProtocol
import Logging
import NIOPosix
import NodeConfig
import NodeStore
import Routing
import XKSService

/// `claviger check`
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a configuration file and all that it points at: certificates, secrets, tokens, logins, keys.",
        discussion: "Starts a worker with one session for each HSM, as the node would, logs in once, and ends them "
            + "again. Status 0: a node can serve with it. Status 2: something is wrong; each line names it.")

    @Option(
        name: [.long, .customShort("c")], help: "The configuration file.", completion: .file(extensions: ["toml"]))
    var config: String

    func run() async throws {
        let configuration = try loadConfiguration(config)
        let translation = Translation(
            secrets: SecretReader(taking: configuration.settings.secretVariables)
                .readAll(configuration.settings.secretSources), now: Int64(time(nil)))
        var diagnostics = Diagnostics(configuration)
        var poolSettings = translation.pool(&diagnostics)
        let keyStores = translation.keyStores(&diagnostics)
        _ = translation.listener(&diagnostics)
        if let certificate = diagnostics.certificate {
            printLine(Terminal.shown("certificate: \(certificate.description(now: translation.now))"))
        }
        HostLimits.raiseDescriptors()
        _ = translation.descriptors(&diagnostics)
        translation.checkStateDirectory(&diagnostics)
        translation.checkCluster(&diagnostics)
        // Where a PIN could not be read, no login is tried without it.
        if diagnostics.problems.isEmpty {
            for index in poolSettings.members.indices {
                poolSettings.members[index].worker.lanes = 1
                // All keys are shown; those that are named are found however many there are.
                let offered = keyStores.offered(by: poolSettings.members[index].name)
                poolSettings.members[index].offered = offered.union(.all)
            }
            await checkHSMs(poolSettings, keyStores, &diagnostics)
        }
        diagnostics.takeFatalWarnings()
        for warning in diagnostics.warnings { printError("warning: \(warning)") }
        if let error = diagnostics.error {
            printError(error.description)
            throw ExitStatus.configuration
        }
        noteBlockList(configuration.settings)
        printLine("\(config): good")
    }

    /// A node that would wait for its block list, and refuse everything meanwhile, is no mistake in the file.
    private func noteBlockList(_ settings: NodeSettings) {
        guard settings.cluster != nil else { return }
        let knowledge: BlockKnowledge
        do throws(StoreError) {
            knowledge = try StoreReader.open(directory: settings.node.stateDirectory).blocks().knowledge
        } catch {
            guard case .notThere = error else { return }
            knowledge = .none
        }
        guard let reason = knowledge.doubt else { return }
        printError(
            "note: the node refuses every request at first, since \(BlockListing.mend(reason))")
    }

    private func checkHSMs(
        _ settings: PoolSettings, _ keyStores: [PlannedKeyStore], _ diagnostics: inout Diagnostics
    ) async {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let pool = HSMPool(
            settings: settings, group: group, logger: Logger(label: "check") { _ in LibraryOutputHandler() })
        pool.start()
        await pool.settled()
        let inventory = pool.inventory()
        await pool.stop()
        try? await group.shutdownGracefully()
        for (index, hsm) in inventory.enumerated() {
            report(hsm, index: index, &diagnostics)
        }
        reportMissingKeys(inventory, keyStores, &diagnostics)
    }

    private func report(_ hsm: HSMInventory, index: Int, _ diagnostics: inout Diagnostics) {
        let path = "hsm[\(index)]"
        guard hsm.state.canServe else {
            diagnostics.report(path, sentence(hsm.reason), fix: remedy(hsm))
            return
        }
        if let complaint = hsm.compartment?.complaint {
            printError("warning: \(path).sandbox: \(complaint)")
        }
        let identity = hsm.identity.map { "\($0.manufacturer) \($0.model), serial \($0.serial)" } ?? ""
        printLine(
            Terminal.shown(
                "hsm \(hsm.name): \(identity), \(hsm.labels.count) keys: "
                    + hsm.labels.map(\.text).joined(separator: ", ")))
        for complaint in hsm.complaints {
            diagnostics.report(
                path, sentence(complaint.reason), fix: "rename or remove it, or leave it if no key store serves it")
        }
    }

    /// The problem's renderer ends the sentence itself.
    private func sentence(_ text: String) -> String { text.hasSuffix(".") ? String(text.dropLast()) : text }

    private func remedy(_ hsm: HSMInventory) -> String {
        switch hsm.failure {
        case .pinRefused, .pinUnusable: "correct the PIN, or have it reset, before anything logs in again"
        case .module: "install the library, or correct the path"
        case .token, .mechanism: "claviger hsm list \(hsm.module) shows what the library offers"
        case .call, nil: "try the vendor's own tools on the same token, with the same environment"
        }
    }

    /// Keys that the configuration names one by one must be on every HSM that is to serve them.
    private func reportMissingKeys(
        _ inventory: [HSMInventory], _ keyStores: [PlannedKeyStore], _ diagnostics: inout Diagnostics
    ) {
        for (index, store) in keyStores.enumerated() {
            for (position, key) in store.keyStore.keys.enumerated() {
                guard let label = key.singleLabel else { continue }
                let lacking = inventory.filter { hsm in
                    store.hsms?.contains(hsm.name) ?? true && hsm.state == .active
                        && !hsm.labels.contains(KeyLabel(label))
                }
                guard !lacking.isEmpty else { continue }
                let names = lacking.map(\.name).joined(separator: " and ")
                // What it is instead.
                let reasons = lacking.compactMap { hsm in
                    hsm.complaints.first { $0.label == KeyLabel(label) }.map { "\(hsm.name): \($0.reason)" }
                }
                diagnostics.report(
                    "keystore[\(index)].keys[\(position)]",
                    (["there is no AES-256 key of label \"\(label)\" on \(names)"] + reasons).joined(separator: "; "),
                    fix: "put the same key on it, or name the HSMs that hold it in the key store's hsms")
            }
        }
    }
}
