// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Cluster
import ControlPlane
import Glibc
import NIOPosix
import NodeConfig
import NodeStore
import PrivateFiles
import XKSListener

/// The node of the same state directory, if one runs.
enum RunningNode {
    case none
    /// It does not say in time how it is, or not to this user.
    case silent
    case status(AdminStatus)

    static func of(_ admin: AdminClient, settings: NodeSettings) async -> RunningNode {
        do throws(AdminClientError) {
            return .status(try await admin.status())
        } catch {
            guard case .notRunning = error else { return .silent }
            // One whose admin socket is closed has left its process in the store.
            let stored = try? StoredStatus.read(stateDirectory: settings.node.stateDirectory, settings: settings)
            return stored?.livingProcess == nil ? .none : .silent
        }
    }

    var report: AdminStatus? { if case .status(let status) = self { status } else { nil } }
    var status: NodeStatus? { if case .status(let status) = self { status.status } else { nil } }
    var isThere: Bool { if case .none = self { false } else { true } }

    /// TCP ports that it holds; `nil` where it does not say.
    fileprivate var ports: Set<Int>? {
        switch self {
        case .none: []
        case .silent: nil
        // One of an earlier version has listeners and names no port.
        case .status(let status):
            status.status.limits.flatMap { limits in
                let ports = limits.listeners.compactMap(\.port)
                return ports.isEmpty ? nil : Set(ports)
            }
        }
    }
}

/// Does what a node does when it starts, and ends it again: `claviger check`, and a part of `claviger diagnose`.
struct ConfigurationCheck {
    let configuration: NodeConfiguration
    let secrets: SecretReader
    /// Whether to log in with PINs that were refused before, too.
    let triesRefusedPINs: Bool

    /// - Parameters:
    ///   - running: the running node of this state directory.
    ///   - looksAtHSMs: starts a worker for each, and logs in.
    ///   - next: what is to be done in the same turn where a node could serve; given the HSMs that can.
    func run(
        running: RunningNode, looksAtHSMs: Bool = true, next: (NodePlan, Set<String>) async -> Void = { _, _ in }
    ) async -> Diagnostics {
        // Several at once would bind each other's addresses, and all try a PIN before the first has kept that it was refused.
        let turn = await CheckTurn.taken(file: configuration.file)
        defer { turn.end() }
        let settings = configuration.settings
        var (plan, diagnostics) = NodePlan.examine(configuration, secrets: secrets)
        let now = Int64(time(nil))
        if let certificate = diagnostics.certificate {
            diagnostics.found.append("certificate: \(certificate.description(now: now))")
        }
        if let certificate = diagnostics.controlCertificate {
            diagnostics.found.append("control certificate: \(certificate.description(now: now))")
        }
        await checkPorts(settings, running, &diagnostics)
        if let status = running.status { judge(running: status, settings, &diagnostics) }
        checkNames(settings, &diagnostics)
        if let group = settings.node.adminGroup, let flaw = AdminGroup.flaw(of: group) {
            diagnostics.warn(
                "node.admin_group", "\(flaw.message): the admin socket is the node's user's and root's alone",
                isFatal: false, fix: flaw.mend)
        }
        checkWriters(settings, &diagnostics)
        if let material = plan?.listener.transport.material { await checkChain(material, &diagnostics) }
        // Where something is wrong with who may write to the directory, that has been said; where a PIN could not be
        // read, no login is tried without it.
        var serving: Set<String> = []
        if let plan {
            StateDirectoryCheck(directory: settings.node.stateDirectory, isClustered: settings.cluster != nil)
                .run(now: now, &diagnostics)
            AuditCheck(settings: settings).run(&diagnostics)
            if looksAtHSMs {
                let refused = RefusedPINs(stateDirectory: settings.node.stateDirectory, marks: plan.pinMarks)
                let store = try? StoreReader.open(directory: settings.node.stateDirectory)
                serving = await HSMCheck(
                    plan: plan, refused: refused, drained: (try? store?.drained()) ?? [],
                    triesRefusedPINs: triesRefusedPINs
                ).run(&diagnostics)
            }
        }
        diagnostics.takeFatalWarnings()
        if let plan, diagnostics.error == nil { await next(plan, serving) }
        return diagnostics
    }

    /// Where the host's own CAs are on Debian and its like; without them nothing can be said of a chain.
    private static let authorities = "/etc/ssl/certs/ca-certificates.crt"

    /// KMS builds no chain over certificates that it is not shown.
    private func checkChain(_ material: TLSMaterial, _ diagnostics: inout Diagnostics) async {
        guard diagnostics.settings.xks.showsItsCertificateToKMS, access(Self.authorities, R_OK) == 0,
            let server = material.server, let name = server.names.first, server.flaws.isEmpty
        else { return }
        guard let flaw = await HostTrust.flaw(of: material.encodedChain, name: name) else { return }
        diagnostics.warn("xks.certificate", flaw, isFatal: false, fix: HostTrust.mend)
    }

