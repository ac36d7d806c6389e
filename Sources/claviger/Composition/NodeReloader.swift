// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import CPlatform
import Cluster
import HSMPool
import LaneProtocol
import Logging
import NodeConfig
import PrivateFiles
import Routing
import Synchronization
import XKSListener
import XKSService

/// Goes over to what the configuration file says now: certificates, credentials, key stores, keys and HSMs, without a
/// dropped connection. Whatever is wrong is found before anything is changed; then nothing is.
final class NodeReloader: Sendable {
    private struct State {
        var plan: NodePlan
        /// CLOCK_MONOTONIC of its beginning, nanoseconds; `nil` while none is under way.
        var runningSince: UInt64?
        /// It has been asked for another one while one is under way.
        var isWanted = false
    }

    /// A key store that was used in this time does not go unless that is said, nanoseconds.
    private static let recentUse: UInt64 = 60_000_000_000

    /// How long the HSMs that a reload has changed may take to say how they are, nanoseconds.
    private static let settling: UInt64 = 10_000_000_000

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

    /// Has the file read, now or after the reading that is under way: whoever sends a signal is not answered.
    func reloadSoon() {
        let isRunning = state.withLock { state in
            state.isWanted = state.runningSince != nil
            return state.isWanted
        }
        if !isRunning { Task { await reload() } }
    }

    /// Says in the log, too, what came of it. One at a time.
    ///
    /// - Parameter isForced: also where the file has lost a key store or a credential that has just been used.
    func reload(isForced: Bool = false) async -> AdminAnswer {
        let now = claviger_monotonic_nanoseconds()
        let (old, since) = state.withLock { state -> (NodePlan?, UInt64) in
            if let since = state.runningSince { return (nil, since) }
            state.runningSince = now
            return (state.plan, now)
        }
        guard let old else {
            return .refused(
                "the configuration is being read already, for \((now &- since) / 1_000_000_000) s; a file or a command "
                    + "that it names takes its time")
        }
        Supervisor.shared.reloading()
        let answer = await reload(after: old, isForced: isForced)
        Supervisor.shared.reloaded()
        let isWanted = state.withLock { state in
            state.runningSince = nil
            defer { state.isWanted = false }
            return state.isWanted
        }
        if isWanted { reloadSoon() }
        return answer
    }

    private func reload(after old: NodePlan, isForced: Bool) async -> AdminAnswer {
        do {
            let new = try await Self.onThreadOfItsOwn { [self] in try plan(after: old, isForced: isForced) }
            let (words, hsms) = try apply(new, after: old)
            state.withLock { $0.plan = new }
            components.logger.notice("configuration reloaded", metadata: ["changes": "\(words)"])
            let troubles = await troubles(after: hsms)
            let answer = ["\(file) has been read. \(words)"] + troubles
            let isGood = hsms.refused.isEmpty && hsms.withRefusedPIN.isEmpty && troubles.isEmpty
            guard !isGood else { return .done(answer.joined(separator: " "), warnings: new.fatalWarnings) }
            return .failed((answer + new.fatalWarnings.map { "Warning: \($0)" }).joined(separator: " "))
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

    /// What has become of HSMs whose workers were started, a sentence for each that does not serve by what the file says.
    /// They are waited for: some HSMs take seconds to log in.
    private func troubles(after change: PoolChange) async -> [String] {
        let started = Set(change.added + change.changed + change.retried)
        guard !started.isEmpty else { return [] }
        let end = claviger_monotonic_nanoseconds() &+ Self.settling
        while !started.isDisjoint(with: components.pool.unsettled), claviger_monotonic_nanoseconds() < end {
            try? await Task.sleep(for: .milliseconds(20))
        }
        let late = started.intersection(components.pool.unsettled).sorted().map {
            "HSM \($0) has not come up with its new settings yet: `claviger status` shows what becomes of it."
        }
        return late
            + components.pool.status().map(\.shown).filter { started.contains($0.name) }.compactMap { hsm -> String? in
                if let reason = hsm.settingsRefused {
                    return "HSM \(hsm.name) goes on by its former settings, as the new ones are refused: \(reason)"
                }
                guard hsm.state == .unavailable, let reason = hsm.reason else { return nil }
                return "HSM \(hsm.name) does not serve: \(reason)"
            }
    }

    /// Files and commands may take seconds: not on the threads on which everything else that is asynchronous runs.
    private static func onThreadOfItsOwn<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Patience.detach { continuation.resume(with: Result { try body() }) }
        }
    }

