// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary
import Testing

@Suite("Which HSM can be done without")
struct SpareHSMTests {
    private func status(_ states: [String: HSMState], keys: [String: [String: KeyState]] = [:]) -> NodeStatus {
        let hsms = states.sorted { $0.key < $1.key }.map { name, state in
            HSMStatus(
                name: name, state: state, sinceUnixSeconds: 0, lanes: .init(open: 1, inUse: 0, overdue: 0), keys: 1,
                drained: false)
        }
        return NodeStatus(
            node: "fra-1", version: "1", draining: false, hsms: hsms,
            keys: keys.sorted { $0.key < $1.key }.map { KeyStatus(label: $0.key, canaryBy: nil, cells: $0.value) })
    }

    @Test("one of two that serve the same")
    func spare() {
        let status = status(["a": .active, "b": .degraded], keys: ["k": ["a": .proven, "b": .proven]])
        #expect(status.reason(toKeep: "a") == nil && status.reason(toKeep: "b") == nil)
    }

    @Test("not the only one that serves, and not the only one with a key")
    func needed() {
        let alone = status(["a": .active, "b": .unavailable])
        #expect(alone.reason(toKeep: "a") == "no other HSM of node fra-1 can serve")
        let keys = status(
            ["a": .active, "b": .active],
            keys: ["k": ["a": .proven, "b": .absent], "l": ["a": .proven], "m": ["a": .proven, "b": .proven]])
        #expect(keys.reason(toKeep: "a") == "key k and 1 more are served by it alone")
        #expect(keys.reason(toKeep: "b") == nil)
        // A key that it does not serve keeps it from nothing.
        let third = status(["a": .active, "b": .active, "c": .active], keys: ["k": ["a": .proven]])
        #expect(third.reason(toKeep: "b") == nil && third.reason(toKeep: "a") == "key k is served by it alone")
    }
}
