// SPDX-License-Identifier: Apache-2.0
import Cluster
import Gossip
import Logging

/// What the cluster's events say in the log.
enum ClusterNews {
    /// - Parameter times: how often it was so since it was last logged.
    static func log(_ event: GossipEvent, times: Int = 1, with logger: Logger) {
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
            var metadata: Logger.Metadata = ["incarnation": "\(incarnation)", "accuser": "\(accuser)"]
            if times > 1 { metadata["times"] = "\(times)" }
            logger.notice("this node was held for dead and has contradicted", metadata: metadata)
        case .unreached(let member, true):
            logger.warning(
                "a node cannot be reached from here, and reaches this one: look at its cluster port and the firewall",
                metadata: ["node": "\(member.identity.name)", "address": "\(member.identity.address)"])
        case .unreached(let member, false):
            logger.notice(
                "it is no longer so that a node reaches this one and cannot be reached",
                metadata: ["node": "\(member.identity.name)", "liveness": "\(member.liveness.rawValue)"])
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
        case .refused(let attempts):
            logger.warning(
                "a refused certificate was shown by somebody who has its key",
                metadata: [
                    "node": "\(attempts.node)", "serial": "\(attempts.serial)", "address": "\(attempts.address)",
                    "times": "\(attempts.count)",
                ])
        }
    }

    private static func level(_ liveness: Liveness) -> Logger.Level {
        switch liveness {
        case .alive, .left: .notice
        case .suspect, .dead: .warning
        }
    }
}

/// Contradictions are logged once a minute at most, with their number.
struct RefutationRhythm {
    private static let pause: UInt64 = 60_000_000_000
    private var loggedAt: UInt64?
    private var held = 0

    /// How many are to be logged now; `nil` while it is too early.
    ///
    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
    mutating func note(now: UInt64) -> Int? {
        held += 1
        if let loggedAt, now &- loggedAt < Self.pause { return nil }
        defer { held = 0 }
        loggedAt = now
        return held
    }
}
