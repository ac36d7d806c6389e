// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Dispatch
import Foundation
import GRDB
import Glibc
import NodeStore
import StatusVocabulary
import Synchronization
import Testing

/// A state directory of a test's own, gone with the value.
final class Scratch: Sendable {
    let directory: String
    var file: String { directory + "/claviger.sqlite" }
    var marker: String { file + ".made" }

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/node-store-XXXXXX").utf8CString)
        let made = try #require(mkdtemp(&template))
        directory = String(cString: made) + "/state"
    }

    deinit {
        Scratch.freeze(file, false)
        try? FileManager.default.removeItem(atPath: (directory as NSString).deletingLastPathComponent)
    }

    func open(
        _ change: (inout StoreSettings) -> Void = { _ in },
        onHealth: @escaping @Sendable (StoreHealth) -> Void = { _ in }
    ) -> NodeStore {
        NodeStore.open(directory: directory, settings: Scratch.settings(change), onHealth: onHealth)
    }

    /// Waits that are short enough for tests.
    static func settings(_ change: (inout StoreSettings) -> Void = { _ in }) -> StoreSettings {
        var settings = StoreSettings()
        settings.flushDelayMilliseconds = 10
        settings.retryIntervalMilliseconds = 50
        settings.busyTimeoutMilliseconds = 100
        settings.lookIntervalMilliseconds = 20
        change(&settings)
        return settings
    }

    /// A connection beside the store's.
    ///
    /// - Parameter keepsReadersOut: once it has written, nobody else can even read until it is closed (SQLite, "PRAGMA
    ///   locking_mode"); a transaction alone keeps other writers out.
    func connection(keepsReadersOut: Bool = false) throws -> DatabaseQueue {
        var configuration = Configuration()
        if keepsReadersOut {
            configuration.prepareDatabase { try $0.execute(sql: "PRAGMA locking_mode = EXCLUSIVE") }
        }
        configuration.allowsUnsafeTransactions = true
        configuration.busyMode = .timeout(10)
        return try DatabaseQueue(path: file, configuration: configuration)
    }

    func setAside() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.contains(".corrupt-") }.sorted()
    }

    func mode(_ path: String) throws -> mode_t {
        var facts = stat()
        try #require(lstat(path, &facts) == 0)
        return facts.st_mode & 0o777
    }

    /// Makes a file such that nobody can open it for writing, root included.
    @discardableResult
    static func freeze(_ path: String, _ frozen: Bool) -> Bool {
        if geteuid() != 0 { return chmod(path, frozen ? 0o400 : 0o600) == 0 }
        let descriptor = Glibc.open(path, O_RDONLY)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // FS_IOC_GETFLAGS, FS_IOC_SETFLAGS and FS_IMMUTABLE_FL of linux/fs.h.
        var flags: Int = 0
        guard ioctl(descriptor, 0x8008_6601, &flags) == 0 else { return false }
        flags = frozen ? flags | 0x10 : flags & ~0x10
        return ioctl(descriptor, 0x4008_6602, &flags) == 0
    }

    /// Puts something else in a file's place for a while.
    static func hide(_ path: String) {
        rename(path, path + ".hidden")
        mkdir(path, 0o700)
    }

    static func show(_ path: String) {
        rmdir(path)
        rename(path + ".hidden", path)
    }

    /// Whether this file system knows immutable files.
    static let canFreeze: Bool = {
        let path = FileManager.default.temporaryDirectory.path + "/node-store-freeze-\(getpid())"
        guard FileManager.default.createFile(atPath: path, contents: nil) else { return false }
        defer { unlink(path) }
        return freeze(path, true) && freeze(path, false)
    }()
}

enum Sample {
    static let now = Int(Date().timeIntervalSince1970)

    static func hsm(_ name: String = "hsm-a", state: HSMState = .active, failures: Int = 0) -> StoredHSM {
        StoredHSM(
            name: name, module: "/usr/lib/module.so", tokenLabel: "token", serial: "0123", vendor: "vendor",
            model: "model", firmware: "1.2", sessionLimit: 8, state: state, reason: "because", sinceUnixSeconds: now,
            p50Microseconds: 1, p95Microseconds: 2, p99Microseconds: 3, failures: failures, lanesOpen: 4, lanesBusy: 5,
            lanesOverdue: 6, workerPID: 77, updatedUnixSeconds: now)
    }

    static func transition(_ number: Int, at milliseconds: Int? = nil) -> StoredTransition {
        StoredTransition(
            hsm: "hsm-a", from: .active, to: .unavailable, reason: "reason \(number)",
            atUnixMilliseconds: milliseconds ?? now * 1_000 + number)
    }

