// SPDX-License-Identifier: Apache-2.0
import KeyProof

/// The latest value for each name, and the names whose value the file does not have yet.
struct LatestValues<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private(set) var values: [Key: Value] = [:]
    /// A name without a value stands for a deletion.
    private(set) var unsaved: Set<Key> = []

    mutating func set(_ value: Value, for key: Key) {
        values[key] = value
        unsaved.insert(key)
    }

    mutating func remove(_ key: Key) {
        values[key] = nil
        unsaved.insert(key)
    }

    /// What is to be written, and what to be deleted; both count as saved until `giveBack`.
    mutating func take() -> (changed: [Value], removed: [Key], keys: Set<Key>) {
        let keys = unsaved
        unsaved = []
        var changed: [Value] = []
        var removed: [Key] = []
        for key in keys {
            if let value = values[key] { changed.append(value) } else { removed.append(key) }
        }
        return (changed, removed, keys)
    }

    /// The write failed.
    mutating func giveBack(_ keys: Set<Key>) { unsaved.formUnion(keys) }

    /// Takes over what the file says. What is not saved yet stays. With `restoring`, the file is another than before:
    /// what it lacks stays, too, and is to be written again.
    mutating func adopt(_ fresh: [Key: Value], restoring: Bool) {
        var next = fresh
        for key in unsaved { next[key] = values[key] }
        if restoring {
            for (key, value) in values where next[key] == nil && !unsaved.contains(key) {
                next[key] = value
                unsaved.insert(key)
            }
        }
        values = next
    }
}

/// Transitions in order, the last so many of them.
struct TransitionLog: Sendable {
    private(set) var entries: [StoredTransition] = []
    let limit: Int
    /// The number of the next entry; the last entry's is one less.
    private var next = 0
    /// Entries from this number on are not saved.
    private var unsavedFrom = 0

    init(limit: Int) { self.limit = max(1, limit) }

    mutating func append(_ transition: StoredTransition) {
        entries.append(transition)
        next += 1
        if entries.count > limit { entries.removeFirst(entries.count - limit) }
    }

    /// What is not saved yet; `saved(upTo:)` is given the number when it is.
    func unsaved() -> (entries: [StoredTransition], upTo: Int) {
        (Array(entries.suffix(max(0, next - unsavedFrom))), next)
    }

    mutating func saved(upTo number: Int) { unsavedFrom = max(unsavedFrom, number) }

    /// Takes over what the file says, as `LatestValues.adopt` does.
    mutating func adopt(_ fresh: [StoredTransition], restoring: Bool) {
        let mine = restoring ? entries : unsaved().entries
        let known = Set(mine)
        entries = Array((fresh.filter { !known.contains($0) } + mine).suffix(limit))
        unsavedFrom = next - min(mine.count, entries.count)
    }
}

/// A key and an HSM.
struct KeyCellID: Hashable, Sendable {
    var label: String
    var hsm: String
}

/// Canaries, orders to forget some, and the running time, as rows.
typealias KeptProof = ProofRegister<String, StoredCanary, StoredForget>

/// What one transaction writes.
struct StoreBatch: Sendable {
    var hsms: [StoredHSM] = []
    var transitions: [StoredTransition] = []
    var keys: [StoredKey] = []
    var nodes: [StoredNode] = []
    var proof = KeptProof.Batch()
    var drained: [DrainedRow] = []
    var undrained: [String] = []
    var peers: [StoredPeer] = []
    var removedPeers: [String] = []
    var peerChanges: [StoredPeerChanges] = []
    var nodeForgets: [StoredNodeForget] = []
    var removedNodeForgets: [String] = []
    var accessKeys: [StoredAccessKey] = []
    var usesElsewhere: [StoredUsesElsewhere] = []
    /// To be added to what the file has.
    var keyUses: [StoredKeyUses] = []
    var auditHeads = AuditHeadMemory.Batch()

    /// What a loss of power must not take back once it was said to be saved.
    var mustLast: Bool {
        proof.mustLast || !drained.isEmpty || !undrained.isEmpty || !nodeForgets.isEmpty || !removedNodeForgets.isEmpty
    }

    var isEmpty: Bool {
        hsms.isEmpty && transitions.isEmpty && keys.isEmpty && nodes.isEmpty && peers.isEmpty
            && removedPeers.isEmpty && peerChanges.isEmpty && proof.isEmpty && keyUses.isEmpty && accessKeys.isEmpty
            && auditHeads.isEmpty && usesElsewhere.isEmpty && !mustLast
    }

