// SPDX-License-Identifier: Apache-2.0
import KeyProof
import LaneProtocol
import Routing

/// What is known of the keys at one moment. Taken under the pool's lock in no time, for the tables are shared until one
/// side changes them; worked out after it, which takes milliseconds when there are thousands of keys.
struct KeyView {
    private let proof: KeyProof
    private let useCounts: KeyUseCounts
    /// Those of the configuration, in its order: place and name.
    private let hsms: [(place: Int, name: String)]

    init(_ state: borrowing PoolState) {
        proof = state.proof
        useCounts = state.useCounts
        hsms = state.shown.map { ($0, state.hsms[$0].settings.name) }
    }

    /// The matrix key × HSM, sorted by label.
    func matrix() -> [KeyStatus] {
        proof.matrix().map { row in
            KeyStatus(
                label: row.label, canaryMaker: row.canaryMaker, dispute: row.dispute, complaints: row.complaints,
                cells: hsms.map { hsm, name in
                    var status = KeyCellStatus(
                        row.verdicts.indices.contains(hsm) ? row.verdicts[hsm] : nil, hsm: name)
                    status.usage = proof.usage(of: row.label, hsm: hsm)
                    let uses = useCounts.counts(of: row.label, hsm: hsm)
                    (status.encrypts, status.decrypts) = (uses.encrypts, uses.decrypts)
                    return status
                })
        }
    }
}

extension KeyCellStatus {
    fileprivate init(_ verdict: KeyVerdict?, hsm: String) {
        switch verdict {
        case nil: self.init(.absent, hsm: hsm)
        case .proven: self.init(.proven, hsm: hsm)
        case .unproven: self.init(.unproven, hsm: hsm)
        case .different(let maker): self.init(.different, hsm: hsm, detail: "not the key of \(maker)")
        case .unprovable(let reason): self.init(.unprovable, hsm: hsm, detail: reason)
        case .failing(let reason): self.init(.unproven, hsm: hsm, detail: reason)
        }
    }
}
