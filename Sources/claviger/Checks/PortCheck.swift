// SPDX-License-Identifier: Apache-2.0
import Glibc
import HostLimits
import NIOCore
import NIOPosix
import NodeConfig

/// Whether a node could listen where its configuration says. What the running node of the same state directory holds
/// counts as free: it is that node that would be restarted.
struct PortCheck {
    /// A listener, and where it is to listen.
    struct Listener: Sendable {
        let setting: String
        let address: NodeConfig.ListenAddress
    }

    /// TCP ports that the running node holds; `nil` where one runs that does not say.
    let held: Set<Int>?

    static func listeners(of settings: NodeSettings) -> [Listener] {
        [
            Listener(setting: "xks.listen", address: settings.xks.listen),
            Listener(setting: "control.listen", address: settings.control.listen),
        ] + (settings.cluster.map { [Listener(setting: "cluster.listen", address: $0.listen)] } ?? [])
    }

    /// Binds each address for a moment, as the node would.
    ///
    /// - Returns: by listener that cannot be had, why; and whether that may be the running node, which does not say.
    func failures(
        of listeners: [Listener], group: any EventLoopGroup
    ) async -> [(listener: Listener, failure: ListenFailure, mayBeOwn: Bool)] {
        var failures: [(listener: Listener, failure: ListenFailure, mayBeOwn: Bool)] = []
        for listener in listeners {
            let address = listener.address
            do {
                let channel = try await ServerBootstrap(group: group)
                    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                    .bind(host: address.host, port: address.port).get()
                try? await channel.close()
            } catch {
                let failure = ListenFailure(error, port: address.port)
                let isInUse = (error as? IOError)?.errnoCode == EADDRINUSE
                if isInUse, held?.contains(address.port) == true { continue }
                failures.append((listener, failure, isInUse && held == nil))
            }
        }
        return failures
    }
}
