// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import ConnectionLimits
import ControlPlane
import Glibc
import HTTPServing
import Logging
import Synchronization

/// Serves the admin socket for as long as the node runs.
///
/// During an upgrade two nodes share a state directory: the newer one takes the socket over when the older one has
/// ended. So a socket that cannot be had is no reason not to serve; it is said once, and tried again. One that is removed
/// while the node runs is put back within a second.
final class AdminListener: Sendable {
    private static let retryInterval = Duration.seconds(1)

    private struct State {
        var server: AdminServer?
        var task: Task<Void, Never>?
        var isStopping = false
        /// Why it is not served, as was said last.
        var problem: String?
    }

    private let stateDirectory: String
    private let administration: any NodeAdministration
    private let group: String?
    private let recorder: (any OrderRecorder)?
    private let connections: Int
    private let refusals: RefusalCounter
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameters:
    ///   - group: may give orders besides the node's user and root.
    ///   - recorder: keeps a record of orders besides the log.
    init(
        stateDirectory: String, administration: any NodeAdministration, group: String?,
        recorder: (any OrderRecorder)?, connections: Int,
        refusals: RefusalCounter, logger: Logger
    ) {
        self.group = group
        self.recorder = recorder
        self.stateDirectory = stateDirectory
        self.administration = administration
        self.connections = connections
        self.refusals = refusals
        self.logger = logger
    }

    /// nil while another node serves the socket.
    var openConnections: OpenConnections? { state.withLock { $0.server }?.openConnections }

    /// Why no order reaches this node; `nil` while it can be given some.
    var problem: String? { state.withLock { $0.problem } }

    /// Why those of the group can give no order; `nil` where they can, or there is none.
    var groupProblem: String? { state.withLock { $0.server }?.groupProblem }

    func start() {
        state.withLock { state in
            state.task = Task { await self.keepServing() }
        }
    }

    private func keepServing() async {
        while !Task.isCancelled {
            if let server = state.withLock({ $0.server }) {
                if !server.isReachable { await replace(server) }
            } else {
                await tryToServe()
            }
            try? await Task.sleep(for: Self.retryInterval)
        }
    }

    private func tryToServe() async {
        do {
            // It may have been removed with all that was in it.
            _ = mkdir(stateDirectory, 0o700)
            let server = try await AdminServer.start(
                stateDirectory: stateDirectory, administration: administration, group: group, recorder: recorder,
                logger: logger,
                connections: connections, refusals: refusals)
            let (isLate, wasMissing) = state.withLock { state in
                if !state.isStopping { state.server = server }
                defer { state.problem = nil }
                return (state.isStopping, state.problem != nil)
            }
            if isLate { return await server.stop() }
            if wasMissing { logger.notice("admin socket served") }
        } catch {
            let isNew = state.withLock { state in
                defer { state.problem = "\(error)" }
                return state.problem != "\(error)"
            }
            if isNew { logger.warning("admin socket not served", metadata: ["reason": "\(error)"]) }
        }
    }

    /// Its socket is not where it was: nobody reaches it any more, and it is bound again.
    private func replace(_ server: AdminServer) async {
        state.withLock { state in
            state.server = nil
            state.problem = "\(server.path) was removed or replaced while the node ran"
        }
        logger.warning("admin socket not served", metadata: ["reason": "\(problem ?? "")"])
        await server.stop()
        await tryToServe()
    }

    func stop() async {
        let (task, server) = state.withLock { state in
            state.isStopping = true
            return (state.task, state.server)
        }
        task?.cancel()
        await task?.value
        await server?.stop()
    }
}
