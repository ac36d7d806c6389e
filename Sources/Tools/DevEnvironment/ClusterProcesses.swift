// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// The processes of a development cluster: its nodes, and the load balancer before them. None is started again when it
/// ends: to see what the others make of that is what the cluster is for.
///
/// None outlives this process either, also when it is killed. A node is asked to end when its standard input does
/// (`serve --end-with-stdin`). HAProxy does not look at its own, so a small process does that for it.
package final class ClusterProcesses: Sendable {
    private struct Front {
        let balancer: ManagedProcess
        let keeper: ManagedProcess
    }

    package typealias OnLine = @Sendable (_ name: String, _ line: String) -> Void

    /// A node's own delay (3 s), its grace for requests in flight (15 s), and the end of its workers.
    package static let patience = Duration.seconds(25)
    private static let balancerPatience = Duration.seconds(2)

    /// In the cluster's order.
    package let nodes: [ManagedProcess]
    /// Each of them as it ends, by its name. For one reader.
    package let ends: AsyncStream<(name: String, end: ProcessEnd)>
    private let endings: AsyncStream<(name: String, end: ProcessEnd)>.Continuation
    private let front = Mutex<Front?>(nil)
    private let onLine: OnLine

    /// HAProxy, once it has been started.
    package var balancer: ManagedProcess? { front.withLock { $0?.balancer } }

    /// Starts the nodes.
    ///
    /// - Parameters:
    ///   - executable: `claviger` itself.
    ///   - onLine: called for each line that one of the processes writes, from several threads.
    /// - Throws: `DevError` when one cannot be started; those that were are killed.
    package init(_ cluster: DevCluster, executable: String, onLine: @escaping OnLine) throws {
        var started: [ManagedProcess] = []
        do {
            for node in cluster.nodes {
                started.append(
                    try ManagedProcess(
                        name: node.name, program: executable,
                        arguments: ["claviger", "serve", "--end-with-stdin", "--config", node.configurationFile],
                        onLine: onLine))
            }
        } catch {
            for process in started { process.signal(SIGKILL) }
            throw error
        }
        nodes = started
        self.onLine = onLine
        (ends, endings) = AsyncStream.makeStream()
        for node in started { watch(node) {} }
    }

    /// Starts HAProxy where the cluster has one. Only when the nodes serve: it takes them for up until its checks say
    /// otherwise, and for down for a second after they have failed.
    package func startBalancer(of cluster: DevCluster) throws {
        guard let (program, configurationFile) = cluster.balancer else { return }
        let balancer = try ManagedProcess(
            name: "haproxy", program: program, arguments: [program, "-db", "-f", configurationFile], onLine: onLine)
        do {
            // When this process ends, so does the keeper's standard input, and with it HAProxy.
            let keeper = try ManagedProcess(
                name: "keeper", program: "/bin/sh",
                arguments: ["sh", "-c", "read -r line; kill -TERM \"$1\"", "sh", String(balancer.pid)],
                onLine: onLine)
            front.withLock { $0 = Front(balancer: balancer, keeper: keeper) }
            // HAProxy's number may be another's from now on.
            watch(balancer) { keeper.signal(SIGKILL) }
        } catch {
            balancer.signal(SIGKILL)
            throw error
        }
    }

    private func watch(_ process: ManagedProcess, atEnd: @escaping @Sendable () -> Void) {
        Task {
            let end = await process.ended()
            atEnd()
            endings.yield((process.name, end))
        }
    }

    /// Has the nodes read their configurations anew.
    package func reload() {
        for node in nodes { node.signal(SIGHUP) }
    }

    /// Ends all of them: the nodes in good order, with the load balancer before them as long as they serve. Who has not
    /// ended in time is killed.
    package func stop(patience: Duration = patience) async {
        await Self.end(nodes, patience)
        guard let front = front.withLock({ $0 }) else { return }
        // Before HAProxy, so that it does not signal a process that has taken its number.
        front.keeper.signal(SIGKILL)
        _ = await front.keeper.ended()
        await Self.end([front.balancer], Self.balancerPatience)
    }

    /// Ends all of them at once.
    package func kill() {
        let front = front.withLock { $0 }
        for process in nodes + [front?.keeper, front?.balancer].compactMap(\.self) { process.signal(SIGKILL) }
    }

    private static func end(_ processes: [ManagedProcess], _ patience: Duration) async {
        for process in processes {
            process.signal(SIGTERM)
            // One that was stopped (SIGSTOP) takes note of the first signal only when it goes on.
            process.signal(SIGCONT)
        }
        let killer = Task {
            try await Task.sleep(for: patience)
            for process in processes { process.signal(SIGKILL) }
        }
        for process in processes { _ = await process.ended() }
        killer.cancel()
    }
}
