// SPDX-License-Identifier: Apache-2.0
import Testing
import XKSService

@Suite("What valid signatures say of the clock")
struct SignedClockTests {
    private static let second: UInt64 = 1_000_000_000

    /// What requests that came at these seconds, this node's clock minus the signer's so much each, amount to.
    private func beyond(_ strays: [(at: UInt64, skew: Int64)], fitting: UInt64? = nil) -> [Int64] {
        let clock = SignedClock()
        for stray in strays { clock.noteBeyondTolerance(at: stray.at * Self.second) { stray.skew } }
        if let fitting { clock.note(skew: 1, at: fitting * Self.second) }
        return clock.facts(now: 120 * Self.second).beyond
    }

    @Test("several requests over some seconds are told, with none in between whose time fits")
    func several() {
        let strays: [(at: UInt64, skew: Int64)] = [(100, 360), (103, 361), (106, 360), (107, 360)]
        #expect(beyond(strays) == [360, 361, 360, 360])
        #expect(beyond(strays, fitting: 104) == [], "after it they came within a second")
        #expect(beyond(strays, fitting: 99).count == 4)
        #expect(beyond(strays, fitting: 108) == [])
    }

    @Test("and so are those of a proxy under load")
    func many() {
        let clock = SignedClock()
        for count in 0..<20_000 as Range<UInt64> {
            clock.noteBeyondTolerance(at: 100 * Self.second + count * 1_000_000) { -3_600 }
        }
        let beyond = clock.facts(now: 121 * Self.second).beyond
        #expect(beyond.count >= 50 && beyond.allSatisfy { $0 == -3_600 })
    }

    @Test("one request says nothing, and neither do some at a time, or one that is sent again and again")
    func single() {
        #expect(beyond([(100, 360)]) == [])
        #expect(beyond([(100, 360), (101, -360), (102, 86_400), (103, 361)]) == [], "as `claviger certify` sends them")
        #expect(beyond((100..<115).map { (at: $0, skew: 360 + Int64($0 - 100)) }) == [], "replayed")
        #expect(beyond([(100, .min), (110, .max)]).count <= 2)
    }
}
