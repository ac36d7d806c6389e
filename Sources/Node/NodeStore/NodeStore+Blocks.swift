// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Dispatch
import GRDB

// The kill switch: the store holds the one value that decides (`BlockRegister`), gives it every file that it opens, and
// writes what it says. docs/internals/blocks.md says when the list is unknown, and why.
extension NodeStore {
    /// The block list by which requests go. Never waits.
    package var blockList: BlockList { register.withLock { $0.list } }

    /// Durable changes that the list has seen, for peers; `nil` while the list is not known.
    package var blockChanges: UInt64? { register.withLock { $0.toldChanges } }

    /// From now on `handler` is called, on the store's queue, when a file that was read has changed the block list: one
    /// that could not be read before, or that another process writes, too. It must not call the store's blocking
    /// functions.
    package func whenBlocksAreAdopted(_ handler: @escaping @Sendable (BlockAdoption) -> Void) {
        onBlocks.withLock { $0 = handler }
    }

    private func announce(_ adoption: BlockAdoption) {
        guard adoption.hasChanged else { return }
        onBlocks.withLock { $0 }?(adoption)
    }

    /// Changes the block list: in force when this returns, on the disk when a later `saved()` says so.
    package func changeBlocks<Value: Sendable, Failure: Error>(
        _ body: (inout BlockList) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let now = Int64(unixSeconds())
        return try updateBlocks { register throws(Failure) in try register.change(now: now, body) }
    }

    /// Has the owner of the block list decide something: in force when this returns. What is to be written then is on the
    /// disk when a later `saved()` says so.
    package func updateBlocks<Value: Sendable, Failure: Error>(
        _ body: (inout BlockRegister) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let (value, hasUnsaved) = try register.withLock { register throws(Failure) in
            (try body(&register), register.hasUnsaved)
        }
        if hasUnsaved { remember(urgently: true) { _ in } }
        return value
    }

    // MARK: On the queue

    /// Takes over what a file says, and informs whoever goes by it.
    func adopt(_ blocks: (file: BlockFile, head: BlockHead), marker: BlockMarker) {
        let now = Int64(unixSeconds())
        let adoption = register.withLock { register in
            register.adopt(blocks.file, marker: marker, behind: writer.files.lossByAge, now: now)
        }
        blockHead = blocks.head
        announce(adoption)
    }

    /// Reads the list anew when another process has changed it.
    func refreshBlocks(_ db: Database) throws -> (file: BlockFile, head: BlockHead)? {
        guard try BlockTables(db).head() != blockHead else { return nil }
        return try BlockTables(db).contents()
    }

    /// The file cannot be opened. What it says is read from a copy, where that can be done; whether there was a list is
    /// looked at in any case.
    func adoptWithoutFile(_ reason: String) {
        guard !hasAdopted else { return }
        let remains: BlockRemains
        if let (contents, marker) = StoreCopy.contents(of: writer.files, settings) {
            hasAdopted = true
            state.withLock { $0.memory.adopt(contents.rows) }
            remains = .copy(
                contents.blocks.file, marker: marker, behind: writer.files.lossByAge, now: Int64(unixSeconds()))
            blockHead = contents.blocks.head
        } else {
            remains = writer.files.neverHadOne ? .nothing : .hidden
        }
        announce(register.withLock { $0.failed(reason, remains) })
    }

    /// After the list, the marker counts the change: a file that is put back to before it is known by that. It may come
    /// late, and is tried again with the next change.
    func countInMarker() {
        guard let changes = register.withLock({ $0.markerDue }),
            (try? writer.files.writeMarker(changes: changes)) != nil
        else { return }
        register.withLock { $0.counted(changes) }
    }

    /// What another process of this state directory has changed since, every so often.
    func lookForOthers() {
        queue.asyncAfter(deadline: .now() + .milliseconds(settings.lookIntervalMilliseconds)) { [weak self] in
            guard let self, !state.withLock({ $0.isClosed }) else { return }
            if health.isOK, writer.hasChangedElsewhere {
                let news = attempt { () throws(StoreError) in try self.writer.read { try self.refreshBlocks($0) } }
                if let news, let news { adopt(news, marker: .present(changes: nil)) }
            }
            lookForOthers()
        }
    }
}

// What a restarted node needs to find its cluster.
extension NodeStore {
    /// The peers as last recorded, by name.
    package func peers() -> [StoredPeer] {
        known().peers.values.values.sorted { $0.name < $1.name }
    }

    /// What nodes have reported of the changes of their block lists, by name.
    package func peerChanges() -> [StoredPeerChanges] {
        known().peerChanges.values.values.sorted { $0.name < $1.name }
    }

    /// Orders to forget nodes of the cluster that stand, by name.
    package func forgottenNodes() -> [StoredNodeForget] {
        known().nodeForgets.values.values.sorted { $0.name < $1.name }
    }

    /// Writes the incarnation of a node, unless it has a higher one, and waits until it is on the disk: after a restart
    /// the node must not use one again in which others may have declared it dead.
    ///
    /// - Returns: false when it is not on the disk; memory has it all the same.
    package func setIncarnation(node: String, _ incarnation: Int) async -> Bool {
        state.withLock { $0.memory.setIncarnation(node, incarnation) }
        return await saved()
    }
}
