// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Observability
import Testing
import XKSProtocol

@Suite struct LineAllowanceTests {
    private static let second: UInt64 = 1_000_000_000

    private func address(_ number: Int) -> AddressPrefix? {
        NetworkAddress("10.0.\(number >> 8 & 255).\(number & 255)")?.prefix
    }

    private func admitted(
        _ allowance: inout LineAllowance, _ address: AddressPrefix?, _ count: Int,
        error: XKSError.Name = .authenticationFailed, at now: UInt64
    )
        -> Int
    {
        (0..<count).count { _ in allowance.admits(address, error: error, now: now) }
    }

    @Test func anAddressHasTwentyAtOnceAndOneASecond() {
        var allowance = LineAllowance()
        #expect(admitted(&allowance, address(1), 100, at: Self.second) == 20)
        #expect(admitted(&allowance, address(1), 100, at: 4 * Self.second) == 3)
        #expect(admitted(&allowance, address(1), 100, at: 100 * Self.second) == 20)
        // Another's flood is not this one's, nor is another error.
        #expect(admitted(&allowance, address(2), 5, at: 100 * Self.second) == 5)
        #expect(admitted(&allowance, address(1), 5, error: .invalidURIPath, at: 100 * Self.second) == 5)
        #expect(allowance.withheld == 80 + 97 + 80)
    }

    @Test func allAddressesTogetherHaveABound() {
        var allowance = LineAllowance()
        let first = (0..<100).reduce(0) { $0 + admitted(&allowance, address($1), 10, at: Self.second) }
        #expect(first == 200)
        #expect((100..<200).reduce(0) { $0 + admitted(&allowance, address($1), 10, at: 2 * Self.second) } == 50)
    }

    @Test func moreAddressesThanItTellsApartShareOneAllowance() {
        var allowance = LineAllowance(capacity: 2)
        #expect((0..<2).reduce(0) { $0 + admitted(&allowance, address($1), 1, at: Self.second) } == 2)
        #expect((2..<100).reduce(0) { $0 + admitted(&allowance, address($1), 1, at: Self.second) } == 20)
        // Addresses whose allowance is whole again make room.
        #expect(admitted(&allowance, address(200), 30, at: 60 * Self.second) == 20)
    }

    @Test func aClockThatStandsStillIsNoTrap() {
        var allowance = LineAllowance(capacity: 1)
        for now: UInt64 in [.max, 0, 1, .max] { _ = allowance.admits(address(Int(now & 1)), error: nil, now: now) }
        #expect(allowance.withheld == 0)
    }
}
