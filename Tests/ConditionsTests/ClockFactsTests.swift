// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Conditions
import StatusVocabulary
import Testing

@Suite("A clock that is off")
struct ClockFactsTests {
    private func condition(_ facts: ClockFacts) -> Condition? {
        NodeStatus(node: "n", version: "1", draining: false, hsms: [hsm(.active)])
            .judged(NodeCircumstances(clock: facts)).conditions.first
    }

    @Test("what most peers say counts, from two seconds on")
    func peers() {
        #expect(condition(ClockFacts(peers: ["a": 1_900, "b": 1_999])) == nil)
        #expect(condition(ClockFacts(peers: ["a": 5_000, "b": 20, "c": -10])) == nil, "then it is a's clock")
        #expect(condition(ClockFacts(peers: ["a": 5_000, "b": -5_000])) == nil, "they do not agree")
        let behind = condition(ClockFacts(peers: ["a": 3_600_000, "b": 3_600_400, "c": 10]))
        #expect(behind?.code == "clock-off" && behind?.severity == .warning)
        #expect(behind?.text.contains("3600 s ahead") == true, "\(behind?.text ?? "")")
        #expect(condition(ClockFacts(peers: ["a": -7_000]))?.text.contains("7 s behind") == true)
    }

    @Test("the time that KMS signs is told when it is off by more than requests wait")
    func signed() {
        #expect(condition(ClockFacts(tolerated: 14)) == nil && condition(ClockFacts(tolerated: -14)) == nil)
        #expect(condition(ClockFacts(tolerated: 120))?.text.contains("120 s behind") == true)
        let late = condition(ClockFacts(beyond: [3_600, 3_601, 3_602]))
        #expect(late?.severity == .warning)
        #expect(late?.text.contains("is off, or requests are held back or replayed on their way:") == true)
        #expect(condition(ClockFacts(peers: ["a": -7_000]))?.text.contains("replayed") == false)
    }

    @Test("one request, or some that do not agree, decide nothing")
    func few() {
        #expect(condition(ClockFacts(beyond: [360])) == nil)
        #expect(condition(ClockFacts(tolerated: 0, beyond: [360])) == nil)
        #expect(condition(ClockFacts(beyond: [360, -360, 86_400])) == nil, "as `claviger certify` signs them")
        #expect(condition(ClockFacts(tolerated: 0, beyond: [3_600, 3_601, 3_602]))?.severity == .warning)
    }

    // 16631be: a node whose clock was an hour off answered 401 to everything, and was ready and ACTIVE.
    @Test("a node is not ready only when signatures and most peers agree that it is beyond the tolerance")
    func critical() {
        let peers: [String: Int64] = ["a": 3_600_000, "b": 3_600_010, "c": 3_599_990]
        #expect(condition(ClockFacts(peers: peers, beyond: [-3_600, -3_599, -3_601]))?.severity == .critical)
        // One alone is not believed.
        #expect(condition(ClockFacts(peers: peers))?.severity == .warning)
        #expect(condition(ClockFacts(beyond: [-3_600, -3_599, -3_601]))?.severity == .warning)
        #expect(condition(ClockFacts(peers: peers, beyond: [-3_600, -3_599]))?.severity == .warning, "too few")
        #expect(
            condition(ClockFacts(peers: peers, beyond: [-3_600, -3_599, -900]))?.severity == .warning, "no agreement")
        #expect(
            condition(ClockFacts(peers: peers, tolerated: 0, beyond: [-3_600, -3_599, -3_601]))?.severity == .warning,
            "some were in time")
        let near = peers.mapValues { $0 / 100 }
        #expect(condition(ClockFacts(peers: near, beyond: [-3_600, -3_599, -3_601]))?.severity == .warning)
        #expect(condition(ClockFacts(beyond: [.min, .max, 0])) == nil)
    }
}
