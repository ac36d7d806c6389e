// SPDX-License-Identifier: Apache-2.0

/// How much of a node's room for connections is taken.
package struct LimitsStatus: Sendable, Equatable, Codable {
    /// The connections of one listener.
    package struct Listener: Sendable, Equatable, Codable {
        /// `xks`, `control`, `cluster`, `admin`.
        package var listener: String
        /// Open now, and at most.
        package var connections: Int
        package var maxConnections: Int
        /// Of these: those that have sent nothing; those of which no request was authenticated, the silent ones included;
        /// the others.
        package var silent: Int
        package var unauthenticated: Int
        package var authenticated: Int
        /// What the unauthenticated ones are counted for, and may be at most, bytes.
        package var unauthenticatedBytes: Int
        package var maxUnauthenticatedBytes: Int
        /// Unauthenticated ones closed to make room, and newcomers turned away, since the start.
        package var evicted: Int
        package var refused: Int
        /// The TCP port; `nil` for the admin socket, and of a node of an earlier version.
        package var port: Int?

        package init(
            listener: String, connections: Int, maxConnections: Int, silent: Int, unauthenticated: Int,
            authenticated: Int, unauthenticatedBytes: Int, maxUnauthenticatedBytes: Int, evicted: Int, refused: Int,
            port: Int? = nil
        ) {
            self.port = port
            self.listener = listener
            self.connections = connections
            self.maxConnections = maxConnections
            self.silent = silent
            self.unauthenticated = unauthenticated
            self.authenticated = authenticated
            self.unauthenticatedBytes = unauthenticatedBytes
            self.maxUnauthenticatedBytes = maxUnauthenticatedBytes
            self.evicted = evicted
            self.refused = refused
        }
    }

    /// What all listeners may hold together for clients that have not authenticated, bytes.
    package var maxUnauthenticatedBytes: Int
    package var listeners: [Listener]

    package init(maxUnauthenticatedBytes: Int, listeners: [Listener]) {
        self.maxUnauthenticatedBytes = maxUnauthenticatedBytes
        self.listeners = listeners
    }
}
