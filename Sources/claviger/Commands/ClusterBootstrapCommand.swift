// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser

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
        try await node.tell { (client) throws(AdminClientError) in
            try await client.bootstrap(BootstrapOrder(user: OrderingUser.name))
        }
    }
}
