// SPDX-License-Identifier: Apache-2.0
import DevEnvironment
import Foundation
import Glibc
import Synchronization
import Testing

@Suite struct ClusterProcessesTests {
    /// Lines that processes write, for those who wait for one.
    private final class Lines: Sendable {
        let stream: AsyncStream<String>
        private let continuation: AsyncStream<String>.Continuation

        init() { (stream, continuation) = AsyncStream.makeStream(of: String.self) }

        @Sendable func add(_ name: String, _ line: String) { continuation.yield("\(name) \(line)") }

        /// Reads on until all of these have come.
        func wait(for lines: Set<String>) async {
            var missing = lines
            for await line in stream {
                missing.remove(line)
                if missing.isEmpty { return }
            }
        }
    }

    private let scratch: Scratch
    private let lines = Lines()

    init() throws { scratch = try Scratch() }

    private func script(_ name: String, _ text: String) throws -> String {
        let file = scratch.path + "/" + name
        let isMade = FileManager.default.createFile(
            atPath: file, contents: Data("#!/bin/sh\n\(text)\n".utf8), attributes: [.posixPermissions: 0o755])
        try #require(isMade)
        return file
    }

    private func process(_ text: String, name: String = "a") throws -> ManagedProcess {
        try ManagedProcess(name: name, program: "/bin/sh", arguments: ["sh", "-c", text], onLine: lines.add)
    }

    /// A cluster whose nodes and load balancer are scripts.
    private func start(node: String, balancer: String? = nil) throws -> ClusterProcesses {
        let cluster = try DevCluster.prepare(
            DevOptions(nodes: 2, hsms: 1), state: DevState.open(scratch.path + "/state"), module: "/lib/softhsm.so",
            haproxy: try balancer.map { try script("haproxy", $0) }, provision: RecordingProvisioner().provision)
        let processes = try ClusterProcesses(cluster, executable: try script("claviger", node), onLine: lines.add)
        #expect(processes.balancer == nil)
        try processes.startBalancer(of: cluster)
        #expect((processes.balancer != nil) == (balancer != nil))
        return processes
    }

    // MARK: One process

    @Test(.timeLimit(.minutes(1)))
    func everyLineIsHandedOnWithTheProcessesName() async throws {
        let process = try process("echo one; echo two >&2; printf three")
        await lines.wait(for: ["a one", "a two", "a three"])
        #expect(await process.ended() == .exited(0))
        #expect(process.end == .exited(0))
    }

    @Test(.timeLimit(.minutes(1)))
    func howItEndedIsTold() async throws {
        #expect(await (try process("exit 3")).ended() == .exited(3))
        let killed = try process("echo up; exec sleep 600")
        await lines.wait(for: ["a up"])
        killed.signal(SIGKILL)
        #expect(await killed.ended() == .killed(signal: SIGKILL))
        // Its number may be another's by now: nothing is sent.
        killed.signal(SIGKILL)
        #expect("\(await killed.ended())" == "signal 9")
    }

    @Test(.timeLimit(.minutes(1)))
    func signalsThatAreIgnoredHereAreNotIgnoredThere() async throws {
        let before = signal(SIGUSR1, SIG_IGN)
        defer { signal(SIGUSR1, before) }
        let process = try process("echo up; while :; do sleep 0.01; done")
        await lines.wait(for: ["a up"])
        process.signal(SIGUSR1)
        #expect(await process.ended() == .killed(signal: SIGUSR1))
    }

    @Test(.timeLimit(.minutes(1)))
    func standardInputStaysOpenAndNobodyElseHoldsIt() async throws {
        let first = try process("echo up; read -r line; echo closed", name: "first")
        let second = try process("echo up; read -r line; echo closed", name: "second")
        await lines.wait(for: ["first up", "second up"])
        #expect(first.end == nil && second.end == nil)
        // Were one end of the other's pipe here as well, the other would not see that this process has gone.
        let input = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(first.pid)/fd/0")
        #expect(input.hasPrefix("pipe:"))
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(second.pid)/fd")
        #expect(descriptors.contains("0"))
        for descriptor in descriptors {
            let path = "/proc/\(second.pid)/fd/\(descriptor)"
            #expect((try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != input)
        }
        for process in [first, second] {
            process.signal(SIGKILL)
            _ = await process.ended()
        }
    }

    @Test func aProgramThatIsNotThereIsAnError() {
        #expect(throws: DevError.self) {
            try ManagedProcess(name: "a", program: "/nowhere/claviger", arguments: ["claviger"], onLine: lines.add)
        }
    }

    // MARK: A cluster

    @Test(.timeLimit(.minutes(1)))
    func everyNodeIsStartedWithItsConfigurationAndEndedInGoodOrder() async throws {
        let processes = try start(
            node: "trap 'echo told; exit 0' TERM; echo \"$*\"; while :; do sleep 0.01; done",
            balancer: "trap 'echo told; exit 7' TERM; echo \"$*\"; while :; do sleep 0.01; done")
        let state = scratch.path + "/state"
        await lines.wait(for: [
            "node-1 serve --end-with-stdin --config \(state)/node-1/claviger.toml",
            "node-2 serve --end-with-stdin --config \(state)/node-2/claviger.toml",
            "haproxy -db -f \(state)/haproxy.cfg",
        ])
        await processes.stop()
        #expect(processes.nodes.map(\.end) == [.exited(0), .exited(0)])
        #expect(processes.balancer?.end == .exited(7))
    }

    @Test(.timeLimit(.minutes(1)))
    func aNodeThatHangsIsKilledAndAStoppedOneGoesOn() async throws {
        let processes = try start(
            node: "case $4 in *node-1*) trap '' TERM;; *) trap 'exit 5' TERM;; esac; echo up; "
                + "while :; do sleep 0.01; done")
        await lines.wait(for: ["node-1 up", "node-2 up"])
        processes.nodes[1].signal(SIGSTOP)
        await processes.stop(patience: .milliseconds(500))
        #expect(processes.nodes.map(\.end) == [.killed(signal: SIGKILL), .exited(5)])
    }

    @Test(.timeLimit(.minutes(1)))
    func whoEndsUntoldIsNamed() async throws {
        let processes = try start(
            node: "case $4 in *node-2*) exit 3;; esac; echo up; exec sleep 600", balancer: "exec sleep 600")
        var ends = processes.ends.makeAsyncIterator()
        let first = await ends.next()
        #expect(first?.name == "node-2" && first?.end == .exited(3))
        processes.balancer?.signal(SIGKILL)
        let second = await ends.next()
        #expect(second?.name == "haproxy" && second?.end == .killed(signal: SIGKILL))
        processes.kill()
        let third = await ends.next()
        #expect(third?.name == "node-1")
        await processes.stop()
    }
}
