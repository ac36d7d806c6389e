// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

/// What a node knows of itself besides what its status shows.
package struct NodeCircumstances: Sendable, Equatable {
    /// Labels of keys that it offers and no HSM of it serves at the moment, in order.
    package var unservedKeys: [String]
    /// Whether another node serves one of them.
    package var areServedElsewhere: Bool
    /// Keys that other HSMs serve than those of a key store that offers them, by key store.
    package var keyStoreGaps: [KeyStoreGap]
    /// Why the admin socket is not served; `nil` while it is.
    package var adminSocket: String?
    /// Why the group that may give orders, too, reaches it not; `nil` where it does, or there is none.
    package var adminGroup: String?
    /// What is wrong with seeds of the cluster, by seed as configured.
    package var seeds: [String: String]
    /// What is wrong with certificates that are in use, or will soon be.
    package var certificates: [CertificateFlaw]
    /// When the certificates end that the node shows, Unix seconds, by the setting that names them.
    package var certificateEnds: [String: Int64]
    package var clock: ClockFacts
    /// What nodes have told of their audit logs and cannot be true, by node.
    package var auditContradictions: [String: String]

    package init(
        unservedKeys: [String] = [], areServedElsewhere: Bool = false, keyStoreGaps: [KeyStoreGap] = [],
        adminSocket: String? = nil, adminGroup: String? = nil,
        seeds: [String: String] = [:],
        certificates: [CertificateFlaw] = [], certificateEnds: [String: Int64] = [:],
        clock: ClockFacts = ClockFacts(), auditContradictions: [String: String] = [:]
    ) {
        self.auditContradictions = auditContradictions
        self.certificateEnds = certificateEnds
        self.clock = clock
        self.unservedKeys = unservedKeys
        self.areServedElsewhere = areServedElsewhere
        self.keyStoreGaps = keyStoreGaps
        self.adminSocket = adminSocket
        self.adminGroup = adminGroup
        self.seeds = seeds
        self.certificates = certificates
    }
}

/// Keys of a key store that HSMs serve, but not those that the key store names.
package struct KeyStoreGap: Sendable, Equatable {
    /// Its path prefix.
    package var keyStore: String
    /// The HSMs that it names.
    package var hsms: [String]
    /// In order, at least one.
    package var labels: [String]

    package init(keyStore: String, hsms: [String], labels: [String]) {
        self.keyStore = keyStore
        self.hsms = hsms
        self.labels = labels
    }
}

/// What is wrong with a certificate that a node shows.
package struct CertificateFlaw: Sendable, Equatable {
    /// The setting that names it, for example `cluster.certificate`.
    package var setting: String
    /// A sentence, with its file, whose it is, and its end.
    package var text: String
    /// Whether others refuse it already.
    package var isFatal: Bool

    package init(setting: String, text: String, isFatal: Bool) {
        self.setting = setting
        self.text = text
        self.isFatal = isFatal
    }
}

extension NodeStatus {
    /// The status with the conditions that follow from it.
    package func judged(_ circumstances: NodeCircumstances = NodeCircumstances()) -> NodeStatus {
        var status = self
        status.conditions = NodeConditions(status: self, circumstances: circumstances).all.byGravity
        return status
    }
}

/// Looks through what a node knows of itself for what a person should know of.
struct NodeConditions {
    let status: NodeStatus
    let circumstances: NodeCircumstances

    private var node: String { status.node }

    var all: [Condition] {
        let aboutHSMs = hsms + twice + status.hsms.compactMap(refusedSettings) + status.hsms.compactMap(confinement)
        return service + aboutHSMs + keys + clock + certificates + seeds + adminSocket + store + audit
    }

    // MARK: Requests

    private var service: [Condition] {
        var found: [Condition] = []
        if let reason = status.blocksUnknown {
            found.append(
                Condition(
                    .blocksUnknown, of: node, "", "node \(node) refuses every request: \(BlockListing.mend(reason))"))
        }
        if !status.hasUsableHSM {
            found.append(
                Condition(
                    .noHSMServes, of: node, "",
                    "no HSM of node \(node) can serve; it passes "
                        + (status.canForward ? "requests on to others" : "none on to others"),
                    severity: status.canForward ? .warning : .critical))
        }
        let usable = status.hsms.filter(\.canServe)
        if !usable.isEmpty, usable.allSatisfy({ $0.missesDeadline == true }) {
            let names = usable.map(\.name)
            found.append(
                Condition(
                    .hsmsTooSlow, of: node, "",
                    "no HSM of node \(node) is fast enough: by their probes, a call of "
                        + "\(names.count > 3 ? "\(names.count) HSMs" : names.joined(separator: " and ")) takes longer than a "
                        + "request may (xks.request_deadline); it passes "
                        + (status.canForward ? "requests on to others" : "none on to others"),
                    severity: status.canForward ? .warning : .critical))
        }
        if let text = status.overload { found.append(Condition(.overloaded, of: node, "", "node \(node): \(text)")) }
        return found
    }

    // MARK: HSMs

