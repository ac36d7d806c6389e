// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import Conditions
import HostLimits
import NIOPosix
import NodeConfig

/// `claviger diagnose`
struct DiagnoseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diagnose",
        abstract: "Look at everything about this host and its node that could hurt, and say what mends it.",
        discussion: "Host (open files, processors, disk, clock), configuration (as claviger check), listeners and the "
            + "certificates that clients are shown, peers, HSMs, and a real encryption and decryption for each key store, "
            + "signed with its own credential. Asks the running node where one runs, and starts a worker for each HSM where "
            + "none does. Status 0: nothing is wrong; warnings may be told. Status 1: something failed. Status 2: the "
            + "configuration is wrong.")

    @Option(
        name: [.long, .customShort("c")], help: "The configuration file.", completion: .file(extensions: ["toml"]))
    var config: String

    @Flag(help: "Print JSON, on one line (docs/reference/commands.md).")
    var json = false

    @Option(
        help: ArgumentHelp(
            "PEM file of a certificate that xks.client_ca has signed, for the encryption.", valueName: "file"),
        completion: .file())
    var clientCert: String?

    @Option(help: ArgumentHelp("PEM file of its key.", valueName: "file"), completion: .file())
    var clientKey: String?

    func validate() throws {
        guard (clientCert == nil) == (clientKey == nil) else {
            throw ValidationError("--client-cert and --client-key are given together.")
        }
    }

    func run() async throws {
        let configuration: NodeConfiguration
        do throws(ConfigurationProblems) {
            configuration = try NodeConfiguration.load(file: config)
        } catch {
            let findings = error.problems.map { Diagnosis.Finding($0) }
            if json {
                printLine(
                    try JSONLine.text(Diagnosis(node: "", version: Product.version, findings: findings)),
                    isForPrograms: true)
            } else {
                printError(lines(error))
            }
            throw ExitStatus.configuration
        }
        HostLimits.raiseDescriptors()
        let diagnosis = await Self.diagnose(
            configuration, client: clientCert.flatMap { certificate in clientKey.map { (certificate, $0) } })
        printLine(json ? try JSONLine.text(diagnosis) : diagnosis.text(on: Terminals.page), isForPrograms: json)
        if diagnosis.state == .failure { throw ExitStatus.notDone }
    }

    /// - Parameter client: PEM files of certificate and key with which to meet `xks.client_ca`.
    static func diagnose(
        _ configuration: NodeConfiguration, client: (certificate: String, key: String)?
    ) async -> Diagnosis {
        let settings = configuration.settings
        let secrets = SecretReader(taking: settings.secretVariables)
        let admin = AdminClient(stateDirectory: settings.node.stateDirectory, timeout: .seconds(10))
        let running = await RunningNode.of(admin, settings: settings)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var diagnosis = Diagnosis(node: settings.node.id, version: Product.version)
        diagnosis.add(HostDiagnosis(settings: settings).findings())
        let check = ConfigurationCheck(configuration: configuration, secrets: secrets, triesRefusedPINs: false)
        // Beside a running node its own word on its HSMs counts, and no session is taken from it.
        diagnosis.add(await check.run(running: running, looksAtHSMs: !running.isThere).findings)
        if let status = running.status {
            let target = settings.xks.listen.reached("xks", status)
            diagnosis.add(
                await ListenerDiagnosis.ofXKS(settings, target: target, loop: group.next()))
            if settings.control.protection != nil {
                let control = settings.control.listen.reached("control", status)
                diagnosis.add(
                    await ListenerDiagnosis(
                        target: control, setting: "control.certificate", prefix: "control ", loop: group.next()
                    ).findings().findings)
            }
            diagnosis.add(findings(of: status))
            diagnosis.add(
                await EncryptionDiagnosis(
                    settings: settings, secrets: secrets, status: status, target: target,
                    client: client, requestID: try? await admin.beginDiagnosis(),
                    loop: group.next()
                ).findings())
        } else {
            diagnosis.add([
                Diagnosis.Finding(
                    "requests", "node", running.isThere ? .failure : .skipped,
                    running.isThere
                        ? "the node runs, and does not say how it is: TLS and encryption were not tried"
                        : "no node runs here: TLS and encryption were not tried",
                    advice: running.isThere
                        ? "run this as the node's user or root; look at its log" : "start it, and call this again")
            ])
        }
        diagnosis.add(
            await PeerDiagnosis(
                settings: settings, cluster: try? await admin.clusterHealth(), status: running.status
            ).findings(on: group.next()))
        diagnosis.add(await TracingDiagnosis(configuration: configuration, secrets: secrets).findings())
        try? await group.shutdownGracefully()
        return diagnosis
    }

    /// What the running node says of its HSMs and of itself.
    private static func findings(of status: NodeStatus) -> [Diagnosis.Finding] {
        let hsms = status.hsms.map { hsm in
            let learned = hsm.latencyMicroseconds.map { ", p99 \(tenths(Double($0.p99) / 1_000)) ms" } ?? ""
            let text =
                "\(hsm.state.rawValue)\(hsm.drained ? ", drained" : "")\(learned)"
                + (hsm.reason.map { ": \($0)" } ?? "")
            // A drained one was taken out by somebody.
            let isWarned = hsm.drained || hsm.canServe
            let state: Diagnosis.State = hsm.state == .active && !hsm.drained ? .ok : isWarned ? .warning : .failure
            return Diagnosis.Finding(
                "HSMs", "hsm \(hsm.name)", state, text,
                advice: state == .ok
                    ? nil
                    : hsm.drained
                        ? "claviger hsm undrain \(hsm.name) when the maintenance is over"
                        : "docs/reference/hsm-states.md has what to do for each reason")
        }
        let others = status.conditions.filter { condition in
            condition.known.map { !ConditionCode.ofHSMState.contains($0) } ?? true
        }
        return hsms
            + others.map { condition in
                Diagnosis.Finding(
                    "node", condition.code,
                    condition.severity == .critical ? .failure : condition.severity == .warning ? .warning : .ok,
                    condition.text, advice: condition.severity == .note ? nil : condition.known?.mend)
            }
    }
}
