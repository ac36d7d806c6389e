// SPDX-License-Identifier: Apache-2.0
import Gossip
import Testing

@Suite("Gossip: a member that reaches us, and that we cannot reach")
struct OneWayTests {
    /// Nobody's connection reaches b; b calls every 300 ms, and contradicts what it hears of itself.
    private struct OneWay {
        var solo: Solo
        var incarnation: UInt64 = 1
        /// How often b had to contradict.
        var contradictions = 0

        init() throws {
            solo = try Solo(machine(identity("a")), peers: [identity("b"), identity("c")])
            cut()
        }

        mutating func cut() {
            solo.react = { send in
                if send.destination.name == "b" { return .failure }
                return send.message.kind == .pingRequest ? .answer(.nack) : Solo.properly(send)
            }
        }

        mutating func go(on time: UInt64, isSilent: Bool = false) throws {
            let end = solo.now + time
            while solo.now < end {
                solo.run(300 * millisecond)
                guard !isSilent else { continue }
                if solo.own.member(named: "b")?.liveness != .alive {
                    incarnation += 1
                    contradictions += 1
                }
                try solo.receive(from: identity("b", incarnation: incarnation))
            }
        }

        func reports(_ isUnreached: Bool) -> Int {
            solo.events.count { if case .unreached(_, isUnreached) = $0.event { true } else { false } }
        }
    }

    /// With the case `isOneWay` taken out of `failProbe`, b contradicted 200 times in the two minutes.
    @Test("it is suspected once, then one condition says so, here and in what is told to others")
    func oneCondition() throws {
        var way = try OneWay()
        try way.go(on: 120 * second)
        #expect((1...2).contains(way.contradictions), "\(way.contradictions)")
        #expect(way.reports(true) == 1 && way.reports(false) == 0)
        #expect(way.solo.own.member(named: "b")?.liveness == .alive)
        #expect(way.solo.own.member(named: "b")?.unreachedSince != nil)
        #expect(way.solo.own.facts.unreached == ["b"])
        let choice = ForwardingChoice(
            members: way.solo.own.members, node: "a", site: "here", configuration: "same")
        #expect(choice.members(for: "foo").map(\.identity.name) == ["c"], "nothing is passed on to it")
    }

    @Test("when it falls silent it is dead in the usual time, and a few seconds")
    func death() throws {
        var way = try OneWay()
        try way.go(on: 30 * second)
        try way.go(on: 8 * second, isSilent: true)
        #expect(way.solo.own.member(named: "b")?.liveness == .dead)
        #expect(way.solo.own.facts.unreached == nil && way.reports(false) == 1)
    }

    @Test("when it can be reached again, that is said, and another failure counts as everybody's")
    func mended() throws {
        var way = try OneWay()
        try way.go(on: 30 * second)
        way.solo.react = { Solo.properly($0) }
        try way.go(on: 10 * second)
        #expect(way.reports(false) == 1 && way.solo.own.facts.unreached == nil)
        let before = way.contradictions
        way.cut()
        try way.go(on: 30 * second)
        #expect(way.contradictions > before && way.reports(true) == 2)
    }
}
