// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import DevEnvironment
import Foundation
import NodeConfig

/// `claviger dev`: the embedded default.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run a development node, or a cluster of them, over SoftHSM tokens that it makes itself.",
        discussion: "Makes tokens, keys, certificates and credentials once, under the state directory, and prints a "
            + "curl command that encrypts something. Everything it makes is for development only. With --nodes, each "
            + "node is a process of its own, and HAProxy stands before them where it is installed.")

    @Option(help: "Number of nodes, 1 to 9; several make a cluster.")
    var nodes = 1

    @Option(help: "Number of HSMs of each node, 1 to 16: SoftHSM tokens, each with a worker process of its own.")
    var hsms = 3

    @Option(
        help: "State directory. Default: $XDG_STATE_HOME/claviger/dev, or ~/.local/state/claviger/dev.",
        completion: .directory)
    var state: String?

    @Option(
        help: ArgumentHelp(
            "Address and port of the XKS listener; port 0 lets the system choose. Several nodes have the ports after it, "
                + "and HAProxy this one."))
    var listen = "127.0.0.1:8443"

    @Option(
        help: ArgumentHelp(
            "Address and port of the control listener. Default: 127.0.0.1:8480; with --listen …:0 a free port. Several "
                + "nodes have up to 20 ports after it."))
    var control: String?

    @Option(
        help: ArgumentHelp(
            "Sessions (lanes) on each HSM, 1 to 256. SoftHSM computes on this machine, and has one lock for each process: "
                + "more lanes than one wait for each other."))
    var sessions = 1

    @Option(
        help: ArgumentHelp(
            "Requests that may be on a lane at a time, 1 to 8. Above 1 the lane goes from one to the next at once."))
    var depth = 4

    @Flag(help: "Plain HTTP instead of HTTPS.")
    var plaintext = false

    @Flag(
        help: ArgumentHelp(
            "Keep an audit log, in the directory audit of each node's state. As in a node of one's own, there is none "
                + "without the table [audit]."))
    var audit = false

    @Flag(help: "Ask clients for a certificate of the development CA.")
    var mutualTLS = false

    @Flag(
        help: ArgumentHelp(
            "Print one line of JSON, then the line 'ready' when every HSM has come up, instead of text. Of a cluster both "
                + "come when every node serves and sees all others."))
    var json = false

    func run() async throws {
        let signals = NodeSignals.prepare()
        // Before anything is started that would inherit its variables.
        _ = Supervisor.shared
        if nodes == 1 {
            try await runNode(signals)
        } else {
            let cluster = try prepare { options, state, module, provisioning in
                try DevCluster.prepare(
                    options, state: state, module: module,
                    haproxy: HAProxyConfiguration.find(path: ProcessInfo.processInfo.environment["PATH"]),
                    provision: provisioning.run)
            }
            try await DevClusterRun(cluster: cluster, json: json).run(signals: signals)
            withExtendedLifetime(cluster) {}
        }
    }

    private func runNode(_ signals: NodeSignals) async throws {
        let dev = try prepare { options, state, module, provisioning in
            try DevNode.prepare(options, state: state, module: module, provision: provisioning.run)
        }
        let configuration = try loadConfiguration(dev.configurationFile)
        let log = NodeLog.start(configuration.settings.node)
        guard let node = try await startNode(configuration, log: log, signals: signals)
        else { return log.flush() }
        await announce(dev, node)
        await signals.untilStop { await node.heed($0) }
        await node.stop()
        log.flush()
        withExtendedLifetime(dev) {}
    }

    private func prepare<Environment>(
        _ make: (DevOptions, DevState, _ module: String, ProvisioningProcess) throws -> Environment
    ) throws -> Environment {
        do {
            guard let directory = state ?? DevState.defaultDirectory(environment: ProcessInfo.processInfo.environment)
            else { throw DevError("There is no $HOME to keep the state under: name a directory with --state.") }
            return try make(
                DevOptions(
                    nodes: nodes, hsms: hsms, listen: listen, controlListen: control, plaintext: plaintext,
                    audit: audit, mutualTLS: mutualTLS, sessions: sessions, depth: depth,
                    logsAreText: isatty(STDERR_FILENO) == 1),
                try DevState.open(directory), try SoftHSMLibrary.find(),
                ProvisioningProcess(executable: ownExecutable(), arguments: ["hsm-provision"]))
        } catch {
            throw failure("\(error)", status: ExitStatus.start)
        }
    }

    /// The JSON line goes out as soon as the node listens and its workers have been started; text for people when they
    /// can use it.
    private func announce(_ dev: DevNode, _ node: NodeRuntime) async {
        if json {
            await node.pool.started()
            printLine((try? announcement(dev, node).jsonLine()) ?? "{}", isForPrograms: true)
            await node.pool.settled()
            printLine("ready")
        } else {
            await node.pool.settled()
            printLine(announcement(dev, node).text())
        }
    }

    private func announcement(_ dev: DevNode, _ node: NodeRuntime) -> DevAnnouncement {
        dev.announcement(
            port: node.listener.addresses.first?.port ?? 0, controlURL: node.controlURL,
            workers: node.pool.status().map(\.workerPID))
    }
}
