// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import NodeStore

/// `claviger drain`
struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "End the running node in good order, as SIGTERM does.",
        discussion: "It leaves the cluster, tells load balancers that it is not ready, finishes what is in flight, and "
            + "ends. A supervisor that restarts whatever ends starts it anew: there, use its own stop command. Status "
            + "0: the node ends; with --wait: it has ended. Status 1: no node runs, or it has not ended in time. "
            + "Status 2: the configuration is wrong. For an HSM: claviger hsm drain.")

    /// A node needs its `drain_delay` (at most five minutes), and 15 s for what is in flight.
    private static let longestWait = Duration.seconds(360)

    @Flag(help: "Return when the node has ended.")
    var wait = false

    @OptionGroup var node: AdminOptions

    func run() async throws {
        let client = try node.client()
        let process = client.servingProcess().map { ProcessIdentity(pid: $0, startTicks: 0) }
        try await node.perform { (client) throws(AdminClientError) in try await client.drainNode() }
        guard wait else { return }
        let deadline = ContinuousClock.now + Self.longestWait
        while await isThere(process, client) {
            guard ContinuousClock.now < deadline else {
                let name = process.map { "process \($0.pid)" } ?? "the node"
                throw failure(
                    "\(name) has not ended within \(Self.longestWait.components.seconds) s",
                    status: ExitStatus.notDone)
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        printLine("The node has ended.")
    }

    /// Where its process cannot be seen from here, its socket shows it: it goes a moment before the process does.
    private func isThere(_ process: ProcessIdentity?, _ client: AdminClient) async -> Bool {
        if let process { return process.isAlive }
        do throws(AdminClientError) {
            _ = try await client.blocks()
            return true
        } catch {
            if case .notRunning = error { return false }
            return true
        }
    }
}

/// `claviger reload`
struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Have the running node read its configuration anew, as SIGHUP does.",
        discussion: "Certificates, credentials, key stores, keys and HSMs, without a dropped connection. A file with a "
            + "mistake changes nothing, and neither does one that changes what needs a restart, or that has lost a key store "
            + "that was used in the last minute or a credential that KMS has signed with in the last hour at any node "
            + "(--force takes it). Status 0: done; it is "
            + "said what has changed. Status 1: no node runs, nothing or only a part has changed, or an HSM was not "
            + "taken in, and why. Status 2: --config itself is wrong.")

    /// Secrets may come from commands that take their time.
    private static let timeout = Duration.seconds(300)

    @OptionGroup var node: AdminOptions

    @Flag(
        help: ArgumentHelp(
            "Also where key stores go that were used in the last minute, and credentials that were used in the last "
                + "hour."))
    var force = false

    func run() async throws {
        let force = force
        try await node.perform(timeout: Self.timeout) { (client) throws(AdminClientError) in
            try await client.reloadTellingWarnings(isForced: force)
        }
    }
}

extension AdminClient {
    /// Has the node read its configuration anew; what it has taken and should be mended is said on standard error, before
    /// what has changed is returned.
    func reloadTellingWarnings(isForced: Bool = false) async throws(AdminClientError) -> String {
        let (message, warnings) = try await reload(isForced: isForced)
        for warning in warnings { printError(Terminal.plain("warning: \(warning)")) }
        return message
    }
}