    fileprivate var hsmNames: Set<String> = []
    fileprivate var keyCells: Set<KeyCellID> = []
    fileprivate var nodeIDs: Set<String> = []
    fileprivate var drainedNames: Set<String> = []
    fileprivate var transitionsUpTo = 0
    fileprivate var peerNames: Set<String> = []
    fileprivate var forgottenNames: Set<String> = []
    fileprivate var countedNames: Set<String> = []
    fileprivate var accessKeyIDs: Set<String> = []
    fileprivate var usesElsewhereNames: Set<StoredUsesElsewhere.Name> = []
}

/// What the store knows besides the block list (`BlockRegister`), whether or not the file can take it: bounded, and
/// coalesced by name.
struct StoreMemory: Sendable {
    private(set) var hsms = LatestValues<String, StoredHSM>()
    private(set) var keys = LatestValues<KeyCellID, StoredKey>()
    private(set) var nodes = LatestValues<String, StoredNode>()
    private(set) var proof = KeptProof()
    private(set) var drained = LatestValues<String, DrainedRow>()
    private(set) var peers = LatestValues<String, StoredPeer>()
    private(set) var peerChanges = LatestValues<String, StoredPeerChanges>()
    private(set) var nodeForgets = LatestValues<String, StoredNodeForget>()
    private(set) var keyUses = KeyUseMemory()
    private(set) var accessKeys = LatestValues<String, StoredAccessKey>()
    private var auditHeads = AuditHeadMemory()
    private(set) var usesElsewhere = LatestValues<StoredUsesElsewhere.Name, StoredUsesElsewhere>()
    private(set) var transitions: TransitionLog
    private let keysLimit: Int
    /// The file that these values come from and go to.
    private var fileID: String?

    init(_ settings: StoreSettings) {
        transitions = TransitionLog(limit: settings.transitionsInMemory)
        keysLimit = settings.keysInMemory
    }

    mutating func record(_ hsm: StoredHSM) { hsms.set(hsm, for: hsm.name) }

    mutating func record(_ transition: StoredTransition) { transitions.append(transition) }

    /// An incarnation never goes back.
    mutating func record(_ node: StoredNode) {
        var node = node
        node.incarnation = max(node.incarnation, nodes.values[node.id]?.incarnation ?? node.incarnation)
        nodes.set(node, for: node.id)
    }

    mutating func setIncarnation(_ id: String, _ incarnation: Int) {
        var node =
            nodes.values[id]
            ?? StoredNode(id: id, incarnation: incarnation, pid: 0, processStart: 0, startedUnixSeconds: 0, version: "")
        node.incarnation = incarnation
        record(node)
    }

    /// These are all.
    mutating func record(peers all: [StoredPeer]) {
        for peer in all where peers.values[peer.name] != peer { peers.set(peer, for: peer.name) }
        let names = Set(all.map(\.name))
        for name in peers.values.keys where !names.contains(name) { peers.remove(name) }
    }

    mutating func record(_ changes: [StoredPeerChanges]) {
        for change in changes where peerChanges.values[change.name] != change {
            peerChanges.set(change, for: change.name)
        }
    }

    /// These are all.
    mutating func record(forgotten all: [StoredNodeForget]) {
        for order in all where nodeForgets.values[order.name] != order { nodeForgets.set(order, for: order.name) }
        let names = Set(all.map(\.name))
        for name in nodeForgets.values.keys where !names.contains(name) { nodeForgets.remove(name) }
    }

    mutating func record(_ canary: StoredCanary) { proof.keep(canary, for: canary.label) }

    mutating func record(_ order: StoredForget) { proof.keep(order) }

    mutating func record(runningSeconds seconds: Int) { proof.noteRan(seconds: seconds) }

    mutating func removeCanary(_ label: String) { proof.drop(label) }

    mutating func record(_ key: StoredKey) {
        let cell = KeyCellID(label: key.label, hsm: key.hsm)
        guard keys.values.count < keysLimit || keys.values[cell] != nil else { return }
        keys.set(key, for: cell)
    }

    mutating func record(_ accessKey: StoredAccessKey) { accessKeys.set(accessKey, for: accessKey.accessKeyID) }

    mutating func record(_ uses: StoredUsesElsewhere) { usesElsewhere.set(uses, for: uses.name) }

