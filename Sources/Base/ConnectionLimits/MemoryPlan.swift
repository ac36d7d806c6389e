// SPDX-License-Identifier: Apache-2.0

/// How the memory that clients may hold before they have authenticated is divided among the listeners of a node, so that
/// the sum is known before the first of them comes.
///
/// A flood on one listener takes nothing of another one's part: load balancers and the command line get their answers,
/// whatever comes to the port for KMS.
package struct MemoryPlan: Sendable, Equatable {
    /// One connection as it is counted: socket, buffers and HTTP, and TLS where there is any. `make attack` has measured
    /// 45 KiB for one with TLS on which a request has begun (`slow-xks`), its header included.
    package static let plainConnectionBytes = 32 * 1024
    package static let tlsConnectionBytes = 64 * 1024
    /// An HTTP/2 stream that has begun and is not finished, beside the bytes of its header and body.
    package static let streamBytes = 12 * 1024

    /// What the plan is made from.
    package struct Demand: Sendable, Equatable {
        /// For all listeners together.
        package var unauthenticatedBytes: Int
        /// Connections at a time of the listener for people and load balancers, and of the one for the command line.
        package var controlConnections: Int
        package var adminConnections: Int
        /// Connections at a time of the listener for peers that have not shown who they are; 0 without a cluster.
        package var unknownPeers: Int
        package var xksConnections: Int
        /// Of one address that have not authenticated.
        package var xksPerAddress: Int
        package var xksHeaderBytes: Int
        package var xksBodyBytes: Int
        package var hasTLS: Bool
        /// Of the listener for people and load balancers.
        package var controlHasTLS: Bool

        package init(
            unauthenticatedBytes: Int, controlConnections: Int, adminConnections: Int, unknownPeers: Int,
            xksConnections: Int, xksPerAddress: Int, xksHeaderBytes: Int, xksBodyBytes: Int, hasTLS: Bool,
            controlHasTLS: Bool = false
        ) {
            self.controlHasTLS = controlHasTLS
            self.unauthenticatedBytes = unauthenticatedBytes
            self.controlConnections = controlConnections
            self.adminConnections = adminConnections
            self.unknownPeers = unknownPeers
            self.xksConnections = xksConnections
            self.xksPerAddress = xksPerAddress
            self.xksHeaderBytes = xksHeaderBytes
            self.xksBodyBytes = xksBodyBytes
            self.hasTLS = hasTLS
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

    /// So many clients of KMS's port must find room at the same time, each with the largest header; and one of them with
    /// the largest body.
    package static let leastConnections = 32

    package let unauthenticatedBytes: Int
    /// What each of the small listeners can be made to hold, bytes.
    package let control: Int
    /// One connection to the listener for people and load balancers, bytes.
    package let controlConnectionBytes: Int
    package let admin: Int
    package let cluster: Int
    package let xks: ListenerShare

    package init(_ demand: Demand) throws(Shortage) {
        let connectionBytes =
            (demand.hasTLS ? Self.tlsConnectionBytes : Self.plainConnectionBytes) + demand.xksHeaderBytes
        let least = min(demand.xksConnections, Self.leastConnections)
        controlConnectionBytes = demand.controlHasTLS ? Self.tlsConnectionBytes : Self.plainConnectionBytes
        control = demand.controlConnections * controlConnectionBytes
        admin = demand.adminConnections * Self.plainConnectionBytes
        cluster = demand.unknownPeers * Self.tlsConnectionBytes
        let others = control + admin + cluster
        let needed = others + least * connectionBytes + demand.xksBodyBytes
        guard demand.unauthenticatedBytes >= needed else {
            var addends = ["\(Self.kibibytes(control)) for [control]", "\(Self.kibibytes(admin)) for admin.sock"]
            if cluster > 0 { addends.append("\(Self.kibibytes(cluster)) for [cluster]") }
            addends.append(
                "\(Self.kibibytes(least * connectionBytes)) for \(least) connections to [xks], "
                    + "\(Self.kibibytes(demand.xksBodyBytes)) for one body")
            throw Shortage(
                given: demand.unauthenticatedBytes, needed: needed, sum: addends.joined(separator: ", "))
        }
        unauthenticatedBytes = demand.unauthenticatedBytes
        xks = ListenerShare(
            connections: demand.xksConnections, bytes: demand.unauthenticatedBytes - others,
            connectionBytes: connectionBytes, perAddress: demand.xksPerAddress)
    }

    private static func kibibytes(_ bytes: Int) -> String { "\((bytes + 1_023) / 1_024) KiB" }
}
