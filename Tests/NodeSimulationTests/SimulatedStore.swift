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
    private(set) var disk = DiskImage()
    /// How long a write takes, nanoseconds.
    var delay: UInt64 = 50_000
    private unowned let world: World
    private var edition = 0
    private var lastEnd: UInt64 = 0

    init(world: World) { self.world = world }

    func write(_ change: @escaping (inout DiskImage) -> Void, then done: (() -> Void)? = nil) {
        let mine = edition
        lastEnd = max(lastEnd, world.now) + delay
        world.at(lastEnd) { [weak self] in
            guard let self, self.edition == mine else { return }
            change(&self.disk)
            done?()
        }
    }

    /// What was not on the disk yet never will be.
    func loseWrites() { edition += 1 }

    func replace(with image: DiskImage) {
        loseWrites()
        disk = image
    }
}
