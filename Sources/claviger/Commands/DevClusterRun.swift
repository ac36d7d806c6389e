// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import AsyncHTTPClient
import DevEnvironment
import Foundation
import NIOCore
import NIOPosix

/// Several nodes as child processes, and HAProxy before them: `claviger dev --nodes 3`.
struct DevClusterRun: Sendable {
    private enum Step: Sendable {
        /// Every node serves and sees all others.
        case whole
        /// So does the load balancer.
        case ready
        case ended(name: String, end: ProcessEnd)
        case stop
    }

    private static let pollInterval = Duration.milliseconds(100)
    private static let pollTimeout = TimeAmount.seconds(2)
    private static let largestHealth = 4 * 1024 * 1024

    let cluster: DevCluster
    let json: Bool

    /// Runs until it is asked to stop, or until no node is left. SIGHUP goes on to the nodes.
    func run(signals: NodeSignals) async throws {
        let processes: ClusterProcesses
        do {
            processes = try ClusterProcesses(cluster, executable: ownExecutable()) { name, line in
                printError("\(name) \(line)")
            }
        } catch {
            throw failure("\(error)", status: ExitStatus.start)
        }
        let (steps, events) = AsyncStream.makeStream(of: Step.self)
        let tasks = [
            Task {
                await bootstrap()
                if await isWhole(processes) { events.yield(.whole) }
            },
            Task {
                for await (name, end) in processes.ends { events.yield(.ended(name: name, end: end)) }
            },
            Task {
                await signals.untilStop { if $0 == .reload { processes.reload() } }
                events.yield(.stop)
                await signals.untilStop { if $0 == .reload { processes.reload() } }
                // A second signal ends the wait for the nodes.
                if !Task.isCancelled { processes.kill() }
            },
        ]
        let problem = await follow(steps, events, processes)
        await processes.stop()
        for task in tasks { task.cancel() }
        if let problem { throw failure(problem, status: ExitStatus.start) }
    }

    /// Says what happens until the end has come. Returns why the cluster could not be started, if it could not.
    private func follow(
        _ steps: AsyncStream<Step>, _ events: AsyncStream<Step>.Continuation, _ processes: ClusterProcesses
    ) async -> String? {
        var running = Set(cluster.nodes.map(\.name))
        var isReady = false
        var isLost = false
        for await step in steps {
            switch step {
            case .stop: return nil
            case .whole:
                do {
                    try processes.startBalancer(of: cluster)
                } catch {
                    return "\(error)"
                }
                Task {
                    if await balancerListens() { events.yield(.ready) }
                }
            case .ready:
                isReady = true
                announce(processes)
            case .ended(let name, let end):
                guard isReady else { return "\(name) ended before the cluster was ready (\(end)); it says why above" }
                printError("claviger: \(name) has ended (\(end))")
                running.remove(name)
                isLost = isLost || end != .exited(0)
                if running.isEmpty { return isLost ? "no node is left; each says why above" : nil }
            }
        }
        return nil
    }

    private func announce(_ processes: ClusterProcesses) {
        let announcement = cluster.announcement(
            pids: processes.nodes.map(\.pid), balancerPID: processes.balancer?.pid)
        if json {
            printLine((try? announcement.jsonLine()) ?? "{}", isForPrograms: true)
            printLine("ready")
        } else {
            printLine(announcement.text())
        }
    }

    // MARK: Waiting

    /// Begins the cluster, as its operator would; a cluster that has its list takes no notice. Returns once a node has
    /// taken it.
    private func bootstrap() async {
        guard let first = cluster.nodes.first else { return }
        let client = AdminClient(stateDirectory: first.stateDirectory)
        while true {
            do throws(AdminClientError) {
                _ = try await client.bootstrap(BootstrapOrder(user: OrderingUser.name))
                return
            } catch {
                guard (try? await Task.sleep(for: Self.pollInterval)) != nil else { return }
            }
        }
    }

    /// Returns true once every node serves and sees all others; false when the task is cancelled before.
    private func isWhole(_ processes: ClusterProcesses) async -> Bool {
        for (node, process) in zip(cluster.nodes, processes.nodes) {
            while await !sees(node, process) {
                guard (try? await Task.sleep(for: Self.pollInterval)) != nil else { return false }
            }
        }
        return true
    }

    /// Whoever answers at its control listener's port may be another cluster's node of the same name. A node of this cluster
    /// serves its admin socket when it has bound all its ports.
    private func sees(_ node: DevClusterNode, _ process: ManagedProcess) async -> Bool {
        guard AdminClient(stateDirectory: node.stateDirectory).servingProcess() == process.pid else { return false }
        guard let (readyz, _) = await get(node.controlURL + "/readyz"),
            let (_, health) = await get(node.controlURL + "/cluster/health")
        else { return false }
        return ClusterReadiness.isWhole(readyz: readyz, health: health, nodes: cluster.nodes.count)
    }

    /// Returns true once HAProxy takes connections, or at once where there is none.
    private func balancerListens() async -> Bool {
        guard cluster.balancer != nil, let url = URL(string: cluster.balancerURL), let host = url.host(),
            let port = url.port
        else { return true }
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connectTimeout(Self.pollTimeout)
        while true {
            if let channel = try? await bootstrap.connect(host: host, port: port).get() {
                try? await channel.close()
                return true
            }
            guard (try? await Task.sleep(for: Self.pollInterval)) != nil else { return false }
        }
    }

    /// `nil` as long as nobody answers.
    private func get(_ url: String) async -> (status: Int, body: [UInt8])? {
        guard
            let response = try? await HTTPClient.shared.execute(
                HTTPClientRequest(url: url), timeout: Self.pollTimeout),
            let body = try? await response.body.collect(upTo: Self.largestHealth)
        else { return nil }
        return (Int(response.status.code), Array(body.readableBytesView))
    }
}
