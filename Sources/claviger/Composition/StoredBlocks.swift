// SPDX-License-Identifier: Apache-2.0
import AccessControl
import NodeStore

// The block list between memory and store.

extension BlockList {
    /// What a store held. A row that cannot be a block is a damage: what the list was is then not known.
    init(_ stored: StoredBlockList) {
        var blocks: [Block] = []
        var lifts: [BlockLift] = []
        var damage: String?
        for row in stored.blocks {
            do throws(BlockError) {
                let block = Block(
                    id: row.id, target: try BlockTarget(kind: row.targetKind, value: row.targetValue),
                    reason: row.reason, madeAt: Int64(row.madeUnixSeconds),
                    expiresAt: row.expiresUnixSeconds.map(Int64.init), madeBy: row.madeBy)
                try block.validate()
                blocks.append(block)
            } catch {
                damage = "the store holds a block that cannot be read: \(error)"
            }
        }
        for row in stored.lifts {
            let lift = BlockLift(id: row.id, liftedAt: Int64(row.liftedUnixSeconds), liftedBy: row.liftedBy)
            do throws(BlockError) {
                try lift.validate()
                lifts.append(lift)
            } catch {
                damage = "the store holds a lift that cannot be read: \(error)"
            }
        }
        var unknown: String?
        if case .unknown(let reason) = stored.condition { unknown = reason }
        self.init(blocks: blocks, lifts: lifts, unknown: unknown ?? damage)
    }
}

extension StoredBlockList {
    init(_ list: BlockList) {
        self.init(
            blocks: list.blocks.values.map { block in
                StoredBlock(
                    id: block.id, targetKind: block.target.kind, targetValue: block.target.value,
                    reason: block.reason, madeBy: block.madeBy, madeUnixSeconds: Int(clamping: block.madeAt),
                    expiresUnixSeconds: block.expiresAt.map { Int(clamping: $0) })
            },
            lifts: list.lifts.values.map { lift in
                StoredBlockLift(
                    id: lift.id, liftedBy: lift.liftedBy, liftedUnixSeconds: Int(clamping: lift.liftedAt))
            },
            condition: list.unknown.map { .unknown(reason: $0) } ?? .known)
    }
}
