// SPDX-License-Identifier: Apache-2.0
import Foundation
import HSMPool
import LaneProtocol
import Logging
import NIOPosix
import Routing
import SecureMemory
import Synchronization
import Testing

/// A pool whose "worker" is a shell script: what happens with programs that do not behave like workers.
private func withPool(
    script: String?, failure: WorkerFailure? = nil, startPatience: UInt64 = 60_000_000_000, endsOrphans: Bool = false,
    log: (any LogHandler)? = nil, body: (HSMPool, String) async throws -> Void
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
    if let failure {
        let bytes = WorkerMessage.failed(failure).encoded().withUnsafeBytes { Data($0) }
        try bytes.write(to: directory.appendingPathComponent("failure"))
    }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let pool = HSMPool(
        settings: PoolSettings(
            members: [member(directory.path)], limits: PoolLimits(), executable: program, startPatience: startPatience,
            endsOrphans: endsOrphans),
        group: group, logger: Logger(label: "test") { _ in log ?? SwiftLogNoOpLogHandler() })
    pool.start()
    try await body(pool, directory.path)
    await pool.stop()
    try await group.shutdownGracefully()
}

private func member(_ directory: String) -> PoolMember {
    PoolMember(
        worker: WorkerConfiguration(
            name: "hsm-a", module: "/nowhere.so", token: .label("t"), pin: SecretBytes("1234".utf8), lanes: 2,
            catalogueInterval: 1_000, probeInterval: 1_000),
        environment: ["MARK": directory], traits: HSMTraits(stuckAfter: 1_000_000_000))
}

private func starts(_ directory: String) -> Int {
    (try? String(contentsOfFile: directory + "/starts", encoding: .utf8).count / 2) ?? 0
}

/// Keeps what is logged, a line each: the message, and the metadata in the order of its keys.
private struct KeptLog: LogHandler {
    private final class Lines: Sendable { let kept = Mutex<[String]>([]) }

    private let lines = Lines()
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    init() {}

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).filter { $0.key != "pid" }.sorted { $0.key < $1.key }
        let text = fields.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        lines.kept.withLock { $0.append("\(event.message) \(text)") }
    }

    func waits(for line: String) async { while lines.kept.withLock({ !$0.contains(line) }) { await Task.yield() } }
}

/// Numbers of processes that a script has written, one a line.
private func processes(_ file: String, count: Int) async -> [Int32] {
    while true {
        let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        let found = text.split(separator: "\n").compactMap { Int32($0) }
        if found.count >= count { return found }
        await Task.yield()
    }
}

/// False also for one that has ended and whose status nobody has taken.
private func isAlive(_ process: Int32) -> Bool {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
        let end = text.lastIndex(of: ")")
    else { return false }
    return text[text.index(after: end)...].split(separator: " ").first != "Z"
}

