// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

// Which of two canaries decides, the same on all nodes, and what of a peer's canary is kept at all.

extension Canary {
    /// Longest label that keys have, bytes (`KeyDescription.label`).
    private static let longestLabel = 255

    /// True when it can be opened at all, as far as its sizes go.
    var isWellFormed: Bool {
        (1...Self.longestLabel).contains(label.text.utf8.count) && maker.utf8.count <= Self.longestLabel
            && digest.count == 32 && sealed.ciphertext.count == SealedCanary.sealedLength
            && (12...GCMProfile.longestIV).contains(sealed.initializationVector.count)
    }

    /// The same block, sealed once. Who made it when is not compared: nodes may have received it differently.
    func isSame(as other: Canary) -> Bool { sealed == other.sealed && digest == other.digest }

    /// Whether an operator's order prefers this canary to the other one; `nil` where none does.
    func isOrdered(before other: Canary) -> Bool? {
        let mine = isTrusted && history.replaces.contains(other.digest)
        let others = other.isTrusted && other.history.replaces.contains(digest)
        if mine != others { return mine }
        return isTrusted == other.isTrusted ? nil : isTrusted
    }

    /// Both are orders, and neither knew of the other.
    func contradicts(_ other: Canary) -> Bool {
        isTrusted && other.isTrusted && isOrdered(before: other) == nil
    }

    /// Which of two canaries of one key is to decide, the same on all nodes: an operator's before another's and a later
    /// order before the one that it names, then the older, then the one of the smaller digest.
    func isBetter(than other: Canary) -> Bool {
        if let isOrder = isOrdered(before: other) { return isOrder }
        if madeAt != other.madeAt { return madeAt < other.madeAt }
        if digest != other.digest { return digest.lexicographicallyPrecedes(other.digest) }
        let (mine, others) = (sealed, other.sealed)
        return (mine.initializationVector + mine.ciphertext)
            .lexicographicallyPrecedes(others.initializationVector + others.ciphertext)
    }
}

extension CanaryHistory {
    /// Cuts what a peer has said to what is kept.
    mutating func bound() {
        provers = Array(provers.lazy.filter { (1...255).contains($0.utf8.count) }.prefix(Self.mostEntries))
        replaces = Array(replaces.lazy.filter { $0.count == 32 }.prefix(Self.mostEntries))
        (rivals, servingSince, isUnconfirmed, wasContested) = ([], nil, false, false)
    }
}
