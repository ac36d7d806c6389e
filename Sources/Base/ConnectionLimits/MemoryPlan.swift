// SPDX-License-Identifier: Apache-2.0

/// How the memory that clients may hold before they have authenticated is divided among the listeners of a node, so that
/// the sum is known before the first of them comes.
///
/// A flood on one listener takes nothing of another one's part: load balancers and the command line get their answers,
/// whatever comes to the port for KMS.
package struct MemoryPlan: Sendable, Equatable {
    /// One connection as it is counted: socket, buffers and HTTP, and TLS where there is any. Measured under
    /// connections that have begun a handshake or a request and stop there, and rounded up.
    package static let plainConnectionBytes = 32 * 1024
    package static let tlsConnectionBytes = 64 * 1024
    /// An HTTP/2 stream that has begun and is not finished, beside the bytes of its header and body.
    package static let streamBytes = 12 * 1024

    /// What the plan is made from.
    package struct Demand: Sendable, Equatable {
        /// For all listeners together.
        package var unauthenticatedBytes: Int
        package var xksConnections: Int
        /// Of one address that have not authenticated.
        package var xksPerAddress: Int
        package var xksHeaderBytes: Int
        package var xksBodyBytes: Int
        package var hasTLS: Bool
        package var hasCluster: Bool

        package init(
            unauthenticatedBytes: Int, xksConnections: Int, xksPerAddress: Int, xksHeaderBytes: Int, xksBodyBytes: Int,
            hasTLS: Bool, hasCluster: Bool
        ) {
            self.unauthenticatedBytes = unauthenticatedBytes
            self.xksConnections = xksConnections
            self.xksPerAddress = xksPerAddress
            self.xksHeaderBytes = xksHeaderBytes
            self.xksBodyBytes = xksBodyBytes
            self.hasTLS = hasTLS
            self.hasCluster = hasCluster
        }
    }

    /// What has been asked for does not fit.
    package struct Shortage: Error, Equatable {
        /// Bytes, all listeners together.
        package let given: Int
        package let needed: Int
        /// The addends, in words.
        package let sum: String
    }

    /// Of the listener for the command line: it is reached by a few users of this host.
    package static let admin = ListenerShare(
        connections: 32, bytes: 32 * plainConnectionBytes, connectionBytes: plainConnectionBytes)
    /// Of the listener for people and load balancers.
    package static let control = ListenerShare(
        connections: 64, bytes: 64 * plainConnectionBytes, connectionBytes: plainConnectionBytes)
    /// Of the listener for peers, all of which show a certificate of the cluster.
    package static let cluster = ListenerShare(
        connections: 1_024, bytes: 128 * tlsConnectionBytes, connectionBytes: tlsConnectionBytes)
    /// So many clients of KMS's port must find room at the same time, each with the largest header; and one of them with
    /// the largest body.
    package static let leastConnections = 32

    package let unauthenticatedBytes: Int
    package let xks: ListenerShare
    package let hasCluster: Bool

    package init(_ demand: Demand) throws(Shortage) {
        let connectionBytes =
            (demand.hasTLS ? Self.tlsConnectionBytes : Self.plainConnectionBytes) + demand.xksHeaderBytes
        let least = min(demand.xksConnections, Self.leastConnections)
        let others = Self.admin.bytes + Self.control.bytes + (demand.hasCluster ? Self.cluster.bytes : 0)
        let needed = others + least * connectionBytes + demand.xksBodyBytes
        guard demand.unauthenticatedBytes >= needed else {
            var addends = [
                "\(Self.kibibytes(Self.control.bytes)) for [control]",
                "\(Self.kibibytes(Self.admin.bytes)) for admin.sock",
            ]
            if demand.hasCluster { addends.append("\(Self.kibibytes(Self.cluster.bytes)) for [cluster]") }
            addends.append(
                "\(Self.kibibytes(least * connectionBytes)) for \(least) connections to [xks], "
                    + "\(Self.kibibytes(demand.xksBodyBytes)) for one body")
            throw Shortage(
                given: demand.unauthenticatedBytes, needed: needed, sum: addends.joined(separator: ", "))
        }
        unauthenticatedBytes = demand.unauthenticatedBytes
        hasCluster = demand.hasCluster
        xks = ListenerShare(
            connections: demand.xksConnections, bytes: demand.unauthenticatedBytes - others,
            connectionBytes: connectionBytes, perAddress: demand.xksPerAddress)
    }

    /// Of each listener that there is.
    package var shares: [(listener: ListenerName, share: ListenerShare)] {
        var shares = [
            (listener: ListenerName.xks, share: xks), (listener: .control, share: Self.control),
            (listener: .admin, share: Self.admin),
        ]
        if hasCluster { shares.append((listener: .cluster, share: Self.cluster)) }
        return shares
    }

    private static func kibibytes(_ bytes: Int) -> String { "\((bytes + 1_023) / 1_024) KiB" }
}
