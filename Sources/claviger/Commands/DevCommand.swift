// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CPlatform
import DevEnvironment
import Foundation
import NodeConfig
import Observability

/// `claviger dev`: the embedded default.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run a development node over SoftHSM tokens that it makes itself.",
        discussion: "Makes tokens, keys, certificates and credentials once, under the state directory, and prints a "
            + "curl command that encrypts something. Everything it makes is for development only.")

    @Option(help: "Number of HSMs, 1 to 16: SoftHSM tokens, each with a worker process of its own.")
    var hsms = 3

    @Option(help: "State directory. Default: $XDG_STATE_HOME/claviger/dev, or ~/.local/state/claviger/dev.")
    var state: String?

    @Option(help: "Address and port of the XKS listener; port 0 lets the system choose.")
    var listen = "127.0.0.1:8443"

    @Option(help: "Address and port of the control listener. Default: 127.0.0.1:8480; with --listen …:0 a free port.")
    var control: String?

    @Option(help: "Sessions (lanes) on each HSM, 1 to 256. SoftHSM computes on this machine: a few per core are best.")
    var sessions = 4

    @Flag(help: "Plain HTTP instead of HTTPS.")
    var plaintext = false

    @Flag(help: "Ask clients for a certificate of the development CA.")
    var mutualTLS = false

    @Flag(help: "Print one line of JSON, then the line 'ready' when every HSM has come up, instead of text.")
    var json = false

    func run() async throws {
        let signals = StopSignal.prepare()
        _ = claviger_forbid_dumps()
        let log = NodeLog.start()
        let dev = try prepare()
        let node = try await startNode(try loadConfiguration(dev.configurationFile), log: log)
        await announce(dev, node)
        for await _ in signals { break }
        await node.stop()
        log.flush()
        withExtendedLifetime(dev) {}
    }

    private func prepare() throws -> DevNode {
        do {
            guard let directory = state ?? DevState.defaultDirectory(environment: ProcessInfo.processInfo.environment)
            else { throw DevError("There is no $HOME to keep the state under: name a directory with --state.") }
            let provisioning = ProvisioningProcess(executable: ownExecutable(), arguments: ["hsm-provision"])
            return try DevNode.prepare(
                DevOptions(
                    hsms: hsms, listen: listen, controlListen: control, plaintext: plaintext, mutualTLS: mutualTLS,
                    sessions: sessions),
                state: try DevState.open(directory), module: try SoftHSMLibrary.find(), provision: provisioning.run)
        } catch let error as DevError {
            throw failure(error.description, status: ExitStatus.start)
        }
    }

    /// The JSON line goes out as soon as the node listens and its workers have been started; text for people when they
    /// can use it.
    private func announce(_ dev: DevNode, _ node: NodeRuntime) async {
        if json {
            await node.pool.started()
            printLine((try? announcement(dev, node).jsonLine()) ?? "{}")
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
