// SPDX-License-Identifier: Apache-2.0

/// Another node of the cluster, as it was last known: where a restarted node looks for its cluster.
package struct StoredPeer: Sendable, Equatable, Codable {
    package var name: String
    /// Host and port.
    package var address: String
    package var site: String
    package var incarnation: Int
    package var lastSeenUnixSeconds: Int

    package init(name: String, address: String, site: String, incarnation: Int, lastSeenUnixSeconds: Int) {
        self.name = name
        self.address = address
        self.site = site
        self.incarnation = incarnation
        self.lastSeenUnixSeconds = lastSeenUnixSeconds
    }

    enum CodingKeys: String, CodingKey {
        case name, address, site, incarnation
        case lastSeenUnixSeconds = "last_seen_unix_seconds"
    }
}