    private var hsms: [Condition] {
        status.hsms.compactMap { hsm in
            guard let code = ConditionCode(hsm.state, isDrained: hsm.drained) else { return nil }
            let state = Self.words(hsm.state, isDrained: hsm.drained)
            let reason = hsm.reason.map { ": \($0)" } ?? ""
            return Condition(
                code, of: node, "hsm \(hsm.name)", "hsm \(hsm.name) of node \(node) is \(state)\(reason)",
                since: hsm.drained ? hsm.drainedSinceUnixSeconds : hsm.sinceUnixSeconds)
        }
    }

    /// One token under two names, as by its label and by its serial number.
    private var twice: [Condition] {
        let groups = Dictionary(grouping: status.hsms.filter { $0.serial?.isEmpty == false }) {
            [$0.serial, $0.tokenLabel, $0.model]
        }
        return groups.values.filter { $0.count > 1 }.map { hsms in
            let names = hsms.map(\.name)
            return Condition(
                .hsmTwice, of: node, "hsm \(names[0])",
                "the HSMs \(names.joined(separator: ", ")) of node \(node) are one token (serial "
                    + "\(hsms[0].serial ?? "")): a token counted twice makes no second HSM")
        }.sorted { $0.subject < $1.subject }
    }

    private func refusedSettings(_ hsm: HSMStatus) -> Condition? {
        hsm.settingsRefused.map {
            Condition(
                .hsmSettingsRefused, of: node, "hsm \(hsm.name)",
                "hsm \(hsm.name) of node \(node) serves by its former settings, as the new ones are refused: \($0)")
        }
    }

    static func words(_ state: HSMState, isDrained: Bool) -> String {
        guard isDrained else { return state.rawValue }
        return state == .active ? "drained" : "\(state.rawValue) and drained"
    }

    private func confinement(_ hsm: HSMStatus) -> Condition? {
        hsm.compartment?.complaint.map {
            Condition(.libraryNotConfined, of: node, "hsm \(hsm.name)", "hsm \(hsm.name) of node \(node): \($0)")
        }
    }

    // MARK: Keys

    private var keys: [Condition] { quarrels + unserved + gaps + lacking + odd }

    private var quarrels: [Condition] {
        var found: [Condition] = []
        let disputed = status.keys.filter { $0.disputed != nil }
        if !disputed.isEmpty {
            found.append(
                Condition(
                    .keyDisputed, of: node, "",
                    "\(Self.count(disputed.count)) refused on node \(node), because HSMs hold different keys under one "
                        + "label: `claviger status` names them, `claviger key trust` decides",
                    details: disputed.map { "\($0.label): \($0.disputed ?? "")" }))
        }
        let count = status.disagreements.count
        if count > 0 {
            found.append(
                Condition(
                    .keyContested, of: node, "",
                    "node \(node) and others hold different keys under \(count == 1 ? "1 label" : "\(count) labels"): "
                        + "`claviger status` names the keys and the nodes", details: status.disagreements))
        }
        return found
    }

    private var unserved: [Condition] {
        let labels = circumstances.unservedKeys
        // Where no HSM can serve, no key can be.
        guard !labels.isEmpty, status.hasUsableHSM else { return [] }
        guard !Set(status.keys.map(\.label)).isSubset(of: labels) else { return [noKeyServed(labels)] }
        return [
            Condition(
                .keyUnserved, of: node, "",
                "\(Self.count(labels.count)) offered by node \(node) and not served by its HSMs", details: labels)
        ]
    }

    /// A key store has HSMs of its own, and those of others are no help to it.
    private var gaps: [Condition] {
        guard status.hasUsableHSM else { return [] }
        return circumstances.keyStoreGaps.map { gap in
            let name = gap.keyStore.isEmpty ? "without a prefix" : gap.keyStore
            let keys = gap.labels.count == 1 ? "a key" : "\(gap.labels.count) keys"
            return Condition(
                .keyStoreUnserved, of: node, "key store \(name)",
                "key store \(name) of node \(node) offers \(keys) that none of its HSMs (\(gap.hsms.joined(separator: ", "))) "
                    + "serves, though others do", details: gap.labels)
        }
    }

    /// It is as if no HSM served: a load balancer should send requests elsewhere.
    private func noKeyServed(_ labels: [String]) -> Condition {
        let keys = labels.count == 1 ? "the key" : "any of the \(labels.count) keys"
        return Condition(
            .noKeyServed, of: node, "",
            "no HSM of node \(node) serves \(keys) that it offers; it passes "
                + (circumstances.areServedElsewhere ? "requests on to others" : "none on to others"), details: labels,
            severity: circumstances.areServedElsewhere ? .warning : .critical)
    }

