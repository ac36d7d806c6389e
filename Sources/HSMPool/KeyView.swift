// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

/// What is known of the keys at one moment. Taken under the pool's lock in no time, for the tables are shared until one
/// side changes them; worked out after it, which takes milliseconds when there are thousands of keys.
struct KeyView {
    private let proof: KeyProof
    private let catalogue: KeyCatalogue
    private let useCounts: KeyUseCounts

    init(_ state: borrowing PoolState) {
        proof = state.proof
        catalogue = state.catalogue
        useCounts = state.useCounts
    }

    /// The matrix key × HSM, sorted by label.
    func matrix() -> [KeyStatus] {
        proof.matrix().map { row in
            KeyStatus(
                label: row.label, canaryMaker: row.canaryMaker, dispute: row.dispute,
                cells: row.verdicts.enumerated().map { hsm, verdict in
                    var status = KeyCellStatus(verdict)
                    status.usage = catalogue.usage(of: row.label, hsm: hsm)
                    (status.encrypts, status.decrypts) = useCounts.counts(of: row.label, hsm: hsm)
                    return status
                })
        }
    }
}

extension KeyCellStatus {
    fileprivate init(_ verdict: KeyVerdict?) {
        switch verdict {
        case nil: self.init(.absent)
        case .proven: self.init(.proven)
        case .unproven: self.init(.unproven)
        case .different(let maker): self.init(.different, detail: "not the key of \(maker)")
        case .unprovable(let reason): self.init(.unprovable, detail: reason)
        case .failing(let reason): self.init(.unproven, detail: reason)
        }
    }
}
