// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// What the status page is made from: the values that `claviger status` and `claviger cluster status` show, at one moment.
package struct StatusSnapshot: Sendable {
    /// This node.
    package var status: NodeStatus
    /// The cluster as this node sees it.
    package var cluster: ClusterHealth
    /// The last changes of HSMs' states, newest first.
    package var transitions: [HSMTransition]
    package var traffic: TrafficHistory
    /// When the certificates end that this node shows, Unix seconds, by the setting that names them.
    package var certificateEnds: [String: Int64]
    /// Whether keys may be named (`control.show_keys`). Blocks are never shown with whom they hit, nor why.
    package var showsKeys: Bool
    /// What ages are counted to.
    package var nowUnixSeconds: Int64

    package init(
        status: NodeStatus, cluster: ClusterHealth, transitions: [HSMTransition], traffic: TrafficHistory,
        certificateEnds: [String: Int64], showsKeys: Bool, nowUnixSeconds: Int64
    ) {
        self.status = status
        self.cluster = cluster
        self.transitions = transitions
        self.traffic = traffic
        self.certificateEnds = certificateEnds
        self.showsKeys = showsKeys
        self.nowUnixSeconds = nowUnixSeconds
    }
}