    /// By HSM: a token that is not replicated lacks a thousand keys, and is one thing to mend.
    private var lacking: [Condition] {
        let undisputed = status.keys.filter { $0.disputed == nil }
        return status.hsms.flatMap { hsm -> [Condition] in
            func labels(_ state: KeyState) -> [String] {
                undisputed.filter { $0.cells[hsm.name] == state }.map(\.label)
            }
            let (different, absent) = (labels(.different), labels(.absent))
            var found: [Condition] = []
            if !different.isEmpty {
                let labels = different.count == 1 ? "1 label" : "\(different.count) labels"
                found.append(
                    Condition(
                        .keyDifferent, of: node, "hsm \(hsm.name)",
                        "hsm \(hsm.name) of node \(node) holds another key than the others under \(labels)",
                        details: different))
            }
            if !absent.isEmpty {
                let keys = absent.count == 1 ? "1 key" : "\(absent.count) keys"
                found.append(
                    Condition(
                        .keyAbsent, of: node, "hsm \(hsm.name)",
                        "hsm \(hsm.name) of node \(node) lacks \(keys) that it should serve", details: absent))
            }
            return found
        }
    }

    private var odd: [Condition] {
        let odd = status.keys.filter { $0.disputed == nil && $0.complaints != nil }
        guard !odd.isEmpty else { return forbidden + oddTokens }
        return [
            Condition(
                .keyOdd, of: node, "", "\(Self.count(odd.count)) odd on node \(node): `claviger status` says why",
                details: odd.map { "\($0.label): \($0.complaints?.joined(separator: "; ") ?? "")" })
        ] + forbidden + oddTokens
    }

    /// Their owner may have meant it so; KMS refuses to use such a key.
    private var forbidden: [Condition] {
        let forbidden = status.keys.filter { $0.mayDoNothing == true }
        guard !forbidden.isEmpty else { return [] }
        return [
            Condition(
                .keyOdd, of: node, "usage",
                "\(Self.count(forbidden.count)) forbidden any use by all HSMs of node \(node)",
                details: forbidden.map { "\($0.label): \(KeyStatus.nothingAllowed)" }, severity: .note)
        ]
    }

    /// A token may hold keys of other applications: nobody has to mend those.
    private var oddTokens: [Condition] {
        status.hsms.compactMap { hsm in
            hsm.complaints.map { complaints in
                Condition(
                    .keyOdd, of: node, "hsm \(hsm.name)",
                    "the token of hsm \(hsm.name) of node \(node) holds what no key store can offer, or shows less than it "
                        + "should: `claviger status` says what", details: complaints, severity: .note)
            }
        }
    }

    static func count(_ keys: Int) -> String { keys == 1 ? "1 key is" : "\(keys) keys are" }

    // MARK: The host and the network

    private var store: [Condition] {
        guard case .failing(let reason) = status.store else { return [] }
        return [Condition(.storeFailing, of: node, "", "the store of node \(node) cannot be written: \(reason)")]
    }

    private var audit: [Condition] {
        var found: [Condition] = []
        if let audit = status.audit, let trouble = audit.trouble {
            found.append(
                Condition(
                    .auditFailing, of: node, "",
                    "the audit log of node \(node) is not written: \(trouble)"
                        + (audit.refusing ? "; requests are refused" : ""),
                    severity: audit.refusing ? .critical : nil))
        }
        if let audit = status.audit, audit.trouble == nil, let unsigned = audit.unsigned {
            found.append(
                Condition(.auditFailing, of: node, "", "the audit log of node \(node) is not signed: \(unsigned)"))
        }
        for (other, text) in circumstances.auditContradictions.sorted(by: { $0.key < $1.key }) {
            found.append(
                Condition(
                    .auditContradicted, of: node, "node \(other)",
                    "node \(node) keeps heads of the audit log of node \(other): \(text)"))
        }
        return found
    }

    private var clock: [Condition] {
        circumstances.clock.flaw.map { flaw in
            [
                Condition(
                    .clockOff, of: node, "",
                    "the clock of node \(node) is off"
                        + (flaw.isCertain ? "" : ", or requests are held back or replayed on their way")
                        + ": \(flaw.text)",
                    severity: flaw.isCritical ? .critical : .warning)
            ]
        } ?? []
    }

    private var adminSocket: [Condition] {
        if let problem = circumstances.adminSocket {
            return [Condition(.adminSocketClosed, of: node, "", "no order reaches node \(node): \(problem)")]
        }
        return circumstances.adminGroup.map {
            [
                Condition(
                    .adminSocketClosed, of: node, "admin_group",
                    "no order of those in admin_group reaches node \(node): \($0)")
            ]
        } ?? []
    }

    private var seeds: [Condition] {
        circumstances.seeds.sorted { $0.key < $1.key }.map { seed, reason in
            Condition(
                .seedUnreachable, of: node, "seed \(seed)", "node \(node) does not reach its seed \(seed): \(reason)")
        }
    }

    private var certificates: [Condition] {
        circumstances.certificates.map { flaw in
            Condition(
                flaw.isFatal ? .certificateInvalid : .certificateEnding, of: node, flaw.setting,
                "\(flaw.setting) of node \(node): \(flaw.text)")
        }
    }
}

extension ConditionCode {
    /// `nil` for an HSM with which nothing is wrong.
    init?(_ state: HSMState, isDrained: Bool) {
        if isDrained {
            self = .hsmDrained
            return
        }
        switch state {
        case .active: return nil
        case .degraded: self = .hsmDegraded
        case .probing: self = .hsmProbing
        case .starting: self = .hsmStarting
        case .unavailable: self = .hsmUnavailable
        }
    }
}
