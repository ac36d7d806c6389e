// SPDX-License-Identifier: Apache-2.0

/// There are too few descriptors for a node with one connection.
package struct TooFewDescriptors: Error, Sendable, Equatable, CustomStringConvertible {
    package var limit: Int
    package var need: Int

    package var description: String {
        "this process may have \(limit) descriptors open (ulimit -n, LimitNOFILE= of the unit), and a node with these "
            + "HSMs needs \(need) before it can take one connection"
    }
}

/// How the descriptors that a node may have open are shared out, so that no listener takes those of another, of a worker
/// that is to be started, or of a file.
package struct DescriptorPlan: Sendable, Equatable {
    /// What the plan is made for.
    package struct Demand: Sendable, Equatable {
        /// Sessions of each HSM: each is a socket to its worker.
        package var sessions: [Int]
        package var eventLoops: Int
        package var isClustered: Bool
        /// As configured.
        package var xksConnections: Int

        package init(sessions: [Int], eventLoops: Int, isClustered: Bool, xksConnections: Int) {
            self.sessions = sessions
            self.eventLoops = eventLoops
            self.isClustered = isClustered
            self.xksConnections = xksConnections
        }
    }

    /// Standard streams, files of the store, listening sockets, signals, the runtime's own: 33 were counted.
    private static let own = 48
    /// Of an event loop: epoll, eventfd, timerfd.
    private static let ofLoop = 3
    /// Beside `Demand.eventLoops`: those of the control, the admin and the cluster listener and of the workers' sockets.
    private static let moreLoops = 5
    /// For what is open for a moment: files that a reload reads, pipes of commands, connections that are just closing.
    private static let reserve = 32
    /// To peers.
    private static let outgoing = 64
    package static let mostControl = 64
    package static let mostAdmin = 32
    package static let mostCluster = 1_024
    /// Of peers that have not shown yet who they are: a handshake takes a moment only.
    private static let mostUnknownPeers = 128
    private static let leastSmall = 8
    private static let leastCluster = 16

    /// Descriptors that the process may have open.
    package var limit: Int
    /// Those that no listener may have.
    package var reserved: Int
    /// Connections at a time, of each listener.
    package var control: Int
    package var admin: Int
    /// 0 without a cluster.
    package var cluster: Int
    package var xks: Int

    /// Connections at a time of peers that have not shown yet who they are.
    package var unknownPeers: Int { min(cluster, Self.mostUnknownPeers) }

    /// What the small listeners have is a part of the limit, so that few descriptors leave room for requests as well; what
    /// is left is the XKS listener's, and a quarter of it at most the cluster listener's.
    package init(_ demand: Demand, limit: Int) throws(TooFewDescriptors) {
        self.init(shares: demand, limit: limit)
        guard xks >= 1 else {
            // The shares grow with the limit, so the least one is found by trying.
            var need = max(limit, 0)
            while DescriptorPlan(shares: demand, limit: need).xks < 1 { need += 1 }
            throw TooFewDescriptors(limit: limit, need: need)
        }
    }

    private init(shares demand: Demand, limit: Int) {
        // A worker's sockets: the node's ends, and for the time of its start the worker's ends and their copies.
        let workers = demand.sessions.reduce(0) { $0 + 3 * ($1 + 1) }
        reserved =
            Self.own + Self.ofLoop * (demand.eventLoops + Self.moreLoops) + workers + Self.reserve
            + (demand.isClustered ? min(Self.outgoing, max(Self.leastCluster, limit / 16)) : 0)
        self.limit = limit
        control = min(Self.mostControl, max(Self.leastSmall, limit / 16))
        admin = min(Self.mostAdmin, max(Self.leastSmall, limit / 32))
        let left = limit - reserved - control - admin
        cluster = demand.isClustered ? min(Self.mostCluster, max(Self.leastCluster, left / 4)) : 0
        xks = min(demand.xksConnections, left - cluster)
    }
}
