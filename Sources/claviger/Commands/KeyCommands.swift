// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser

/// `claviger key …`
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Settle which HSM holds the right key.", subcommands: [KeyTrustCommand.self])
}

/// `claviger key trust LABEL --hsm NAME`
struct KeyTrustCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust",
        abstract: "Say that what an HSM holds under a label is the key.",
        discussion:
            "For a key that is refused because HSMs hold different keys under its label. From then on the other "
            + "HSMs must show that they hold the same key as this one; those that do not are kept from it. Whatever "
            + "was encrypted under another key of that label cannot be decrypted any more: make sure which one is "
            + "right. Status 0: done. Status 1: no node runs, or it cannot be done. Status 2: no such key or HSM.")

    @Argument(help: "The key's PKCS#11 label.")
    var key: String

    @Option(help: "Name of the HSM that holds the right key.")
    var hsm: String

    @OptionGroup var node: AdminOptions

    func run() async throws {
        try await node.tell(naming: hsm, key) { (client) throws(AdminClientError) in
            try await client.trust(key: key, hsm: hsm)
        }
    }
}