/// Whether a process ends within twenty seconds.
private func ends(_ process: Int32) async -> Bool {
    let deadline = ContinuousClock.now + .seconds(20)
    while isAlive(process) {
        guard ContinuousClock.now < deadline else { return false }
        await Task.yield()
    }
    return true
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
            #expect(status.shown.state == .unavailable)
            let reason = status.shown.reason ?? ""
            #expect(reason.contains("posix_spawn") && reason.contains("No such file"))
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
            #expect(pool.status().first?.shown.state == .unavailable)
            while starts(directory) < 3 { await Task.yield() }
        }
    }

    /// Says why it gives up, and ends, as a worker does whose token refuses it.
    private static let failing = #"echo x >> "$MARK/starts"; cat "$MARK/failure" >&3; exit 1"#

    /// Without the retry a reload with the same settings started nothing: an unlocked PIN needed a restart of the node.
    @Test("what a person has mended is tried again with the next reload; a refused PIN only when it is another")
    func triedAgain() async throws {
        let locked = WorkerFailure(kind: .pinUnusable, message: "the PIN is locked")
        try await withPool(script: Self.failing, failure: locked) { pool, directory in
            await pool.settled()
            while pool.status().first?.workerPID != 0 { await Task.yield() }
            let change = pool.apply([member(directory)])
            #expect(change.retried == ["hsm-a"] && change.changed.isEmpty && change.withRefusedPIN.isEmpty)
            while starts(directory) < 2 { await Task.yield() }
            await pool.settled()
            #expect(pool.status().first?.shown.reason == "the PIN is locked")
        }
        let refused = WorkerFailure(kind: .pinRefused, message: "the PIN is refused")
        try await withPool(script: Self.failing, failure: refused) { pool, directory in
            await pool.settled()
            while pool.status().first?.workerPID != 0 { await Task.yield() }
            let change = pool.apply([member(directory)])
            #expect(change.retried.isEmpty && change.withRefusedPIN == ["hsm-a"])
            var corrected = member(directory)
            corrected.worker.pin = SecretBytes("4321".utf8)
            #expect(pool.apply([corrected]).changed == ["hsm-a"])
            while starts(directory) < 2 { await Task.yield() }
            #expect(starts(directory) == 2)
        }
    }

    /// Without the watch over the process the second start came when `startPatience` was over.
    @Test("a worker that ends while a process of its library holds its sockets is started again at once")
    func helper() async throws {
        try await withPool(script: #"sleep 30 & echo $! >> "$MARK/helpers""#) { _, directory in
            _ = await processes(directory + "/helpers", count: 3)
        }
    }

    /// With 16631be it lived on: workers were in the node's process group.
    @Test("what a worker's library has started ends with the worker")
    func helperEnds() async throws {
        try await withPool(script: #"sleep 600 & echo $! >> "$MARK/helpers"; exit 1"#) { _, directory in
            let first = await processes(directory + "/helpers", count: 1)[0]
            #expect(await ends(first))
        }
    }

    /// A process of its own, since a pool that ends orphans ends every child that is not its own. Without that both lived on.
    @Test("so does what has left the worker's process group, and what that has started")
    func escapedHelperEnds() async {
        await #expect(processExitsWith: .success) {
            let script = #"""
                setsid sh -c 'echo $$ >> "$MARK/helpers"; sh -c "echo \$\$ >> $MARK/helpers; sleep 600; :"; :' &
                while [ "$(wc -l < "$MARK/helpers")" -lt 2 ]; do sleep 0.01; done
                exit 1
                """#
            try await withPool(script: script, endsOrphans: true) { _, directory in
                for process in await processes(directory + "/helpers", count: 2).prefix(2) {
                    #expect(await ends(process))
                }
            }
        }
    }

    @Test("what its library prints is logged under its name, whatever stream it takes")
    func output() async throws {
        let log = KeptLog()
        try await withPool(script: "echo from; echo the library >&2; exec sleep 600", log: log) { _, _ in
            await log.waits(for: "library output hsm=hsm-a stream=stdout text=from")
            await log.waits(for: "library output hsm=hsm-a stream=stderr text=the library")
        }
    }

    @Test(
        "its end is told with status or signal",
        arguments: [("exit 3", "with status 3"), ("kill -SEGV $$", "by signal 11 (SIGSEGV)")])
    func end(script: String, words: String) async throws {
        let log = KeptLog()
        try await withPool(script: script, log: log) { pool, _ in
            await log.waits(for: "worker ended hsm=hsm-a reason=ended \(words)")
            await pool.settled()
            #expect(pool.status().first?.shown.reason == "its worker ended \(words) before it could serve")
        }
    }

    @Test("one that prints without end and is not read in time keeps nobody waiting")
    func flood() async throws {
        let log = KeptLog()
        let script = #"yes | head -c 3000000; echo done > "$MARK/done"; exec sleep 600"#
        try await withPool(script: script, log: log) { _, directory in
            while !FileManager.default.fileExists(atPath: directory + "/done") { await Task.yield() }
            await log.waits(for: "library output hsm=hsm-a stream=stdout text=y")
        }
    }

    @Test("a worker that hangs before it has said anything is killed, and its silence is reported")
    func hangsAtStart() async throws {
        try await withPool(script: "exec sleep 600", startPatience: 300_000_000) { pool, _ in
            await pool.started()
            let first = try #require(pool.status().first).workerPID
            #expect(first > 0)
            await pool.settled()
            #expect(pool.status().first?.shown.reason?.contains("has not come up") == true)
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
                pool.submit(operation, on: [0], deadline: .max, terms: OperationTerms()) {
                    continuation.resume(returning: $0)
                }
            }
            guard case .unavailable = result.outcome else {
                Issue.record("expected unavailable, not \(result.outcome)")
                return
            }
        }
    }
}
