// SPDX-License-Identifier: Apache-2.0
import Dispatch
import GRDB
import Synchronization

/// What the node remembers across restarts, and shares with the CLI and a second node process on the host: one SQLite
/// file in the state directory. docs/internals/store.md explains the tables.
///
/// It is never on the path of a request. What is recorded goes into memory and is written by one background queue;
/// nothing that records throws or waits. While the file cannot be written, `health` says so, memory keeps the latest
/// values, and the store tries again.
///
/// `@unchecked Sendable`: `writer` is touched on `queue` only, `state` is a lock, everything else is constant.
package final class NodeStore: @unchecked Sendable {
    struct State {
        var memory: StoreMemory
        var health: StoreHealth = .ok
        var flushIsDue = false
        var urgentFlushIsDue = false
        var retryIsDue = false
        var isClosed = false
        /// 0: not yet.
        var prunedUnixSeconds = 0
    }

    let settings: StoreSettings
    private let onHealth: @Sendable (StoreHealth) -> Void
    let state: Mutex<State>
    let queue = DispatchQueue(label: "claviger.store", qos: .utility)
    let writer: StoreWriter

    /// Opens the store of a state directory, which is made (0700) unless it is there. Blocks while the file is opened,
    /// checked and migrated; never fails: look at `health`.
    ///
    /// - Parameter onHealth: called on the store's queue whenever `health` has changed; for the log. It must not call
    ///   the store's blocking functions.
    package static func open(
        directory: String, settings: StoreSettings = StoreSettings(),
        onHealth: @escaping @Sendable (StoreHealth) -> Void = { _ in }
    ) -> NodeStore {
        let store = NodeStore(directory: directory, settings: settings, onHealth: onHealth)
        _ = store.queue.sync { store.flush(durable: false, evenIfEmpty: true) }
        return store
    }

    private init(directory: String, settings: StoreSettings, onHealth: @escaping @Sendable (StoreHealth) -> Void) {
        self.settings = settings
        self.onHealth = onHealth
        state = Mutex(State(memory: StoreMemory(settings)))
        writer = StoreWriter(directory: directory, settings: settings)
    }

    /// The file's path.
    package var path: String { writer.files.path }

    package var health: StoreHealth { state.withLock { $0.health } }

    // MARK: Recording. Returns at once.

    /// Written within a second.
    package func record(hsms: [StoredHSM]) {
        remember(urgently: false) { memory in hsms.forEach { memory.record($0) } }
    }

    /// Written within a second.
    package func record(_ transition: StoredTransition) {
        remember(urgently: false) { $0.record(transition) }
    }

    /// Written within a second.
    package func record(keys: [StoredKey]) {
        remember(urgently: false) { memory in keys.forEach { memory.record($0) } }
    }

    /// Written within a second.
    package func record(node: StoredNode) {
        remember(urgently: false) { $0.record(node) }
    }

    /// All peers that are known now: others are forgotten. Written within a second.
    package func record(peers: [StoredPeer]) {
        remember(urgently: false) { $0.record(peers: peers) }
    }

    /// Written at once; on the disk when a later `saved()` says so.
    package func record(canary: StoredCanary) {
        remember(urgently: true) { $0.record(canary) }
    }

    /// Written at once; on the disk when a later `saved()` says so.
    package func removeCanary(label: String) {
        remember(urgently: true) { $0.removeCanary(label) }
    }

    /// Written at once; on the disk when a later `saved()` says so.
    package func setDrained(_ hsm: String, _ isDrained: Bool) {
        let now = unixSeconds()
        remember(urgently: true) { $0.setDrained(hsm, isDrained, nowUnixSeconds: now) }
    }

    /// Deletes what is older than `StoreSettings.keptDays`. The store does so itself when it opens, and once a day.
    package func prune() {
        queue.async { [self] in
            state.withLock { $0.prunedUnixSeconds = 0 }
            flush(durable: false, evenIfEmpty: true)
        }
    }

    /// Waits until everything recorded before is on the disk, through a loss of power.
    ///
    /// - Returns: false when it is not, because the store fails or is closed. It is tried once more, whatever the
    ///   health was.
    @discardableResult
    package func saved() async -> Bool {
        await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: flush(durable: true, evenIfEmpty: true)) }
        }
    }

    /// Writes what is not written yet, and closes the file. Blocks. What is recorded afterwards is not written.
    package func close() {
        queue.sync {
            flush(durable: true, evenIfEmpty: false)
            state.withLock { $0.isClosed = true }
            writer.close()
        }
    }

    // MARK: On the queue

    func remember(urgently: Bool, _ change: (inout StoreMemory) -> Void) {
        enum Need { case none, soon, now }
        let need = state.withLock { state -> Need in
            change(&state.memory)
            // While failing, the next attempt takes it along.
            guard state.health.isOK, !state.isClosed else { return .none }
            if urgently {
                if state.urgentFlushIsDue { return .none }
                state.urgentFlushIsDue = true
                return .now
            }
            if state.flushIsDue { return .none }
            state.flushIsDue = true
            return .soon
        }
        switch need {
        case .none: break
        case .now:
            queue.async { [self] in flush(durable: false, evenIfEmpty: false) }
        case .soon:
            queue.asyncAfter(deadline: .now() + .milliseconds(settings.flushDelayMilliseconds)) { [weak self] in
                guard let self else { return }
                state.withLock { $0.flushIsDue = false }
                flush(durable: false, evenIfEmpty: false)
            }
        }
    }

    /// Writes what the file lacks. With `evenIfEmpty` a transaction is made in any case, which shows whether the file
    /// can be written.
    @discardableResult
    func flush(durable: Bool, evenIfEmpty: Bool) -> Bool {
        attempt { () throws(StoreError) in try self.writeBatch(durable: durable, evenIfEmpty: evenIfEmpty) } != nil
    }

    private func writeBatch(durable: Bool, evenIfEmpty: Bool) throws(StoreError) {
        let now = unixSeconds()
        let (batch, pruning, mustProve) = state.withLock { state in
            state.urgentFlushIsDue = false
            return (
                state.memory.take(), now - state.prunedUnixSeconds >= 86_400,
                evenIfEmpty || !state.health.isOK
            )
        }
        guard !batch.isEmpty || mustProve else { return }
        let keptDays = settings.keptDays
        do throws(StoreError) {
            try writer.write(durable: durable || batch.mustLast) { db in
                try batch.write(to: db, nowUnixSeconds: now)
                if pruning { try Pruning.run(db, keptDays: keptDays, nowUnixSeconds: now) }
            }
        } catch {
            state.withLock { $0.memory.giveBack(batch) }
            throw error
        }
        state.withLock { state in
            state.memory.wrote(batch)
            if pruning { state.prunedUnixSeconds = now }
        }
    }

    /// Opens the file if need be, and does something with it. A file that turns out to be corrupt is set aside, and
    /// all is done again with a new one. Any other error closes the connection, makes the health say so, and the store
    /// tries again later.
    func attempt<Value>(_ body: () throws(StoreError) -> Value) -> Value? {
        guard !state.withLock({ $0.isClosed }) else { return nil }
        do throws(StoreError) {
            let value: Value
            do throws(StoreError) {
                try open()
                value = try body()
            } catch  where error.isCorruption {
                try writer.setAside()
                try open()
                value = try body()
            }
            change(to: .ok)
            return value
        } catch {
            writer.close()
            fail(error)
            return nil
        }
    }

    private func open() throws(StoreError) {
        let doubt = state.withLock { $0.memory.blocks.doubt($0.health) }
        if let contents = try writer.open(doubt: doubt) { state.withLock { $0.memory.adopt(contents) } }
    }

    private func fail(_ error: StoreError) {
        let since: Int
        if case .failing(_, let earlier) = health { since = earlier } else { since = unixSeconds() }
        change(to: .failing(reason: error.description, sinceUnixSeconds: since))
        let mustSchedule = state.withLock { state in
            defer { state.retryIsDue = true }
            return !state.retryIsDue && !state.isClosed
        }
        guard mustSchedule else { return }
        queue.asyncAfter(deadline: .now() + .milliseconds(settings.retryIntervalMilliseconds)) { [weak self] in
            guard let self else { return }
            state.withLock { $0.retryIsDue = false }
            if !health.isOK { flush(durable: false, evenIfEmpty: true) }
        }
    }

    private func change(to health: StoreHealth) {
        let changed = state.withLock { state in
            defer { state.health = health }
            return state.health != health
        }
        guard changed else { return }
        onHealth(health)
        // What was recorded between the write that succeeded and this line waits for no timer.
        if health.isOK { queue.async { [self] in flush(durable: false, evenIfEmpty: false) } }
    }
}
