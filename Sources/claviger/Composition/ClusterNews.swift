// SPDX-License-Identifier: Apache-2.0
import Cluster
import Gossip
import Logging

/// What the cluster's events say in the log.
enum ClusterNews {
    static func log(_ event: GossipEvent, with logger: Logger) {
        switch event {
        case .changed(let member, let before, let accuser):
            var metadata: Logger.Metadata = [
                "node": "\(member.identity.name)", "site": "\(member.identity.site)",
                "address": "\(member.identity.address)", "liveness": "\(member.liveness.rawValue)",
                "incarnation": "\(member.identity.incarnation)",
            ]
            if let before { metadata["before"] = "\(before.rawValue)" }
            if let accuser { metadata["accuser"] = "\(accuser)" }
            logger.log(level: level(member.liveness), "node of the cluster", metadata: metadata)
        case .refuted(let incarnation, let accuser):
            logger.notice(
                "this node was held for dead and has contradicted",
                metadata: ["incarnation": "\(incarnation)", "accuser": "\(accuser)"])
        case .twin(let address):
            logger.error(
                "another node bears this node's name: give each node a node.id of its own",
                metadata: ["address": "\(address)"])
        case .configurationDiffers(let peer, true):
            logger.warning(
                "configuration differs: key stores, keys, credentials, regions and aad must be alike on all nodes",
                metadata: ["node": "\(peer)"])
        case .configurationDiffers(let peer, false):
            logger.notice("configuration is alike again", metadata: ["node": "\(peer)"])
        case .restored(let peer, let remembered, let reported):
            logger.error(
                "a node's list of blocks has gone back: its state directory was put back to an earlier state",
                metadata: ["node": "\(peer)", "remembered": "\(remembered)", "told": "\(reported)"])
        case .counted: break
        // Mended at once; what comes of it is logged by those who mend it.
        case .introduced, .blocksDiffer, .canariesDiffer: break
        }
    }

    static func log(_ change: ClusterTLSChange, with logger: Logger) {
        switch change {
        case .replaced: logger.notice("certificates of the cluster have been replaced")
        case .failed(let error):
            logger.error(
                "certificates of the cluster cannot be used; those in use stay", metadata: ["reason": "\(error)"])
        }
    }

    private static func level(_ liveness: Liveness) -> Logger.Level {
        switch liveness {
        case .alive, .left: .notice
        case .suspect, .dead: .warning
        }
    }
}
