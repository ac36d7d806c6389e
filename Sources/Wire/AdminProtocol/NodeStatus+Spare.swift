// SPDX-License-Identifier: Apache-2.0

extension NodeStatus {
    /// Why this node cannot do without an HSM for a while: a sentence that names what nobody else here serves; `nil` where it
    /// can.
    package func reason(toKeep hsm: String) -> String? {
        guard hsms.contains(where: { $0.name != hsm && $0.canServe }) else {
            return "no other HSM of node \(node) can serve"
        }
        let alone = keys.filter { key in
            key.disputed == nil && key.cells[hsm]?.isServing == true
                && hsms.contains { $0.name == hsm && $0.canServe } && spareHSMs(of: key) < 1
        }
        guard let first = alone.first else { return nil }
        let more = alone.count > 1 ? " and \(alone.count - 1) more are served by it alone" : " is served by it alone"
        return "key \(first.label)\(more)"
    }
}