    static func key(_ label: String = "foo", hsm: String = "hsm-a", verdict: KeyState = .proven) -> StoredKey {
        StoredKey(
            label: label, hsm: hsm, verdict: verdict, detail: "detail", usage: "encrypt", checkedUnixSeconds: now,
            encrypts: 10, decrypts: 20)
    }

    static func canary(_ label: String = "foo", trusted: Bool = false) -> StoredCanary {
        StoredCanary(
            label: label, iv: Array(0..<12), ciphertext: Array(0..<48), digest: Array(0..<32), hsm: "hsm-a",
            madeUnixSeconds: now, trustedByOperator: trusted, dispute: trusted ? nil : "hsm-a and hsm-b disagree")
    }

    static func block(_ number: Int, reason: String = "because", expires: Int? = nil) -> Block {
        Block(
            id: id(number), target: .key("key-\(number)"), reason: reason, madeAt: Int64(now),
            expiresAt: expires.map(Int64.init), madeBy: "alice@fra-1")
    }

    static func lift(_ number: Int) -> BlockLift {
        BlockLift(id: id(number), liftedAt: Int64(now), liftedBy: "bob@fra-2")
    }

    static func list(
        _ blocks: [Block], lifts: [BlockLift] = [], _ knowledge: BlockKnowledge = .known
    ) -> BlockList {
        BlockList(blocks: blocks, lifts: lifts, knowledge: knowledge)
    }

    private static func id(_ number: Int) -> String { String(repeating: "0", count: 26) + String(100_000 + number) }

    static func peer(_ name: String, incarnation: Int = 1, seen: Int = now) -> StoredPeer {
        StoredPeer(
            name: name, address: "\(name).example:7946", site: "fra", incarnation: incarnation,
            lastSeenUnixSeconds: seen)
    }

    static let node = StoredNode(
        id: "fra-1", incarnation: 3, pid: 5, processStart: 6, startedUnixSeconds: now, version: "1.0")
}

/// What `onHealth` was called with, to wait for.
struct HealthEvents: Sendable {
    let stream: AsyncStream<StoreHealth>
    let reported: @Sendable (StoreHealth) -> Void

    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: StoreHealth.self)
        self.stream = stream
        reported = { continuation.yield($0) }
    }

    /// Returns when the store says that it is well; the test's time limit is the bound.
    func recovered() async {
        for await health in stream where health.isOK { return }
    }

    /// Returns what is wrong as soon as something is.
    func failed() async -> String {
        for await health in stream {
            if case .failing(let reason, _) = health { return reason }
        }
        return ""
    }
}

extension StoreHealth {
    var reason: String? {
        if case .failing(let reason, _) = self { reason } else { nil }
    }
}

extension NodeStore {
    /// The list after a look at what other processes have written.
    func blocks() -> BlockList {
        _ = hsms()
        return blockList
    }

    /// Adds what a list has; a known one makes the store's known. Returns whether that is on the disk.
    func keep(blocks list: BlockList) async -> Bool {
        changeBlocks { mine in
            mine.merge(list, now: Int64(Sample.now))
            if list.knowledge == .known { mine.confirm() }
        }
        return await saved()
    }

    func confirmBlocks() async -> Bool {
        changeBlocks { $0.confirm() }
        return await saved()
    }
}

extension BlockList {
    /// Why it is unknown; `nil` when it is known.
    var doubt: String? { unknown }
}

/// Asks again until it is so, for at most twenty seconds. Leaves the thread to others in between.
func eventually(_ condition: () throws -> Bool) async rethrows -> Bool {
    let end = Date().addingTimeInterval(20)
    while Date() < end {
        if try condition() { return true }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return false
}

/// The same, without leaving the thread: for a thread of its own.
func blockingUntil(_ condition: () throws -> Bool) rethrows -> Bool {
    let end = Date().addingTimeInterval(20)
    while Date() < end {
        if try condition() { return true }
        poll(nil, 0, 2)
    }
    return false
}

/// Work on a thread of its own, beside an exit test: waiting for a child process may take up all threads that tasks
/// share.
final class OwnThread: Sendable {
    private let failure = Mutex<(any Error)?>(nil)
    private let done = DispatchSemaphore(value: 0)

    init(_ body: @escaping @Sendable () throws -> Void) {
        Thread.detachNewThread { [self] in
            do { try body() } catch { failure.withLock { $0 = error } }
            done.signal()
        }
    }

    /// Waits for the end, and throws what the work has thrown.
    func join() throws {
        done.wait()
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
