// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import Glibc

/// `claviger cluster`
struct ClusterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Begin a cluster, show it, forget nodes that are gone, and make certificates.",
        subcommands: [
            ClusterStatusCommand.self, ClusterBootstrapCommand.self, ClusterForgetCommand.self,
            ClusterNewCACommand.self,
            ClusterIssueCommand.self,
        ])
}

/// `claviger cluster status`
struct ClusterStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show every node of the cluster, what is wrong, and what is blocked.",
        discussion: "As the running node of this host sees it; any node may be asked. Status 0: the cluster serves. "
            + "Status 1: no node runs here, or no live node can serve. Status 2: the configuration is wrong.")

    @OptionGroup var node: AdminOptions

    @Flag(help: "Print JSON, on one line (docs/reference/http-api.md).")
    var json = false

    @Option(
        defaultAsFlag: 2, help: ArgumentHelp("Show it again every so many seconds (1 to 3600).", valueName: "seconds"))
    var watch: Int?

    func validate() throws {
        if let watch, !(1...3600).contains(watch) { throw ValidationError("--watch takes 1 to 3600 seconds.") }
    }

    func run() async throws {
        let client = try node.client()
        guard let watch else {
            let health: ClusterHealth
            do throws(AdminClientError) {
                health = try await client.clusterHealth()
            } catch {
                throw failure(AdminOptions.message(error), status: ExitStatus.notDone)
            }
            printLine(try text(health))
            if health.verdict == .unavailable { throw ExitStatus.notDone }
            return
        }
        while true {
            // A node that is just restarted is there again the next time.
            let picture: String
            do throws(AdminClientError) {
                picture = try text(try await client.clusterHealth())
                Picture.show(picture, isForPrograms: json)
            } catch {
                let message = AdminOptions.message(error)
                json ? printError("claviger: \(message)") : Picture.show(message, isForPrograms: false)
            }
            try await Task.sleep(for: .seconds(watch))
        }
    }

    private func text(_ health: ClusterHealth) throws(AdminClientError) -> String {
        json ? try JSONLine.text(health) : ClusterTable.text(health, nowUnixSeconds: Int64(time(nil)))
    }
}
