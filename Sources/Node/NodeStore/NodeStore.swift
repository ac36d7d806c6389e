// SPDX-License-Identifier: Apache-2.0
import AccessControl
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
/// `@unchecked Sendable`: `writer`, `blockHead` and `hasAdopted` are touched on `queue` only, `state` and `register` are
/// locks, everything else is constant.
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
    let onBlocks = Mutex<(@Sendable (BlockAdoption) -> Void)?>(nil)
    let state: Mutex<State>
    /// The block list, which each request reads, and all that is decided about keeping it.
    let register: Mutex<BlockRegister>
    let queue = DispatchQueue(label: "claviger.store", qos: .utility)
    let writer: StoreWriter
    /// Of the list that was last read or written.
    var blockHead: BlockHead?
    /// Nobody waits for the queue: it has been late, and has not caught up since.
    let isLate = Atomic(false)
    /// A file's contents were taken over, of the file itself or of a copy.
    var hasAdopted = false

    /// Opens the store of a state directory, which is made (0700) unless it is there. Blocks while the file is opened,
    /// checked and migrated, for 10 s at most; never fails: look at `health`. What is read later is taken over then.
    ///
    /// - Parameters:
    ///   - isClustered: whether the node belongs to a cluster: a new one then waits for its block list.
    ///   - onHealth: called on the store's queue whenever `health` has changed; for the log. It must not call the store's
    ///     blocking functions.
    package static func open(
        directory: String, isClustered: Bool = false, settings: StoreSettings = StoreSettings(),
        onHealth: @escaping @Sendable (StoreHealth) -> Void = { _ in }
    ) -> NodeStore {
        let store = NodeStore(directory, isClustered, settings, onHealth)
        // Reading needs no write that lasts, so that a slow disk keeps nobody from serving by what the file says.
        _ = store.onQueue(within: openTime) { store.attempt { () throws(StoreError) in } != nil }
        _ = store.onQueue { store.flush(durable: false, evenIfEmpty: true) }
        store.lookForOthers()
        return store
    }

    private init(
        _ directory: String, _ isClustered: Bool, _ settings: StoreSettings,
        _ onHealth: @escaping @Sendable (StoreHealth) -> Void
    ) {
        self.settings = settings
        self.onHealth = onHealth
        state = Mutex(State(memory: StoreMemory(settings)))
        register = Mutex(BlockRegister(isClustered: isClustered))
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

    /// Adds to the uses of keys. Written within a second.
    package func add(keyUses: [StoredKeyUses]) {
        remember(urgently: false) { $0.add(keyUses) }
    }

    /// Written within a second. The file keeps the earliest first sight and the latest use.
    package func record(accessKeys: [StoredAccessKey]) {
        remember(urgently: false) { memory in accessKeys.forEach { memory.record($0) } }
    }

    /// Written within a second.
    package func record(keyUsesElsewhere: [StoredUsesElsewhere]) {
        remember(urgently: false) { memory in keyUsesElsewhere.forEach { memory.record($0) } }
    }

    /// Written within a second.
    package func record(node: StoredNode) {
        remember(urgently: false) { $0.record(node) }
    }

    /// All peers that are known now, and all nodes that an operator has ordered to forget: what is not among them is
    /// removed. Peers are written within a second, orders at once; they are on the disk when a later `saved()` says so.
    ///
    /// - Parameter changes: what nodes report of the changes of their block lists; what is not among them stays.
    package func record(
        peers: [StoredPeer], forgotten: [StoredNodeForget] = [], changes: [StoredPeerChanges] = []
    ) {
        remember(urgently: forgotten != forgottenInMemory()) { memory in
            memory.record(peers: peers)
            memory.record(forgotten: forgotten)
            memory.record(changes)
        }
    }

    private func forgottenInMemory() -> [StoredNodeForget] {
        state.withLock { $0.memory.nodeForgets.values.values.sorted { $0.name < $1.name } }
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
            queue.async { [self] in
                let (blocks, proof) = (register.withLock { $0.receipt }, state.withLock { $0.memory.proof.receipt })
                let isSaved =
                    flush(durable: true, evenIfEmpty: true) && register.withLock { $0.isDurable(blocks) }
                    && state.withLock { $0.memory.proof.isDurable(proof) }
                continuation.resume(returning: isSaved)
            }
        }
    }

    /// Writes what is not written yet, and closes the file. Blocks, for `closeSeconds` at most. What is recorded
    /// afterwards is not written.
    ///
    /// - Returns: false where the disk was not done in time. The file is whole all the same: it is as after a loss of
    ///   power, and orders say by themselves when they are on the disk.
    @discardableResult
    package func close() -> Bool {
        isLate.store(false, ordering: .relaxed)
        return onQueue(within: .seconds(Self.closeSeconds)) { [self] in
            flush(durable: true, evenIfEmpty: false)
            countInMarker()
            state.withLock { $0.isClosed = true }
            writer.close()
            return true
        } ?? false
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
        let blocks = register.withLock { register in
            if pruning { register.change(now: Int64(now)) { _ = $0.prune(now: Int64(now)) } }
            return register.take()
        }
        guard !batch.isEmpty || !blocks.isEmpty || mustProve else { return }
        let keptDays = settings.keptDays
        var written: (changes: UInt64, head: BlockHead)?
        var missed: (file: BlockFile, head: BlockHead)?
        do throws(StoreError) {
            try writer.write(durable: durable || batch.mustLast || !blocks.isEmpty) { db in
                try batch.write(to: db, nowUnixSeconds: now)
                if pruning { try Pruning.run(db, keptDays: keptDays, nowUnixSeconds: now) }
                guard !blocks.isEmpty else { return }
                // Another process may have changed the list since it was last looked at. With the head of what is
                // written now, that would never be noticed.
                let isBehind = try BlockTables(db).head() != blockHead
                written = try BlockTables(db).write(blocks)
                if isBehind { missed = try BlockTables(db).contents() }
            }
        } catch {
            state.withLock { $0.memory.giveBack(batch) }
            register.withLock { $0.giveBack(blocks) }
            throw error
        }
        state.withLock { state in
            state.memory.wrote(batch)
            if pruning { state.prunedUnixSeconds = now }
        }
        guard let written else { return }
        register.withLock { $0.wrote(blocks, changes: written.changes) }
        if let missed { adopt(missed, marker: .present(changes: nil)) } else { blockHead = written.head }
        queue.async { [self] in countInMarker() }
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
            adoptWithoutFile(error.description)
            fail(error)
            return nil
        }
    }

    private func open() throws(StoreError) {
        let register = register.withLock { $0 }
        guard let (contents, marker) = try writer.open(beginning: register.beginning) else { return }
        hasAdopted = true
        state.withLock { $0.memory.adopt(contents.rows) }
        adopt(contents.blocks, marker: marker)
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
