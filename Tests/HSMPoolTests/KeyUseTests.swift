// SPDX-License-Identifier: Apache-2.0
import HSMPool
import KeyProof
import LaneProtocol
import Routing
import Testing

@Suite("The uses of keys")
struct KeyUseTests {
    private let quarter = KeyUseLimit.encrypts / 4

    /// Without what earlier processes have counted nothing was reached: a node that is restarted each month never was there.
    @Test("earlier processes count, each use is reported once, and each quarter of the limit is news")
    func noted() {
        var noted = NotedUses(earlier: ["k": KeyUses(encrypts: quarter - 5, decrypts: 7)])
        let first = noted.note(["k": KeyUses(encrypts: 4, decrypts: 1), "other": KeyUses(encrypts: 1)])
        #expect(first.new == ["k": KeyUses(encrypts: 4, decrypts: 1), "other": KeyUses(encrypts: 1)])
        #expect(first.reached.isEmpty)
        let second = noted.note(["k": KeyUses(encrypts: 5, decrypts: 1), "other": KeyUses(encrypts: 1)])
        #expect(second.new == ["k": KeyUses(encrypts: 1)])
        #expect(second.reached.map(\.label) == ["k"] && second.reached.map(\.encrypts) == [quarter])
        let third = noted.note(["k": KeyUses(encrypts: 6, decrypts: 1), "other": KeyUses(encrypts: 1)])
        #expect(third.new == ["k": KeyUses(encrypts: 1)] && third.reached.isEmpty, "said once")
        #expect(noted.total(of: "k", own: KeyUses(encrypts: 6)) == KeyUses(encrypts: quarter + 1, decrypts: 7))
        let jump = noted.note(["k": KeyUses(encrypts: 3 * quarter), "other": KeyUses(encrypts: 1)])
        #expect(jump.reached.map(\.encrypts) == [4 * quarter - 5])
    }

    @Test("what was reached before a start is said again after it, when the key is used")
    func again() {
        var noted = NotedUses(earlier: ["k": KeyUses(encrypts: 2 * quarter)])
        let steps: [[KeyLabel: KeyUses]] = [[:], ["k": KeyUses(encrypts: 1)], ["k": KeyUses(encrypts: 2)]]
        let reached = steps.map { noted.note($0).reached.map(\.encrypts) }
        #expect(reached == [[], [2 * quarter + 1], []])
    }
}
