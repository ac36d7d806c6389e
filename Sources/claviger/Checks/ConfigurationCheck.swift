// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Glibc
import NIOPosix
import NodeConfig

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
    func run(running: RunningNode, looksAtHSMs: Bool = true) async -> Diagnostics {
        let settings = configuration.settings
        var (plan, diagnostics) = NodePlan.examine(configuration, secrets: secrets)
        let now = Int64(time(nil))
        if let certificate = diagnostics.certificate {
            diagnostics.found.append("certificate: \(certificate.description(now: now))")
        }
        await checkPorts(settings, running, &diagnostics)
        // Where something is wrong with who may write to the directory, that has been said; where a PIN could not be
        // read, no login is tried without it.
        if let plan {
            StateDirectoryCheck(directory: settings.node.stateDirectory, isClustered: settings.cluster != nil)
                .run(now: now, &diagnostics)
            if looksAtHSMs {
                let refused = RefusedPINs(stateDirectory: settings.node.stateDirectory, marks: plan.pinMarks)
                await HSMCheck(plan: plan, refused: refused, triesRefusedPINs: triesRefusedPINs).run(&diagnostics)
            }
        }
        diagnostics.takeFatalWarnings()
        return diagnostics
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
        func finding(_ problem: ConfigurationProblem, _ state: Diagnosis.State) -> Diagnosis.Finding {
            Diagnosis.Finding(
                "configuration", problem.path.isEmpty ? configuration.file : problem.path, state, problem.message,
                advice: problem.fix)
        }
        let wrong = problems.map { finding($0, .failure) } + reserved.map { finding($0, .warning) }
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
