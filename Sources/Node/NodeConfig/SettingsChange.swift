// SPDX-License-Identifier: Apache-2.0

/// What of a configuration a running node can take over. The listeners are bound once, with their limits, and a node's
/// name is in the memory of its peers; all else is looked up anew for each request, or has a life of its own.
extension NodeSettings {
    private struct Setting {
        let name: String
        let isSame: (NodeSettings, NodeSettings) -> Bool

        init<Value: Equatable>(_ name: String, _ value: @escaping (NodeSettings) -> Value) {
            self.name = name
            isSame = { value($0) == value($1) }
        }
    }

    /// Made for each use: closures over values cannot be kept in a constant that all threads share.
    private static var fixedSettings: [Setting] {
        [
            Setting("node.id") { $0.node.id },
            Setting("node.site") { $0.node.site },
            Setting("node.state_dir") { $0.node.stateDirectory },
            Setting("node.drain_delay") { $0.node.drainDelay },
            Setting("node.event_loops") { $0.node.eventLoops },
            Setting("node.admin_group") { $0.node.adminGroup },
            Setting("node.max_unauthenticated_bytes") { $0.node.maxUnauthenticatedBytes },
            Setting("xks.listen") { $0.xks.listen },
            Setting("xks.plaintext") { $0.xks.protection == .plaintext },
            Setting("xks.max_plaintext_bytes") { $0.xks.maxPlaintextBytes },
            Setting("xks.max_aad_bytes") { $0.xks.maxAADBytes },
            Setting("xks.max_body_bytes") { $0.xks.maxBodyBytes },
            Setting("xks.max_header_bytes") { $0.xks.maxHeaderBytes },
            Setting("xks.handshake_timeout") { $0.xks.handshakeTimeout },
            Setting("xks.header_timeout") { $0.xks.headerTimeout },
            Setting("xks.body_timeout") { $0.xks.bodyTimeout },
            Setting("xks.idle_timeout") { $0.xks.idleTimeout },
            Setting("xks.max_connections") { $0.xks.maxConnections },
            Setting("xks.max_unauthenticated_per_address") { $0.xks.maxUnauthenticatedPerAddress },
            Setting("xks.proxy_protocol_from") { $0.xks.proxyProtocolFrom },
            Setting("xks.max_requests_in_flight") { $0.xks.maxRequestsInFlight },
            Setting("xks.request_deadline") { $0.xks.requestDeadline },
            Setting("xks.attempt_deadline") { $0.xks.attemptDeadline },
            Setting("xks.tcp_keepalive") { $0.xks.keepalive },
            Setting("control.listen") { $0.control.listen },
            Setting("audit") { $0.audit },
            Setting("cluster") { $0.cluster == nil },
            // A table that comes or goes is named as a whole, not by each of its keys.
            Setting("cluster.listen") { $0.cluster?.listen },
            Setting("cluster.advertise") { $0.cluster?.advertise },
            Setting("cluster.forwarding") { $0.cluster?.forwarding },
        ]
    }

    /// Every name that `restartOnly(changedFrom:)` may give.
    package static var restartOnlyKeys: [String] { fixedSettings.map(\.name) }

    /// The keys that differ from `old` and that only a restart changes, as they stand in the file (`xks.listen`), in
    /// its order; empty when a running node can take these settings over.
    package func restartOnly(changedFrom old: NodeSettings) -> [String] {
        let changed = Self.fixedSettings.filter { !$0.isSame(self, old) }.map(\.name)
        return changed.contains("cluster") ? changed.filter { !$0.hasPrefix("cluster.") } : changed
    }

    /// Whether a key of that path, or the table that it stands in, is changed by a restart alone. `[cluster]` itself
    /// counts for its coming and going, not for its keys.
    static func needsRestart(_ path: String) -> Bool {
        fixedSettings.contains { $0.name == path || (path.hasPrefix($0.name + ".") && $0.name != "cluster") }
    }
}
