// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import NodeConfig

extension NodeConfig.ListenAddress {
    /// Where a client on this host reaches a listener of the running node.
    ///
    /// - Parameter name: of the listener in status: where port 0 is configured, it tells the one that the system chose.
    func reached(_ name: String, _ status: NodeStatus) -> NodeConfig.ListenAddress {
        let host = ["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host
        let bound = status.limits?.listeners.first { $0.listener == name }?.port
        return NodeConfig.ListenAddress(host: host, port: bound ?? port)
    }
}
