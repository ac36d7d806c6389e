// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing

/// What one HSM turned out to be and to hold.
package struct HSMInventory: Sendable {
    package let name: String
    package let module: String
    package let condition: HSMCondition
    /// Why it is in that condition; empty when active.
    package let reason: String
    /// What kind of failure keeps it from serving, where its worker has said so.
    package let failure: WorkerFailureKind?
    package let identity: TokenIdentity?
    /// Labels of the keys that can serve, sorted.
    package let labels: [KeyLabel]
    /// Key objects that cannot.
    package let complaints: [CatalogueComplaint]
}

extension PoolState {
    func inventory(of hsm: Int, now: UInt64) -> HSMInventory {
        let (condition, reason) = condition(of: hsm, now: now)
        return HSMInventory(
            name: hsms[hsm].settings.name, module: hsms[hsm].settings.worker.module, condition: condition,
            reason: reason, failure: hsms[hsm].failure?.kind, identity: hsms[hsm].identity,
            labels: proof.labels(hsm: hsm), complaints: hsms[hsm].complaints)
    }
}
