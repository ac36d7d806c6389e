// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser

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
        try await node.tell(naming: name) { (client) throws(AdminClientError) in
            try await client.forget(node: name, user: OrderingUser.name)
        }
    }
}
