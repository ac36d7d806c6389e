// SPDX-License-Identifier: Apache-2.0
import Gossip
import TLSFacts

/// Signs this node's farewell with its cluster key, and verifies those of others against the cluster's CA: whoever passes
/// one on cannot have made it up.
enum FarewellSigning {
    /// `nil` where the files cannot be read any more, or hold a key of a kind that cannot sign here. Blocks on the disk.
    static func sign(name: String, incarnation: UInt64, with files: ClusterTLSFiles) -> Farewell? {
        // Who ends does not wait long for files: those who are not told learn it by its silence.
        let text = Farewell.signedText(name: name, incarnation: incarnation)
        guard let key = NodeSigningKey(files), let signature = key.sign(Array(text.utf8)) else { return nil }
        return Farewell(
            name: name, incarnation: incarnation, certificates: key.certificates, signature: signature)
    }

    /// Whether the node of this name said so itself.
    ///
    /// - Parameter material: the cluster's CA certificates, and those of nodes that no node may show any more.
    static func isGenuine(_ farewell: Farewell, by material: ClusterTLS.Material) async -> Bool {
        let text = Farewell.signedText(name: farewell.name, incarnation: farewell.incarnation)
        return await NodeSignature.isGenuine(
            Array(text.utf8), farewell.signature, by: farewell.certificates, node: farewell.name, material: material)
    }
}

extension GossipMessage {
    /// Farewells that one message may bring; further ones come with later messages.
    private static let mostFarewells = 8

    var carriesFarewell: Bool { farewell != nil || updates.contains { $0.farewell != nil } }

    /// With the farewells that are genuine, and no others.
    ///
    /// - Parameter tls: what is in use.
    func withGenuineFarewells(by tls: ClusterTLS.Material) async -> GossipMessage {
        var message = self
        if let farewell, await !FarewellSigning.isGenuine(farewell, by: tls) {
            message.farewell = nil
        }
        var room = Self.mostFarewells
        for index in updates.indices {
            guard let farewell = updates[index].farewell else { continue }
            room -= 1
            if room >= 0, await FarewellSigning.isGenuine(farewell, by: tls) { continue }
            message.updates[index].farewell = nil
        }
        return message
    }
}