    /// What the file says now, with all that it points at read; throws what is wrong with it.
    private func plan(after old: NodePlan, isForced: Bool) throws -> NodePlan {
        let configuration = try NodeConfiguration.load(file: file, last: old.configuration)
        let fixed = configuration.settings.restartOnly(changedFrom: old.settings)
        guard fixed.isEmpty else { throw ReloadRefusal.needsRestart(keys: fixed) }
        let lost = lostKeyStores(old.settings, configuration.settings)
        guard lost.isEmpty || isForced else { throw ReloadRefusal.losesKeyStores(prefixes: lost) }
        let missed = components.credentials.lost(from: old.settings.keyStores, to: configuration.settings.keyStores)
        guard missed.isEmpty || isForced else { throw ReloadRefusal.losesCredentials(missed) }
        let plan = try NodePlan(configuration, secrets: secrets, logger: components.logger)
        if let cluster, let table = configuration.settings.cluster {
            try cluster.checkCertificates(ClusterTLSFiles(table))
        }
        return plan
    }

    /// Key stores that KMS has just used and that the file does not have any more: a file that was cut off while it was
    /// copied may be a good one all the same.
    private func lostKeyStores(_ old: NodeSettings, _ new: NodeSettings) -> [String] {
        let now = claviger_monotonic_nanoseconds()
        let used = components.service.keyStoresUsed(since: now - min(now, Self.recentUse))
        let kept = Set(new.keyStores.map(\.pathPrefix))
        return old.keyStores.map(\.pathPrefix).filter { used.contains($0) && !kept.contains($0) }.sorted()
    }

    /// HSMs before the key stores, which name them.
    private func apply(
        _ new: NodePlan, after old: NodePlan
    ) throws(ReloadFailure) -> (words: String, hsms: PoolChange) {
        var changed: [String] = []
        do {
            var ended = 0
            if case .tls(let material) = new.listener.transport {
                if case .replacedForClients(let ending) = try listener.replaceTLS(material) { ended = ending }
                changed.append("the certificate of [xks]")
            }
            if let cluster, let table = new.settings.cluster {
                try cluster.replace(tls: ClusterTLSFiles(table), seeds: table.seeds.map(\.description))
                changed.append("certificates and seeds of [cluster]")
                components.audit?.keyChanged(new.settings)
            }
            components.expect(new)
            let change = components.pool.apply(new.pool.members)
            changed.append("HSMs")
            try components.service.replace(settings: new.service(hsms: components.pool.hsmSet))
            components.apply(new)
            var words = ReloadReport.text(hsms: change, old: old.settings, new: new.settings)
            if (new.control.context == nil) != (old.control.context == nil) {
                words += " [control] speaks \(new.control.context == nil ? "HTTP" : "HTTPS") from now on."
            }
            let policies = new.policies.filter { old.policies[$0.key] != nil && old.policies[$0.key] != $0.value }.keys
            if !policies.isEmpty {
                words += " Policies changed: \(policies.sorted().map(ReloadReport.shown).joined(separator: ", "))."
            }
            if ended > 0 {
                words +=
                    " client_ca or client_name has changed: \(ended) connections of clients that were let in before are "
                    + "ended."
            }
            return (words, change)
        } catch {
            throw ReloadFailure(changed: changed, cause: "\(error)")
        }
    }
}

enum ReloadRefusal: Error, CustomStringConvertible {
    case needsRestart(keys: [String])
    case losesKeyStores(prefixes: [String])
    case losesCredentials([LostCredential])

    var description: String {
        switch self {
        case .needsRestart(let keys):
            "\(keys.joined(separator: ", ")): a change there needs a restart of the node; take it back, or restart"
        case .losesKeyStores(let prefixes):
            "the file has lost key stores that were used in the last minute: "
                + prefixes.map(ReloadReport.shown).joined(separator: ", ")
                + "; give it whole, or, if they shall go, claviger reload --force"
        case .losesCredentials(let credentials):
            "the file has lost credentials that KMS has signed with in the last hour: "
                + credentials.map(\.description).joined(separator: ", ")
                + "; give them back until KMS signs with another (claviger keystore rotate leads through it), or, if they "
                + "shall go, claviger reload --force"
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
            words.append("Key stores \(verb): \(prefixes.sorted().map(shown).joined(separator: ", ")).")
        }
        words.append("Certificates and secrets are those of the files now.")
        return words.joined(separator: " ")
    }

    /// A path prefix where it can be empty.
    static func shown(_ prefix: String) -> String { prefix.isEmpty ? "(empty path prefix)" : prefix }
}
