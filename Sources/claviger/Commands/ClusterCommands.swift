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
            ClusterIssueCommand.self, ClusterSerialCommand.self,
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
            printLine(try text(health), isForPrograms: json)
            if health.verdict == .unavailable { throw ExitStatus.notDone }
            return
        }
        repeat {
            // A node that is just restarted is there again the next time.
            let picture: String
            do throws(AdminClientError) {
                picture = try text(try await client.clusterHealth())
                Picture.show(picture, isForPrograms: json)
            } catch {
                let message = AdminOptions.message(error)
                json ? printError("claviger: \(message)") : Picture.show(message, isForPrograms: false)
            }
        } while try await waitToShow(again: watch)
    }

    private func text(_ health: ClusterHealth) throws(AdminClientError) -> String {
        json
            ? try JSONLine.text(health)
            : ClusterTable.text(health, nowUnixSeconds: Int64(time(nil)), on: Terminals.page)
    }
}

/// `claviger cluster bootstrap`
struct ClusterBootstrapCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bootstrap",
        abstract: "Begin a new cluster: nobody has blocked anything yet.",
        discussion: "Once, by a person, on one node of a new cluster; never by a script that runs at each start: after "
            + "the loss of all disks it would say that nothing was blocked. Until then nodes without a list of blocks "
            + "refuse every request. Taken when no peer with a list answers within five seconds; where the node has "
            + "lost its list it says the same as unblock --confirm-unknown. Status 0: done, or not needed. Status 1: no "
            + "node runs, or its disk cannot be written. Status 2: the configuration is wrong. "
            + "docs/guides/three-sites.md.")

    @OptionGroup var node: AdminOptions

    func run() async throws {
        try await node.perform { (client) throws(AdminClientError) in
            try await client.bootstrap(BootstrapOrder(user: OrderingUser.name))
        }
    }
}

/// `claviger cluster forget NODE`
struct ClusterForgetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Count no longer on a node that is gone for good.",
        discussion:
            "Orders to block or to unblock wait for every node that has ever spoken to this one, until it says goodbye: a "
            + "node that is cut off may still serve. One that was destroyed never says it, and is forgotten by this "
            + "order. It is told to the other nodes, shown with who gave it, and void as soon as the node speaks. Make "
            + "sure that the node does not run any more: it would not know of blocks. Status 0: done. Status 1: no node "
            + "runs here, or the node answers. Status 2: there is no such node.")

    @Argument(help: "The node's name (node.id).")
    var name: String

    @OptionGroup var node: AdminOptions

    func run() async throws {
        try await node.perform(naming: name) { (client) throws(AdminClientError) in
            try await client.forget(node: name, user: OrderingUser.name)
        }
    }
}
