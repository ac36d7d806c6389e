// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Synchronization
import TLSFacts
import TLSLinks

/// Connections that peers have opened, with the name that each peer's certificate bears.
final class ConnectionTable: Sendable {
    private struct Entry {
        var peer: PeerCertificate
        /// Of the TLS files that the handshake went by.
        var generation: UInt64
        var channel: any Channel
    }

    /// What their handshakes have agreed on.
    let links = LinkTally()
    private let entries = Mutex<[ObjectIdentifier: Entry]>([:])

    /// A handshake has ended well. The connection is forgotten when it closes.
    func add(_ channel: any Channel, peer: PeerCertificate, generation: UInt64) {
        let key = ObjectIdentifier(channel)
        entries.withLock { $0[key] = Entry(peer: peer, generation: generation, channel: channel) }
        channel.closeFuture.whenComplete { _ in self.entries.withLock { $0[key] = nil } }
    }

    /// Who is at the other end; `nil` where no handshake has ended well.
    func name(of channel: any Channel) -> String? { entries.withLock { $0[ObjectIdentifier(channel)]?.peer.name } }

    /// By name, the serial numbers of the certificates that peers show at the moment: two of one name are two nodes, or
    /// one that has just been given another.
    var serials: [String: Set<CertificateSerial>] {
        entries.withLock { entries in
            entries.values.reduce(into: [:]) { $0[$1.peer.name, default: []].insert($1.peer.serial) }
        }
    }

    /// Closes those of earlier TLS files: no connection outlives a CA that was taken away.
    func close(before generation: UInt64) {
        let old = entries.withLock { $0.values.filter { $0.generation < generation }.map(\.channel) }
        for channel in old { channel.close(promise: nil) }
    }
}
