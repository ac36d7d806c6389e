// SPDX-License-Identifier: Apache-2.0

/// How the descriptors that a node may have open are shared out.
package struct DescriptorStatus: Sendable, Equatable, Codable {
    /// What the process may have open.
    package var limit: Int
    /// For files, workers and connections to peers: no listener may have them.
    package var reserved: Int
    /// Connections at a time of each listener; `cluster` is 0 without a cluster.
    package var xks: Int
    package var cluster: Int
    package var control: Int
    package var admin: Int

    package init(limit: Int, reserved: Int, xks: Int, cluster: Int, control: Int, admin: Int) {
        self.limit = limit
        self.reserved = reserved
        self.xks = xks
        self.cluster = cluster
        self.control = control
        self.admin = admin
    }
}
