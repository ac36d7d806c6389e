// SPDX-License-Identifier: Apache-2.0

/// What a key store's quota has refused at one node.
package struct QuotaStatus: Sendable, Equatable, Codable {
    /// Path prefix.
    package var keyStore: String
    /// How many nodes share the quota, as this one sees it: at each of them its numbers count divided by that.
    package var nodes: Int
    /// Requests a second of all nodes together, as configured; `nil` for no limit, and of a node of an earlier version.
    package var requestsPerSecond: Int?
    package var principalRequestsPerSecond: Int?
    /// Requests that were let through, since the node has the quota; `nil` of a node of an earlier version.
    package var admitted: Int?
    /// Requests over `requests_per_second`, since the node has the quota.
    package var refusedByStore: Int
    /// Requests over `principal_requests_per_second`, since the node has the quota.
    package var refusedByPrincipal: Int
    /// Principals that are told apart.
    package var principals: Int
    /// Principals of them of which a request was refused in the last minute.
    package var principalsRefused: Int
    /// Requests of principals that were not told apart, because there were too many.
    package var shared: Int

    package init(
        keyStore: String, nodes: Int, refusedByStore: Int, refusedByPrincipal: Int, principals: Int,
        principalsRefused: Int, shared: Int, requestsPerSecond: Int? = nil, principalRequestsPerSecond: Int? = nil,
        admitted: Int? = nil
    ) {
        self.requestsPerSecond = requestsPerSecond
        self.principalRequestsPerSecond = principalRequestsPerSecond
        self.admitted = admitted
        self.keyStore = keyStore
        self.nodes = nodes
        self.refusedByStore = refusedByStore
        self.refusedByPrincipal = refusedByPrincipal
        self.principals = principals
        self.principalsRefused = principalsRefused
        self.shared = shared
    }
}