    mutating func add(_ uses: [StoredKeyUses]) { keyUses.add(uses) }

    mutating func record(_ head: StoredAuditHead, replacing old: ReplacedAuditHead?) {
        auditHeads.add(head, replacing: old)
    }

    mutating func setDrained(_ hsm: String, _ isDrained: Bool, nowUnixSeconds: Int) {
        if isDrained {
            guard drained.values[hsm] == nil else { return }
            drained.set(DrainedRow(hsm: hsm, sinceUnixSeconds: nowUnixSeconds), for: hsm)
        } else {
            drained.remove(hsm)
        }
    }

    /// Everything that the file lacks.
    mutating func take() -> StoreBatch {
        var batch = StoreBatch()
        (batch.hsms, _, batch.hsmNames) = hsms.take()
        (batch.keys, _, batch.keyCells) = keys.take()
        (batch.nodes, _, batch.nodeIDs) = nodes.take()
        batch.proof = proof.take()
        (batch.drained, batch.undrained, batch.drainedNames) = drained.take()
        (batch.transitions, batch.transitionsUpTo) = transitions.unsaved()
        (batch.peers, batch.removedPeers, batch.peerNames) = peers.take()
        (batch.peerChanges, _, batch.countedNames) = peerChanges.take()
        (batch.nodeForgets, batch.removedNodeForgets, batch.forgottenNames) = nodeForgets.take()
        batch.keyUses = keyUses.take()
        (batch.accessKeys, _, batch.accessKeyIDs) = accessKeys.take()
        batch.auditHeads = auditHeads.take()
        (batch.usesElsewhere, _, batch.usesElsewhereNames) = usesElsewhere.take()
        return batch
    }

    mutating func wrote(_ batch: StoreBatch) {
        proof.wrote(batch.proof)
        transitions.saved(upTo: batch.transitionsUpTo)
    }

    /// The batch was not written. A value recorded since then is newer, and stays.
    mutating func giveBack(_ batch: StoreBatch) {
        hsms.giveBack(batch.hsmNames)
        keys.giveBack(batch.keyCells)
        nodes.giveBack(batch.nodeIDs)
        proof.giveBack(batch.proof)
        drained.giveBack(batch.drainedNames)
        peers.giveBack(batch.peerNames)
        peerChanges.giveBack(batch.countedNames)
        nodeForgets.giveBack(batch.forgottenNames)
        keyUses.giveBack(batch.keyUses)
        accessKeys.giveBack(batch.accessKeyIDs)
        auditHeads.giveBack(batch.auditHeads)
        usesElsewhere.giveBack(batch.usesElsewhereNames)
    }

    /// Takes over what a file says. From another file than the last, what it lacks is to be written again.
    mutating func adopt(_ contents: StoreRows) {
        let restoring = fileID != nil && fileID != contents.id
        fileID = contents.id
        hsms.adopt(Dictionary(contents.hsms, by: \.name), restoring: restoring)
        keys.adopt(
            Dictionary(contents.keys, by: { KeyCellID(label: $0.label, hsm: $0.hsm) }), restoring: restoring)
        nodes.adopt(Dictionary(contents.nodes, by: \.id), restoring: restoring)
        let kept = KeptProof.File(
            canaries: Dictionary(contents.canaries, by: \.label), forgets: Set(contents.forgets),
            ranSeconds: contents.runningSeconds)
        proof.adopt(kept, isAnother: restoring)
        drained.adopt(Dictionary(contents.drained, by: \.hsm), restoring: restoring)
        transitions.adopt(contents.transitions, restoring: restoring)
        peers.adopt(Dictionary(contents.peers, by: \.name), restoring: restoring)
        peerChanges.adopt(Dictionary(contents.peerChanges, by: \.name), restoring: restoring)
        nodeForgets.adopt(Dictionary(contents.nodeForgets, by: \.name), restoring: restoring)
        keyUses.adopt(contents.keyUses, restoring: restoring)
        accessKeys.adopt(Dictionary(contents.accessKeys, by: \.accessKeyID), restoring: restoring)
        usesElsewhere.adopt(Dictionary(contents.usesElsewhere, by: \.name), restoring: restoring)
    }
}

extension Dictionary {
    init(_ values: [Value], by key: (Value) -> Key) {
        self.init(values.map { (key($0), $0) }, uniquingKeysWith: { _, last in last })
    }
}
