// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser

/// `claviger hsm drain NAME`
struct HSMDrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Take an HSM out of service, before work on it.",
        discussion: "Requests that it is at work on end in the ordinary way; new ones go to the other HSMs. It stays "
            + "out, over restarts too, until hsm undrain. Status 0: done. Status 1: no node runs, or it cannot be "
            + "done. Status 2: no such HSM.")

    @Argument(help: "The HSM's name in the configuration.")
    var name: String

    @OptionGroup var node: AdminOptions

    func run() async throws {
        try await node.perform(naming: name) { (client) throws(AdminClientError) in try await client.drain(name) }
    }
}

/// `claviger hsm undrain NAME`
struct HSMUndrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undrain",
        abstract: "Put a drained HSM back into service.",
        discussion: "It is probed before it is given requests. Status 0: done. Status 1: no node runs, or it cannot be "
            + "done. Status 2: no such HSM.")

    @Argument(help: "The HSM's name in the configuration.")
    var name: String

    @OptionGroup var node: AdminOptions

    func run() async throws {
        try await node.perform(naming: name) { (client) throws(AdminClientError) in try await client.undrain(name) }
    }
}
