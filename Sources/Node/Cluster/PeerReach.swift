// SPDX-License-Identifier: Apache-2.0
import NIOCore
import TLSLinks

/// What came of connecting to a peer as this node would.
package struct PeerReach: Sendable, Equatable {
    /// The name in the certificate that it showed.
    package var peer: String
    /// For connection and handshake, nanoseconds.
    package var nanoseconds: UInt64
}

extension ClusterService {
    /// Connects to an address and shakes hands, for whoever looks at the network; sends nothing. Blocks while the name is
    /// resolved.
    ///
    /// - Returns: who is there, or why nobody could be reached, in words.
    package static func reach(
        _ address: String, by files: ClusterTLSFiles, node: String, on loop: any EventLoop
    ) async -> Result<PeerReach, PeerTrouble> {
        guard let target = HostAndPort(address) else {
            return .failure(PeerTrouble(message: "\"\(address)\" is no address", advice: "write HOST:PORT"))
        }
        do {
            let tls = try ClusterTLS(files, node: node)
            let resolved = try SocketAddress.makeAddressResolvingHost(target.host, port: target.port)
            let begin = monotonicNanoseconds()
            let name = try await PeerConnection.open(
                to: resolved, host: address, tls: tls, tally: LinkTally(), timeout: .seconds(3), on: loop
            ).map { bound in
                let connection = bound.value
                connection.channel.close(promise: nil)
                return connection.peer
            }.get()
            return .success(PeerReach(peer: name, nanoseconds: monotonicNanoseconds() &- begin))
        } catch {
            return .failure(PeerTrouble(error))
        }
    }
}

/// Why a peer was not reached.
package struct PeerTrouble: Error, Sendable, Equatable {
    package var message: String
    /// What to look at.
    package var advice: String

    init(message: String, advice: String) {
        self.message = message
        self.advice = advice
    }

    init(_ error: any Error) {
        switch error {
        case is SocketAddressError.UnknownHost:
            self.init(message: "its name has no address", advice: "correct the name, or the name server")
        case let error as ClusterError:
            self.init(message: error.description, advice: error.mend)
        case PeerFailure.handshake, PeerFailure.tls, PeerFailure.revoked:
            self.init(
                message: "\(error)", advice: "look at the certificates of both, and at cluster.ca and cluster.refused")
        case PeerFailure.foreign:
            self.init(message: "\(error)", advice: "correct the address, or the certificate there")
        default:
            self.init(
                message: "\(PeerFailure(error))",
                advice: "look whether the node runs there, at its cluster port, and at firewalls between the two; "
                    + "`claviger cluster forget NODE` if it is gone for good")
        }
    }
}
