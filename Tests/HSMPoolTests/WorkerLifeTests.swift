// SPDX-License-Identifier: Apache-2.0
import Foundation
import HSMPool
import LaneProtocol
import Logging
import NIOPosix
import Routing
import SecureMemory
import Testing

/// A pool whose "worker" is a shell script: what happens with programs that do not behave like workers.
private func withPool(
    script: String?, startPatience: UInt64 = 60_000_000_000, body: (HSMPool, String) async throws -> Void
) async throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("claviger-pool-\(UUID())")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let program = directory.appendingPathComponent("worker").path
    if let script {
        #expect(
            FileManager.default.createFile(
                atPath: program, contents: Data("#!/bin/sh\n\(script)\n".utf8), attributes: [.posixPermissions: 0o700]))
    }
    let member = PoolMember(
        name: "hsm-a", module: "/nowhere.so", token: .label("t"), pin: SecretBytes("1234".utf8), sessions: 2,
        environment: ["MARK": directory.path], catalogueInterval: 1_000, probeInterval: 1_000,
        stuckAfter: 1_000_000_000)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let pool = HSMPool(
        settings: PoolSettings(
            members: [member], limits: PoolLimits(), executable: program, startPatience: startPatience),
        group: group, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    pool.start()
    try await body(pool, directory.path)
    await pool.stop()
    try await group.shutdownGracefully()
}

/// Children of this process that are workers of a pool, ended or not.
private func unreapedWorkers() -> [String] {
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    let children = tasks.flatMap { task -> [String] in
        let list = (try? String(contentsOfFile: "/proc/self/task/\(task)/children", encoding: .utf8)) ?? ""
        return list.split(separator: " ").map(String.init)
    }
    return children.filter { (try? String(contentsOfFile: "/proc/\($0)/comm", encoding: .utf8)) == "worker\n" }
}

@Suite("The life of workers", .timeLimit(.minutes(1)))
struct WorkerLifeTests {
    @Test("a program that is not there is said so, and nobody waits for it for ever")
    func missingProgram() async throws {
        try await withPool(script: nil) { pool, _ in
            await pool.settled()
            let status = try #require(pool.status().first)
            #expect(status.condition == .unavailable)
            #expect(status.reason.contains("posix_spawn") && status.reason.contains("No such file"))
            guard case .unknown = pool.decision(on: "foo", for: .encrypt, on: [0]) else {
                Issue.record("what nobody can be asked about is unknown")
                return
            }
        }
    }

    @Test("a worker that ends without a word is started again")
    func endsAtOnce() async throws {
        try await withPool(script: #"echo x >> "$MARK/starts""#) { pool, directory in
            await pool.settled()
            #expect(pool.status().first?.condition == .unavailable)
            var starts = 0
            while starts < 3 {
                starts = (try? String(contentsOfFile: directory + "/starts", encoding: .utf8).count / 2) ?? 0
                await Task.yield()
            }
        }
    }

    @Test("a worker that hangs before it has said anything is killed, and its silence is told")
    func hangsAtStart() async throws {
        try await withPool(script: "exec sleep 600", startPatience: 300_000_000) { pool, _ in
            await pool.started()
            let first = try #require(pool.status().first).workerPID
            #expect(first > 0)
            await pool.settled()
            #expect(try #require(pool.status().first).reason.contains("has not come up"))
            var pid = first
            while pid == first || pid == 0 {
                pid = pool.status().first?.workerPID ?? 0
                await Task.yield()
            }
            // Its exit status is taken a moment after the next one has been started; the suite's time limit bounds this.
            while kill(first, 0) == 0 { await Task.yield() }
            #expect(errno == ESRCH, "the one that hung is gone")
        }
    }

    @Test("a pool that stops in the moment in which its workers end takes the exit status of each")
    func stopsWhileWorkersEnd() async throws {
        for round in 0..<40 {
            try await withPool(script: "exit 1") { pool, _ in
                await pool.started()
                for _ in 0..<(round * 40) { await Task.yield() }
            }
        }
        #expect(unreapedWorkers() == [])
    }

    @Test("the node's variables do not reach a worker, its own do")
    func environment() async throws {
        setenv("CLAVIGER_TEST_SECRET", "hunter2", 1)
        defer { unsetenv("CLAVIGER_TEST_SECRET") }
        try await withPool(script: #"env > "$MARK/new"; mv "$MARK/new" "$MARK/env""#) { pool, directory in
            await pool.settled()
            let text = try String(contentsOfFile: directory + "/env", encoding: .utf8)
            #expect(text.contains("MARK=") && !text.contains("hunter2"))
        }
    }

    @Test("an operation on an HSM that cannot come up fails at once, and says why")
    func operation() async throws {
        try await withPool(script: nil) { pool, _ in
            await pool.settled()
            let operation = KeyOperation(
                kind: .encrypt, label: "foo", additionalData: SecretBytes(), initializationVector: SecretBytes(),
                data: SecretBytes([1]))
            let result = await withCheckedContinuation { continuation in
                pool.submit(operation, on: [0], deadline: .max) { continuation.resume(returning: $0) }
            }
            guard case .unavailable = result.outcome else {
                Issue.record("expected unavailable, not \(result.outcome)")
                return
            }
        }
    }
}
