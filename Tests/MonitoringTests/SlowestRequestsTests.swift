// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Monitoring
import Testing
import XKSProtocol

@Suite struct SlowestRequestsTests {
    private static let second: UInt64 = 1_000_000_000
    private let slowest = SlowestRequests()

    /// - Parameters:
    ///   - second: when it was answered.
    ///   - milliseconds: how long it took.
    private func answer(at second: UInt64, _ milliseconds: UInt64, _ change: (inout RequestTrace) -> Void = { _ in }) {
        var trace = RequestTrace()
        trace.operation = .encrypt
        trace.keyStore = "/bank"
        trace.accessKeyID = "A"
        trace.receivedAt = second * Self.second - milliseconds * 1_000_000
        trace.totalMicroseconds = milliseconds * 1_000
        change(&trace)
        slowest.answered(trace)
    }

    private func milliseconds(at second: UInt64) -> [UInt64] {
        slowest.slowest(now: second * Self.second).map { $0.totalMicroseconds / 1_000 }
    }

    @Test func theSlowestOfTheLastMinuteAreKept() {
        for second in 100..<160 as Range<UInt64> {
            for fast in 0..<50 as Range<UInt64> { answer(at: second, fast) }
            answer(at: second, 1_000 + second)
        }
        #expect(milliseconds(at: 160) == (1_140...1_159).reversed())
        // Whatever window they fell in, they go a minute after their end.
        #expect(milliseconds(at: 210).first == 1_159 && milliseconds(at: 210).prefix(9).last == 1_151)
        #expect(milliseconds(at: 210).prefix(10).last == 49)
        #expect(milliseconds(at: 300) == [])
    }

    @Test func aFastRequestComesInWhereThereIsRoom() {
        answer(at: 100, 3)
        answer(at: 100, 1)
        #expect(milliseconds(at: 101) == [3, 1])
        for _ in 0..<30 { answer(at: 101, 2) }
        #expect(milliseconds(at: 102) == [3] + [UInt64](repeating: 2, count: 19))
    }

    /// They take as long as their sender wants, and would push out what matters.
    @Test func strangersAreLeftOut() {
        answer(at: 100, 5_000) { $0.accessKeyID = nil }
        answer(at: 100, 7)
        #expect(milliseconds(at: 101) == [7])
    }

    @Test func itIsSaidWhereTheTimeWent() throws {
        answer(at: 100, 200) { trace in
            trace.waitedMicroseconds = 30_000
            trace.hsmMicroseconds = 60_000
            trace.passedOnMicroseconds = 100_000
            trace.isHedged = true
            trace.attempts = 2
            trace.hsm = "a"
            trace.forwardedTo = "iad-1"
            trace.error = .throttling
        }
        let slow = try #require(slowest.slowest(now: 103 * Self.second).first)
        #expect(slow.otherMicroseconds == 10_000 && slow.endedMicrosecondsAgo == 3_000_000)
        #expect(slow.peerMicroseconds == 100_000 && slow.forwardedTo == "iad-1")
        #expect(slow.hedged && slow.attempts == 2 && slow.outcome == "ThrottlingException")
    }
}
