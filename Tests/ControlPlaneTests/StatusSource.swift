// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import Synchronization

/// A status that tests set.
final class StatusSource: NodeStatusSource {
    private let current: Mutex<NodeStatus>

    init(_ states: [HSMStatus.State], draining: Bool = false) {
        current = Mutex(NodeStatus(node: "fra-1", version: "1.2.3", draining: draining, hsms: states.map(hsm)))
    }

    func status() -> NodeStatus { current.withLock { $0 } }

    func change(_ body: (inout NodeStatus) -> Void) { current.withLock { body(&$0) } }
}

func hsm(_ state: HSMStatus.State) -> HSMStatus {
    HSMStatus(
        name: "nshield-a", tokenLabel: "xks", serial: "0123", model: "nShield \"5\"", firmware: "13.4", state: state,
        reason: state == .active ? nil : "C_Login: CKR_PIN_INCORRECT", sinceUnixSeconds: 1_700_000_000,
        lanes: .init(open: 16, inUse: 3, overdue: 1), keys: 2)
}
