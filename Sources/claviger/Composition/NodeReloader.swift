// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Cluster
import HSMPool
import LaneProtocol
import Logging
import NodeConfig
import Routing
import Synchronization
import XKSListener
import XKSService

/// Goes over to what the configuration file says now: certificates, credentials, key stores, keys and HSMs, without a
/// dropped connection. Whatever is wrong is found before anything is changed; then nothing is.
final class NodeReloader: Sendable {
    private struct State {
        var plan: NodePlan
        var isRunning = false
    }

    private let file: String
    private let secrets: SecretReader
    private let components: NodeComponents
    private let listener: XKSListener
    private let cluster: ClusterService?
    private let state: Mutex<State>

    init(
        plan: NodePlan, secrets: SecretReader, components: NodeComponents, listener: XKSListener,
        cluster: ClusterService?
    ) {
        file = plan.configuration.file
        self.secrets = secrets
        self.components = components
        self.listener = listener
        self.cluster = cluster
        state = Mutex(State(plan: plan))
    }

    /// Says in the log, too, what came of it. One at a time.
    func reload() async -> AdminAnswer {
        let old = state.withLock { state -> NodePlan? in
            guard !state.isRunning else { return nil }
            state.isRunning = true
            return state.plan
        }
        guard let old else { return .refused("the configuration is being read already") }
        defer { state.withLock { $0.isRunning = false } }
        do {
            let new = try plan(after: old)
            let (words, hsms) = try apply(new, after: old)
            state.withLock { $0.plan = new }
            components.logger.notice("configuration reloaded", metadata: ["changes": "\(words)"])
            let answer = "\(file) has been read. \(words)"
            return hsms.refused.isEmpty && hsms.withRefusedPIN.isEmpty ? .done(answer) : .failed(answer)
        } catch {
            let failure = error as? ReloadFailure ?? ReloadFailure(changed: [], cause: "\(error)")
            var metadata: Logger.Metadata = ["reason": "\(failure.cause)"]
            if !failure.changed.isEmpty { metadata["changed"] = "\(failure.changed.joined(separator: ", "))" }
            components.logger.error(
                failure.changed.isEmpty ? "configuration not reloaded" : "configuration reloaded in part",
                metadata: metadata)
            return failure.answer
        }
    }

    /// What the file says now, with all that it points at read; throws what is wrong with it.
    private func plan(after old: NodePlan) throws -> NodePlan {
        let configuration = try NodeConfiguration.load(file: file)
        let fixed = configuration.settings.restartOnly(changedFrom: old.settings)
        guard fixed.isEmpty else { throw ReloadRefusal.needsRestart(keys: fixed) }
        let plan = try NodePlan(configuration, secrets: secrets, logger: components.logger)
        if let cluster, let table = configuration.settings.cluster {
            try cluster.checkCertificates(ClusterTLSFiles(table))
        }
        return plan
    }

    /// HSMs before the key stores, which name them.
    private func apply(
        _ new: NodePlan, after old: NodePlan
    ) throws(ReloadFailure) -> (words: String, hsms: PoolChange) {
        var changed: [String] = []
        do {
            if case .tls(let material) = new.listener.transport, try listener.replaceTLS(material) {
                changed.append("the certificate of [xks]")
            }
            if let cluster, let table = new.settings.cluster {
                try cluster.replace(tls: ClusterTLSFiles(table), seeds: table.seeds.map(\.description))
                changed.append("certificates and seeds of [cluster]")
            }
            let change = components.pool.apply(new.pool.members)
            changed.append("HSMs")
            try components.service.replace(settings: new.service(hsms: components.pool.hsmSet))
            components.apply(new)
            return (ReloadReport.text(hsms: change, old: old.settings, new: new.settings), change)
        } catch {
            throw ReloadFailure(changed: changed, cause: "\(error)")
        }
    }
}

enum ReloadRefusal: Error, CustomStringConvertible {
    case needsRestart(keys: [String])

    var description: String {
        switch self {
        case .needsRestart(let keys):
            "\(keys.joined(separator: ", ")): a change there needs a restart of the node; take it back, or restart"
        }
    }
}

/// What a reload has changed, in words.
enum ReloadReport {
    static func text(hsms: PoolChange, old: NodeSettings, new: NodeSettings) -> String {
        var words: [String] = []
        for (verb, names) in [
            ("added", hsms.added), ("removed", hsms.removed), ("changed", hsms.changed),
            ("tried again", hsms.retried),
        ] where !names.isEmpty {
            words.append("HSMs \(verb): \(names.joined(separator: ", ")).")
        }
        if !hsms.refused.isEmpty {
            words.append(
                "HSMs refused: \(hsms.refused.joined(separator: ", ")): a node has places for \(HSMSet.capacity) HSMs, "
                    + "and those of HSMs that were removed are given anew after two more reloads.")
        }
        if !hsms.withRefusedPIN.isEmpty {
            words.append(
                "HSMs not tried again: \(hsms.withRefusedPIN.joined(separator: ", ")): the PIN was refused, and is still "
                    + "the same; correct it and reload, or restart the node.")
        }
        let before = Dictionary(old.keyStores.map { ($0.pathPrefix, $0) }) { first, _ in first }
        let after = Dictionary(new.keyStores.map { ($0.pathPrefix, $0) }) { first, _ in first }
        for (verb, prefixes) in [
            ("added", after.keys.filter { before[$0] == nil }), ("removed", before.keys.filter { after[$0] == nil }),
            ("changed", after.keys.filter { before[$0] != nil && before[$0] != after[$0] }),
        ] where !prefixes.isEmpty {
            words.append("Key stores \(verb): \(prefixes.sorted().joined(separator: ", ")).")
        }
        words.append("Certificates and secrets are those of the files now.")
        return words.joined(separator: " ")
    }
}
