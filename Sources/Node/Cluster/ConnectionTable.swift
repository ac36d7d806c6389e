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
    /// Those of TLS files before these are being closed.
    private let least = Atomic<UInt64>(0)

    /// A handshake has ended well. The connection is forgotten when it closes.
    func add(_ channel: any Channel, peer: PeerCertificate, generation: UInt64) {
        let key = ObjectIdentifier(channel)
        entries.withLock { $0[key] = Entry(peer: peer, generation: generation, channel: channel) }
        channel.closeFuture.whenComplete { _ in self.entries.withLock { $0[key] = nil } }
    }

    /// Who is at the other end; `nil` where no handshake has ended well, and where the connection is to be closed: what still
    /// comes in on it is nobody's word any more.
    func name(of channel: any Channel) -> String? {
        let least = least.load(ordering: .relaxed)
        return entries.withLock { entries in
            entries[ObjectIdentifier(channel)].flatMap { $0.generation < least ? nil : $0.peer.name }
        }
    }

    /// By name, the serial numbers of the certificates that peers show at the moment: two of one name are two nodes, or
    /// one that has just been given another.
    var serials: [String: Set<CertificateSerial>] {
        entries.withLock { entries in
            entries.values.reduce(into: [:]) { $0[$1.peer.name, default: []].insert($1.peer.serial) }
        }
    }

    /// Closes those of earlier TLS files: no connection outlives a CA that was taken away.
    func close(before generation: UInt64) {
        least.store(generation, ordering: .relaxed)
        let old = entries.withLock { $0.values.filter { $0.generation < generation }.map(\.channel) }
        for channel in old { channel.close(promise: nil) }
    }
}
