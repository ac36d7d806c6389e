// SPDX-License-Identifier: Apache-2.0

/// `[control]`: the listener for people, load balancers and monitoring. It only reads.
package struct ControlSettings: Sendable, Equatable {
    package var listen: ListenAddress
    /// Whether metrics name keys.
    package var showsKeys: Bool

    package init(listen: ListenAddress, showsKeys: Bool = false) {
        self.listen = listen
        self.showsKeys = showsKeys
    }
}

enum ControlKeys {
    static let listen = ConfigurationKey(
        "listen", "address and port", standard: "\"127.0.0.1:8080\"",
        "Where `/ping`, `/livez`, `/readyz`, `/health`, `/cluster/health` and `/metrics` are served, over plain HTTP and "
            + "without authentication.",
        cost: "Beyond the loopback address, whoever reaches it sees names and states of the HSMs.")
    static let showKeys = ConfigurationKey(
        "show_keys", "boolean", standard: "false",
        "Whether `/metrics` has series for each key, by label, up to 500 keys. Without it, and with more, they are those of "
            + "the key that is worst off.",
        cost: "Whoever reaches the listener sees which keys there are.")
    static let all = [listen, showKeys]
}

extension TableReader {
    func control() -> ControlSettings {
        ControlSettings(
            listen: address(ControlKeys.listen, standard: ListenAddress(host: "127.0.0.1", port: 8080)),
            showsKeys: boolean(ControlKeys.showKeys, standard: false))
    }
}
