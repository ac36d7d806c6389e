// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import ConnectionLimits
import ControlPlane
import HTTPServing
import Logging
import Synchronization

/// Serves the admin socket for as long as the node runs.
///
/// During an upgrade two nodes share a state directory: the newer one takes the socket over when the older one has
/// ended. So a socket that cannot be had is no reason not to serve; it is said once, and tried again.
final class AdminListener: Sendable {
    private static let retryInterval = Duration.seconds(1)

    private struct State {
        var server: AdminServer?
        var task: Task<Void, Never>?
        var isStopping = false
    }

    private let stateDirectory: String
    private let administration: any NodeAdministration
    private let group: String?
    private let connections: Int
    private let refusals: RefusalCounter
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameter group: may give orders besides the node's user and root.
    init(
        stateDirectory: String, administration: any NodeAdministration, group: String?, connections: Int,
        refusals: RefusalCounter, logger: Logger
    ) {
        self.group = group
        self.stateDirectory = stateDirectory
        self.administration = administration
        self.connections = connections
        self.refusals = refusals
        self.logger = logger
    }

    /// nil while another node serves the socket.
    var openConnections: OpenConnections? { state.withLock { $0.server }?.openConnections }

    func start() {
        state.withLock { state in
            state.task = Task { await self.keepTrying() }
        }
    }

    private func keepTrying() async {
        var lastProblem = ""
        while !Task.isCancelled {
            do {
                let server = try await AdminServer.start(
                    stateDirectory: stateDirectory, administration: administration, group: group, logger: logger,
                    connections: connections, refusals: refusals)
                let isLate = state.withLock { state in
                    if !state.isStopping { state.server = server }
                    return state.isStopping
                }
                if isLate { await server.stop() }
                return
            } catch {
                if "\(error)" != lastProblem {
                    lastProblem = "\(error)"
                    logger.warning("admin socket not served", metadata: ["reason": "\(error)"])
                }
            }
            try? await Task.sleep(for: Self.retryInterval)
        }
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
