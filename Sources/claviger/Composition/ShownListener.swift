// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Cluster
import ConnectionLimits
import ControlPlane
import HTTPServing
import XKSListener

/// A listener whose connections status shows.
struct ShownListener: Sendable {
    /// nil while it does not listen.
    let look: @Sendable () -> LimitsStatus.Listener?

    static func xks(_ listener: XKSListener) -> ShownListener {
        ShownListener {
            let use = listener.budget.use
            return LimitsStatus.Listener(
                listener: ListenerName.xks.rawValue, connections: use.connections,
                maxConnections: use.share.connections, silent: use.silent, unauthenticated: use.unauthenticated,
                authenticated: use.authenticated, unauthenticatedBytes: use.bytes,
                maxUnauthenticatedBytes: use.share.bytes, evicted: use.evictions, refused: use.refusals,
                port: listener.addresses.first?.port)
        }
    }

    /// Who has shown a token is not told from the others: each request shows it anew.
    static func control(_ control: ControlServer, _ memory: MemoryPlan) -> ShownListener {
        ShownListener {
            LimitsStatus.Listener(
                .control, control.openConnections, unauthenticated: \.connections,
                bytes: memory.controlConnectionBytes, most: memory.control, port: control.port)
        }
    }

    /// The kernel says who asks.
    static func admin(_ admin: AdminListener, _ memory: MemoryPlan) -> ShownListener {
        ShownListener {
            admin.openConnections.map {
                LimitsStatus.Listener(
                    .admin, $0, unauthenticated: \.silent, bytes: MemoryPlan.plainConnectionBytes,
                    most: memory.admin)
            }
        }
    }

    /// Peers show a certificate in the handshake.
    static func cluster(_ cluster: ClusterService, _ memory: MemoryPlan) -> ShownListener {
        ShownListener {
            LimitsStatus.Listener(
                .cluster, cluster.openConnections, unauthenticated: \.silent,
                bytes: MemoryPlan.tlsConnectionBytes, most: memory.cluster, port: cluster.port)
        }
    }
}

extension LimitsStatus.Listener {
    /// - Parameter bytes: that each connection is counted for which is not authenticated.
    fileprivate init(
        _ name: ListenerName, _ open: OpenConnections,
        unauthenticated kind: KeyPath<OpenConnections.Use, Int>, bytes: Int, most: Int,
        port: Int? = nil
    ) {
        let use = open.use
        let unauthenticated = use[keyPath: kind]
        self.init(
            listener: name.rawValue, connections: use.connections, maxConnections: open.limits.connections,
            silent: use.silent, unauthenticated: unauthenticated, authenticated: use.connections - unauthenticated,
            unauthenticatedBytes: unauthenticated * bytes, maxUnauthenticatedBytes: most, evicted: use.evictions,
            refused: use.refusals, port: port)
    }
}