    /// Whoever may write to them has the node's rights, or its HSMs'.
    private func checkWriters(_ settings: NodeSettings, _ diagnostics: inout Diagnostics) {
        let modules = settings.hsms.enumerated().map { ("hsm[\($0.offset)].module", $0.element.module) }
        let policies = settings.keyStores.enumerated().compactMap { index, store in
            store.policy.map { ("keystore[\(index)].policy", $0) }
        }
        for (setting, file) in [("", configuration.file)] + modules + policies {
            var facts = stat()
            guard stat(file, &facts) == 0, facts.st_mode & S_IWOTH != 0 else { continue }
            diagnostics.warn(
                setting,
                "\(file) can be written by every user of this host, who would have the node's rights by it, or say who may use "
                    + "which key",
                isFatal: false, fix: "chmod o-w \(file)")
        }
        checkGroup(of: settings.node.stateDirectory, &diagnostics)
    }

    /// Whoever may write to the state directory can take the node's list of blocks away, or put another one there. That every
    /// user may is an error.
    private func checkGroup(of directory: String, _ diagnostics: inout Diagnostics) {
        var facts = stat()
        guard stat(directory, &facts) == 0, facts.st_mode & (S_IWGRP | S_IWOTH) == S_IWGRP else { return }
        let group = getgrgid(facts.st_gid).map { String(cString: $0.pointee.gr_name) } ?? "gid \(facts.st_gid)"
        diagnostics.warn(
            "node.state_dir",
            "\(directory) can be written by the group \(group), whose members could take away or replace what the node keeps, "
                + "its list of blocks included",
            isFatal: false, fix: "chmod g-w \(directory)")
    }

    /// Two processes may share a state directory for the time of an upgrade, not two nodes.
    private func judge(running status: NodeStatus, _ settings: NodeSettings, _ diagnostics: inout Diagnostics) {
        let directory = settings.node.stateDirectory
        if status.node != settings.node.id {
            return diagnostics.report(
                "node.id", "the node \(status.node) runs in \(directory), and this is another one",
                fix: "give each node a state_dir of its own")
        }
        let bound = status.limits?.listeners.first { $0.listener == "xks" }?.port
        guard let bound, settings.xks.listen.port != 0, bound != settings.xks.listen.port else { return }
        diagnostics.notes.append(
            "the node that runs in \(directory) listens at port \(bound): a node of this file would be a second one beside "
                + "it, and share its list of blocks")
    }

    /// For a name; that of a host that is down may take as long.
    private static let resolverPatience = Duration.seconds(5)

    /// Names of the cluster that have no address here: a node starts, and says so.
    private func checkNames(_ settings: NodeSettings, _ diagnostics: inout Diagnostics) {
        guard let cluster = settings.cluster else { return }
        let seeds = cluster.seeds.enumerated().map { ("cluster.seeds[\($0.offset)]", $0.element.host) }
        for (setting, host) in [("cluster.advertise", cluster.advertise.host)] + seeds {
            let result = Patience.perform(on: host, within: Self.resolverPatience) {
                ClusterService.flaw(ofHost: host)
            }
            switch result {
            case .some(.none): continue
            case .some(.some(let flaw)):
                diagnostics.warn(
                    setting, "cannot be resolved: \(flaw)", isFatal: false, fix: "correct it, or the name server")
            case .none:
                // The others would be waited for as long.
                return diagnostics.warn(
                    setting, "cannot be resolved: the name server does not answer", isFatal: false,
                    fix: "look at /etc/resolv.conf")
            }
        }
    }

    private func checkPorts(
        _ settings: NodeSettings, _ running: RunningNode, _ diagnostics: inout Diagnostics
    ) async {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let failures = await PortCheck(held: running.ports).failures(
            of: PortCheck.listeners(of: settings), group: group)
        try? await group.shutdownGracefully()
        for (listener, failure, mayBeOwn) in failures {
            let message = "cannot listen on \(listener.address): \(failure.reason)"
            if mayBeOwn {
                diagnostics.warn(
                    listener.setting, "\(message); it may be the running node, which does not say", isFatal: false,
                    fix: "look at `claviger status`")
            } else {
                diagnostics.report(listener.setting, message, fix: failure.mend)
            }
        }
    }
}

extension Diagnostics {
    /// As findings of a diagnosis.
    var findings: [Diagnosis.Finding] {
        let wrong = problems.map { Diagnosis.Finding($0) } + reserved.map { Diagnosis.Finding($0, .warning) }
        let told = notes.map { Diagnosis.Finding("configuration", "note", .ok, $0) }
        let good =
            wrong.isEmpty
            ? [Diagnosis.Finding("configuration", configuration.file, .ok, "a node can serve with it")] : []
        let seen = found.map { line in
            let parts = line.split(separator: ": ", maxSplits: 1)
            return Diagnosis.Finding("configuration", String(parts.first ?? ""), .ok, String(parts.last ?? ""))
        }
        return good + wrong + told + seen
    }
}

extension Diagnosis.Finding {
    init(_ problem: ConfigurationProblem, _ state: Diagnosis.State = .failure) {
        self.init(
            "configuration", problem.path.isEmpty ? "the file" : problem.path, state, problem.message,
            advice: problem.fix)
    }
}
