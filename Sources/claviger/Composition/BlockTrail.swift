// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Logging

// What the log says of the block list: who blocked and lifted what, and whether the list is whole.
extension BlockBook {
    func warn(of knowledge: BlockKnowledge) {
        guard let reason = knowledge.doubt else { return }
        logger.error(
            "block list unknown: every request is refused",
            metadata: [
                "reason": "\(reason)",
                "mend": "peers tell it; where no node has one: claviger cluster bootstrap",
            ])
    }

    func note(_ merge: BlockMerge, by source: String, node: String) {
        let list = current()
        for block in merge.newBlocks where list.lifts[block.id] == nil {
            audit("blocked", block, by: "\(block.madeBy), \(source)")
        }
        for lift in merge.newLifts {
            guard let block = list.blocks[lift.id] else { continue }
            audit("unblocked", block, by: "\(lift.liftedBy), \(source)")
        }
        if merge.contradictions > 0 {
            logger.error(
                "a block list contradicts this one's: two blocks with one id",
                metadata: ["node": "\(node)", "blocks": "\(merge.contradictions)"])
        }
        if merge.refused > 0 || merge.strayLifts > 0 {
            logger.error(
                "orders of a peer are refused: lifts of blocks that nobody has made, or more orders than a list holds",
                metadata: ["node": "\(node)", "orders": "\(merge.refused)", "lifts": "\(merge.strayLifts)"])
        }
        if merge.forgotten > 0 {
            logger.warning(
                "the oldest lifted blocks are forgotten: the list is full of them",
                metadata: ["blocks": "\(merge.forgotten)"])
        }
    }

    /// The audit trail: who, when (the line's time), what and why.
    func audit(_ what: String, _ block: Block, by user: String) {
        logger.notice(
            "break glass",
            metadata: [
                "action": "\(what)", "target": "\(block.target.options)", "by": "\(user)", "reason": "\(block.reason)",
                "block": "\(block.id)",
            ])
    }
}
