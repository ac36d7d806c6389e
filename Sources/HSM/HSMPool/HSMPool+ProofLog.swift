// SPDX-License-Identifier: Apache-2.0
import Glibc
import KeyProof
import Logging
import Routing

// Each check of a key leaves a line in the log, so that in the HSM's own audit log an auditor can distinguish
// Claviger's own operations from KMS's.

extension HSMPool {
    /// Says what has come of rounds that had more proofs than lines.
    func reportRounds() {
        for round in rounds.withLock({ $0.ended(now: monotonicNanoseconds()) }) {
            logger.info(
                "keys proven",
                metadata: [
                    "hsm": "\(round.hsm)", "proven": "\(round.keysProven)", "canaries": "\(round.canariesMade)",
                ])
        }
    }

    private func level(of proof: ProofRounds.Proof, hsm: String) -> Logger.Level {
        rounds.withLock { $0.counts(proof, of: hsm, now: monotonicNanoseconds()) } ? .info : .debug
    }

    func log(_ news: ProofNews) {
        switch news {
        case .canaryMade(let label, let hsm):
            logger.log(
                level: self.level(of: .canaryMade, hsm: hsm), "key canary made",
                metadata: ["key": "\(label)", "hsm": "\(hsm)"])
        case .proven(let label, let hsm, let maker):
            logger.log(
                level: self.level(of: .keyProven, hsm: hsm), "key proven",
                metadata: ["key": "\(label)", "hsm": "\(hsm)", "canary_of": "\(maker)"])
        case .differs(let label, let hsm, let maker):
            logger.error(
                "KEY DIFFERS: this HSM holds another key under the same label, and never serves it",
                metadata: ["key": "\(label)", "hsm": "\(hsm)", "canary_of": "\(maker)"])
        case .disputed(let label, let hsm, let maker):
            logger.error(
                "KEY DISPUTED: two HSMs hold different keys under the same label; refused everywhere",
                metadata: [
                    "key": "\(label)", "hsm": "\(hsm)", "other_hsm": "\(maker)",
                    "mend": "claviger key trust \(label) --hsm NAME",
                ])
        case .vanished(let label, let hsm):
            logger.error("key vanished from an HSM", metadata: ["key": "\(label)", "hsm": "\(hsm)"])
        case .checkFailed(let label, let hsm, let reason):
            logger.warning(
                "key check failed", metadata: ["key": "\(label)", "hsm": "\(hsm)", "reason": "\(reason)"])
        case .adopted(let label, let node, let maker):
            logger.notice(
                "key proven by a peer's canary from now on",
                metadata: ["key": "\(label)", "node": "\(node)", "canary_of": "\(maker)"])
        case .disagrees(let label, let node, let hsm):
            logger.error(
                "KEY DIFFERS BETWEEN NODES: this HSM does not open the canary of a peer",
                metadata: [
                    "key": "\(label)", "hsm": "\(hsm)", "node": "\(node)",
                    "mend": "claviger key trust \(label) --hsm NAME, on the node that holds the right key",
                ])
        case .swapped(let label, let hsm, let lastOpened, let found):
            let now = monotonicNanoseconds()
            let wall = Int64(time(nil))
            logger.error(
                "KEY SWAPPED: what this HSM has encrypted in between may be under the other key, and is lost with it",
                metadata: [
                    "key": "\(label)", "hsm": "\(hsm)",
                    "last_right_unix_seconds":
                        "\(wall - Int64(clamping: (now - min(lastOpened, now)) / 1_000_000_000))",
                    "found_unix_seconds": "\(wall - Int64(clamping: (now - min(found, now)) / 1_000_000_000))",
                ])
        case .several(let label, let hsm, let count):
            logger.warning(
                "several keys of one label on a token: the one that opens the canary is taken",
                metadata: ["key": "\(label)", "hsm": "\(hsm)", "objects": "\(count)"])
        case .ordersDisagree(let label, let node):
            logger.error(
                "KEY DISPUTED: orders at two nodes trust different keys; refused everywhere",
                metadata: [
                    "key": "\(label)", "node": "\(node)", "mend": "claviger key trust \(label) --hsm NAME, once more",
                ])
        case .decidedAlone(let label):
            logger.warning(
                "key decided by this node alone: no other node could be asked whether it holds the same one",
                metadata: ["key": "\(label)"])
        case .forgotten(let label, let author):
            logger.notice("key forgotten by an order", metadata: ["key": "\(label)", "author": "\(author)"])
        case .trusted(let label, let hsm):
            logger.notice("key trusted by an operator", metadata: ["key": "\(label)", "hsm": "\(hsm)"])
        }
    }
}
