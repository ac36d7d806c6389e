// SPDX-License-Identifier: Apache-2.0

/// `[control]`: the listener for people, load balancers and monitoring. It only reads.
package struct ControlSettings: Sendable, Equatable {
    package var listen: ListenAddress

    package init(listen: ListenAddress) { self.listen = listen }
}

enum ControlKeys {
    static let listen = ConfigurationKey(
        "listen", "address and port", standard: "\"127.0.0.1:8080\"",
        "Where `/ping`, `/livez`, `/readyz` and `/health` are served, over plain HTTP and without authentication.",
        cost: "Beyond the loopback address, whoever reaches it sees names and states of the HSMs.")
    static let all = [listen]
}

extension TableReader {
    func control() -> ControlSettings {
        ControlSettings(listen: address(ControlKeys.listen, standard: ListenAddress(host: "127.0.0.1", port: 8080)))
    }
}
