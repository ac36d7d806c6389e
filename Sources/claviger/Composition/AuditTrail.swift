// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Audit
import AuditChain
import Cluster
import ControlPlane
import Glibc
import Logging
import NodeConfig
import Synchronization
import XKSProtocol
import XKSService

/// The node's audit log, joined with those who have something to be recorded, and with what keeps its heads.
final class AuditTrail: RequestAudit, OrderRecorder {
    let directory: String
    private let node: String
    private let stateDirectory: String
    private let log: AuditLog
    private let logger: Logger
    /// Why the key that the configuration names does not sign.
    private let unsigned: Mutex<String?>

    /// `nil` where the configuration has no `[audit]`. Never fails: what is wrong with the directory is a condition of the
    /// node.
    ///
    /// - Parameters:
    ///   - incarnation: of this start.
    ///   - neighbours: keep the log's heads, and tell them to peers.
    init?(_ plan: NodePlan, incarnation: UInt64, neighbours: NodeNeighbours, logger: Logger) {
        let (node, settings) = (plan.settings.node, plan.settings.audit)
        guard let settings else { return nil }
        directory = settings.directory(under: node.stateDirectory)
        self.node = node.id
        stateDirectory = node.stateDirectory
        self.logger = logger
        let key = Self.key(plan.settings, logger: logger)
        unsigned = Mutex(key.flaw)
        log = AuditLog(
            settings: AuditSettings(
                directory: directory, journals: settings.journals(ofUser: geteuid()),
                rules: SegmentRules(
                    size: settings.segmentBytes, age: nanoseconds(settings.segmentTime),
                    keep: Int64(settings.keepDays) * 86_400,
                    most: settings.keepBytes == 0 ? nil : settings.keepBytes),
                backlog: AuditBacklog.Settings(
                    rule: settings.onFull == .refuse ? .refuse : .continue, patience: nanoseconds(settings.patience),
                    capacity: settings.queueBytes),
                node: node.id, version: Product.version, run: incarnation),
            key: key.key, logger: logger
        ) { [weak neighbours] head in neighbours?.audited(head) }
        log.start()
    }

    /// The cluster key's files are others: what they hold signs from now on.
    func keyChanged(_ settings: NodeSettings) {
        let key = Self.key(settings, logger: logger)
        // The one that is in use goes on signing where the new one cannot be had.
        unsigned.withLock { $0 = key.flaw }
        if let key = key.key { log.use(key) }
    }

    /// Blocks on the disk. Where there is none, why.
    private static func key(_ settings: NodeSettings, logger: Logger) -> (key: AuditKey?, flaw: String?) {
        do {
            guard let table = settings.cluster else {
                let directory = settings.node.stateDirectory
                let key = try OwnAuditKey.load(stateDirectory: directory) { what in
                    logger.warning(
                        "the audit log's signing key was open to others than its owner", metadata: ["reason": "\(what)"]
                    )
                }
                return (key, nil)
            }
            if let key = NodeSigningKey(ClusterTLSFiles(table)) {
                return (AuditKey(signer: AuditSigner(certificates: key.certificates)) { key.sign($0) }, nil)
            }
            throw KeyFlaw()
        } catch {
            logger.error("the audit log is not signed", metadata: ["reason": "\(error)"])
            return (nil, "\(error)")
        }
    }

    private struct KeyFlaw: Error, CustomStringConvertible {
        let description = "the key of [cluster] cannot be read, or is of a kind that cannot sign here"
    }

    // MARK: What is recorded

    var isRefusing: Bool { log.isRefusing }

    func record(_ trace: RequestTrace) -> Bool { log.record(RecordText(trace, at: .now, node: node)) == .answer }

    func record(_ order: AuditedOrder) {
        _ = log.record(RecordText(order, at: .now, node: node), mustStand: true)
    }

    // MARK: The node

    var status: AuditStatus {
        let facts = log.facts
        return AuditStatus(
            trouble: facts.trouble, unsigned: unsigned.withLock(\.self), refusing: facts.isRefusing,
            directory: directory, chain: facts.chain,
            seq: Int(clamping: facts.seq), records: Int(clamping: facts.records), bytes: Int(clamping: facts.bytes),
            gaps: Int(clamping: facts.gaps), late: Int(clamping: facts.late), lost: Int(clamping: facts.lost),
            refused: Int(clamping: facts.refused), unsyncedMicroseconds: Int(clamping: facts.unsynced / 1_000),
            waitingBytes: facts.waitingBytes)
    }

    /// Blocks, for some seconds at most.
    func close() -> Bool { log.close() }
}
