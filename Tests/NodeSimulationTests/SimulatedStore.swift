// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Gossip
import KeyProof
import LaneProtocol

/// What a node keeps of its key proof.
typealias NodeProofs = ProofRegister<KeyLabel, Canary, ForgetOrder>

/// What a node's disk holds.
struct DiskImage {
    /// The database; `nil` where it is gone, or never was.
    var blocks: BlockFile?
    var proofs: NodeProofs.File?
    /// Beside the database.
    var marker = BlockMarker.absent
    var incarnation: UInt64?
    var peers: [NodeIdentity] = []
    var changes: [String: UInt64] = [:]
}

/// A node's disk: what is written is on it a little later, in its order; a node that is killed before loses it.
final class SimulatedStore {
    /// What can be done with it from the start of a node on.
    enum State {
        case open
        /// It takes nothing, so that the database cannot be opened where it lies; a copy of it can be read.
        case full
        /// Nothing on it can be seen.
        case hidden
    }

    private(set) var disk = DiskImage()
    private(set) var state = State.open
    /// How long a write takes, nanoseconds.
    var delay: UInt64 = 50_000
    private unowned let world: World
    private var edition = 0
    private var lastEnd: UInt64 = 0
    /// What the node remembers until it can be written.
    private var waiting: [(change: (inout DiskImage) -> Void, done: (() -> Void)?)] = []

    init(world: World) { self.world = world }

    /// What a node can learn of it as it starts.
    var seen: DiskImage { state == .hidden ? DiskImage() : disk }

    /// From now on its database cannot be opened; what is to be written waits.
    func close(_ state: State) { self.state = state }

    /// It can be read and written again.
    func open() {
        state = .open
        let late = waiting
        waiting = []
        for write in late { self.write(write.change, then: write.done) }
    }

    func write(_ change: @escaping (inout DiskImage) -> Void, then done: (() -> Void)? = nil) {
        guard state == .open else { return waiting.append((change, done)) }
        let mine = edition
        lastEnd = max(lastEnd, world.now) + delay
        world.at(lastEnd) { [weak self] in
            guard let self, self.edition == mine else { return }
            change(&self.disk)
            done?()
        }
    }

    /// What was not on the disk yet never will be.
    func loseWrites() {
        edition += 1
        waiting = []
    }

    func replace(with image: DiskImage) {
        loseWrites()
        disk = image
    }
}
