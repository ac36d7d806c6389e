// SPDX-License-Identifier: Apache-2.0
import Gossip
import KeyProof
import LaneProtocol
import Routing
import StatusVocabulary

// From what the pool and the key proof say to what nodes send each other, and back.

extension NodeFacts {
    /// - Parameter unserved: labels of all keys that this node offers and cannot serve at the moment, in order.
    init(
        isDraining: Bool, version: String, configuration: String, canaries: String, blocks: String,
        blockChanges: UInt64?, inFlight: UInt32, encrypts: UInt64, decrypts: UInt64, hsms: [HSMFact],
        unserved: [KeyLabel], reads: FormatVersions, activatedFormat: UInt8, room: SpareRoom?,
        refusedCertificates: String?, conditions: [Condition], certificateEnd: Int64?, credentials: [AccessKeyUse]?,
        keyUses: [KeyEncryptions]?
    ) {
        self.init(
            isDraining: isDraining, version: version, configuration: configuration, canaries: canaries, blocks: blocks,
            blockChanges: blockChanges, inFlight: inFlight, encrypts: encrypts, decrypts: decrypts, hsms: hsms,
            reads: reads, activatedFormat: activatedFormat, room: room.map(NodeRoom.init),
            refusedCertificates: refusedCertificates, conditions: conditions.isEmpty ? nil : conditions,
            certificateEnd: certificateEnd, credentials: credentials, keyUses: keyUses)
        setUnserved(unserved.map(\.text))
    }
}

extension NodeRoom {
    init(_ room: SpareRoom) {
        self.init(perSecond: UInt32(clamping: room.perSecond), callMicroseconds: UInt32(clamping: room.call / 1_000))
    }
}

extension HSMFact {
    init(_ hsm: PoolHSM) {
        self.init(
            name: hsm.shown.name, serial: hsm.identity?.serial ?? "", manufacturer: hsm.identity?.manufacturer ?? "",
            model: hsm.identity?.model ?? "", firmware: hsm.identity?.firmware ?? "", state: hsm.shown.state,
            isDrained: hsm.shown.drained)
    }
}

extension SharedCanary {
    init(_ canary: Canary, node: String) {
        self.init(
            label: canary.label.text, iv: canary.sealed.initializationVector, ciphertext: canary.sealed.ciphertext,
            digest: canary.digest, maker: canary.maker, node: node, madeAt: canary.madeAt,
            isTrusted: canary.isTrusted, provers: canary.history.provers,
            isProvisional: canary.history.isProvisional,
            replaces: canary.history.replaces.isEmpty ? nil : canary.history.replaces,
            outlived: canary.history.outlived, excludes: canary.history.excludes ? true : nil)
    }
}

extension Canary {
    init(_ shared: SharedCanary) {
        self.init(
            label: KeyLabel(shared.label),
            sealed: SealedCanary(initializationVector: shared.iv, ciphertext: shared.ciphertext),
            digest: shared.digest, maker: shared.maker, madeAt: shared.madeAt, isTrusted: shared.isTrusted,
            history: CanaryHistory(
                // A version that does not send them sends canaries that its HSMs have opened.
                provers: shared.provers ?? [shared.maker], isProvisional: shared.isProvisional ?? false,
                replaces: shared.replaces ?? [], outlived: shared.outlived,
                excludes: shared.excludes ?? false))
    }
}

extension SharedForget {
    init(_ order: ForgetOrder) {
        self.init(label: order.label.text, canaries: order.canaries, givenAt: order.givenAt, author: order.author)
    }
}

extension ForgetOrder {
    init(_ shared: SharedForget) {
        self.init(
            label: KeyLabel(shared.label), canaries: shared.canaries, givenAt: shared.givenAt, author: shared.author)
    }
}
