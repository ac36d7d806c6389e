// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser

/// `claviger key …`
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Settle which HSM holds the right key, and which keys are gone.",
        subcommands: [KeyTrustCommand.self, KeyForgetCommand.self])
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
        try await node.perform(naming: hsm, key) { (client) throws(AdminClientError) in
            try await client.trust(key: key, hsm: hsm)
        }
    }
}

/// `claviger key forget LABEL`
struct KeyForgetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Say that a key is gone for good.",
        discussion:
            "A key that was proven once and that no HSM lists any more is unknown: requests for it are answered with an "
            + "error that KMS retries, because it may only be out of reach. After this order they are told that there is "
            + "no such key (KeyNotFoundException), which is final. All nodes of the cluster are told. Where an HSM holds "
            + "the key, the order has no effect. Status 0: done. Status 1: no node runs, or an HSM holds the key. "
            + "Status 2: no such key.")

    @Argument(help: "The key's PKCS#11 label.")
    var key: String

    @OptionGroup var node: AdminOptions

    func run() async throws {
        try await node.perform(naming: key) { (client) throws(AdminClientError) in
            try await client.forget(key: key)
        }
    }
}
