// SPDX-License-Identifier: Apache-2.0
import Foundation
import StatusVocabulary
import Testing

@Suite("The states of HSMs and keys")
struct StateTests {
    /// Files, peers and programs hold these.
    @Test("the words are these")
    func words() {
        #expect(HSMState.allCases.map(\.rawValue) == ["starting", "active", "degraded", "unavailable", "probing"])
        #expect(KeyState.allCases.map(\.rawValue) == ["proven", "unproven", "different", "absent", "unprovable"])
        #expect(HSMHealth.allCases.map(\.rawValue) == ["ACTIVE", "DEGRADED", "UNAVAILABLE"])
    }

    @Test("docs/reference/hsm-states.md explains each word")
    func documented() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/reference/hsm-states.md")
        let lines = Set(try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map(String.init))
        for state in HSMState.allCases {
            #expect(lines.contains { $0.hasPrefix("| `\(state.rawValue)` | ") }, "\(state.rawValue)")
            #expect(lines.contains("## \(state.rawValue)"), "\(state.rawValue)")
        }
        for state in KeyState.allCases {
            #expect(lines.contains { $0.hasPrefix("| \(state.rawValue) | ") }, "\(state.rawValue)")
        }
    }

    @Test("a word of a later version is told on as it came, and counts as a state in which nothing is served")
    func laterVersion() throws {
        let json = Data(#"["active","hibernating"]"#.utf8)
        let hsms = try JSONDecoder().decode([StateWord<HSMState>].self, from: json)
        #expect(hsms.map(\.state) == [.active, .unavailable])
        #expect(try JSONEncoder().encode(hsms) == json)
        #expect(hsms[0] == StateWord(.active) && hsms[1] != StateWord(.unavailable))
        #expect(StateWord<KeyState>(word: "halfway").state == .unproven)
        #expect(!HSMState.ofUnknownWord.canServe && !KeyState.ofUnknownWord.isServing)
    }

    @Test("the state that people are told follows from the router's phase and what is known besides")
    func fromPhase() {
        func state(_ phase: HSMPhase, served: Bool, failed: Bool = false, flawed: Bool = false) -> HSMState {
            HSMState(phase, hasServed: served, hasFailed: failed, isFlawed: flawed)
        }
        #expect(state(.serving, served: true) == .active)
        #expect(state(.serving, served: true, flawed: true) == .degraded)
        #expect(state(.probing, served: true) == .probing)
        #expect(state(.probing, served: false, failed: true) == .starting)
        #expect(state(.starting, served: false) == .starting)
        #expect(state(.starting, served: false, failed: true) == .unavailable)
        #expect(state(.starting, served: true) == .unavailable)
        #expect(state(.down, served: false) == .unavailable)
    }

    @Test("what KMS is told: an HSM that an operator has drained serves nobody")
    func health() {
        #expect(HSMState.allCases.filter { $0.health(isDrained: false) == .active } == [.active])
        #expect(HSMState.allCases.allSatisfy { $0.health(isDrained: true) == .unavailable })
        for state in HSMState.allCases {
            #expect((state.health(isDrained: false) == .unavailable) == !state.canServe)
        }
        #expect(HSMHealth.allCases.sorted() == [.active, .degraded, .unavailable])
    }

    @Test("the state of a key follows from the proof's verdict, and its sentence stands beside it")
    func fromVerdict() {
        let verdicts: [KeyVerdict?] = [
            nil, .proven, .unproven, .failing("CKR_GENERAL_ERROR"), .different(than: "a"),
            .unprovable("no CKA_DECRYPT"),
        ]
        #expect(
            verdicts.map { KeyState($0) } == [.absent, .proven, .unproven, .unproven, .different, .unprovable])
        #expect(
            verdicts.map { $0?.detail ?? "" }
                == ["", "", "", "CKR_GENERAL_ERROR", "not the key of a", "no CKA_DECRYPT"])
    }
}
