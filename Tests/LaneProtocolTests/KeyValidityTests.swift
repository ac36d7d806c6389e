// SPDX-License-Identifier: Apache-2.0
import Chance
import LaneProtocol
import Testing

@Suite("Key validity")
struct KeyValidityTests {
    @Test("both days belong to the time, and a missing one is no bound")
    func bounds() {
        let both = KeyValidity(start: 2026_01_31, end: 2026_03_01)
        for (day, isValid) in [
            (2026_01_30, false), (2026_01_31, true), (2026_02_15, true), (2026_03_01, true), (2026_03_02, false),
        ] as [(UInt32, Bool)] {
            #expect(both.contains(day: day) == isValid, "\(day)")
        }
        let (open, closed) = (KeyValidity(start: 2026_01_31), KeyValidity(end: 2026_01_31))
        #expect(!open.contains(day: 2026_01_30) && open.contains(day: 9999_12_31))
        #expect(closed.contains(day: 1_01_01) && !closed.contains(day: 2026_02_01))
        #expect(KeyValidity().contains(day: 0) && KeyValidity().contains(day: .max))
        #expect(KeyValidity().isUnbounded && !open.isUnbounded && !closed.isUnbounded && !both.isUnbounded)
        let never = KeyValidity(start: 2026_02_01, end: 2026_01_31)
        #expect(!never.contains(day: 2026_01_31) && !never.contains(day: 2026_02_01))
    }

    @Test("what two copies of a key allow is what both allow")
    func intersection() {
        let days: [UInt32?] = [nil, 2026_01_01, 2026_01_02, 2026_01_03, 2026_01_04]
        let all = days.flatMap { start in days.map { KeyValidity(start: start, end: $0) } }
        for one in all {
            for other in all {
                let both = one.intersection(other)
                #expect(both == other.intersection(one))
                for day: UInt32 in [2025_12_31, 2026_01_01, 2026_01_02, 2026_01_03, 2026_01_04, 2026_01_05] {
                    #expect(both.contains(day: day) == (one.contains(day: day) && other.contains(day: day)))
                }
            }
            #expect(one.intersection(KeyValidity()) == one)
        }
    }

    @Test("a number is a day exactly when the calendar has it")
    func calendar() {
        let lengths: [UInt32] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        for year: UInt32 in [1, 4, 100, 400, 1900, 1999, 2000, 2023, 2024, 2100, 9999] {
            for month: UInt32 in 0...13 {
                for day: UInt32 in 0...32 {
                    var last = (1...12).contains(month) ? lengths[Int(month) - 1] : 0
                    if month == 2, [4, 400, 2000, 2024].contains(year) { last = 29 }
                    let number = year * 10_000 + month * 100 + day
                    #expect(KeyValidity.day(number) == ((1...last + 1).dropLast().contains(day) ? number : nil))
                }
            }
        }
        for number: UInt32 in [0, 1, 101, 1_00_01, 10_000_01_01, .max] {
            #expect(KeyValidity.day(number) == (number == 1_01_01 ? number : nil), "\(number)")
        }
    }

    @Test("a CK_DATE reads as the day that it was written from")
    func roundTrip() {
        for day: UInt32 in [1_01_01, 999_12_31, 1970_01_01, 2024_02_29, 2026_11_30, 9999_12_31] {
            let date = KeyValidity.date(day)
            #expect(date.count == 8 && KeyValidity.day(date) == day)
        }
        #expect(KeyValidity.date(2026_01_02) == Array("20260102".utf8))
        #expect(KeyValidity.date(7_01_02) == Array("00070102".utf8))
    }

    @Test(
        "an empty or malformed CK_DATE is as none",
        arguments: [
            "", "2026010", "202601011", "00000000", "20261301", "20260001", "20260100", "20260132", "20230229",
            "19000229", "2026-1-1", "+2026010", "2026 101", "        ", "2O260101", "２０２６",
        ])
    func malformed(text: String) {
        #expect(KeyValidity.day(Array(text.utf8)) == nil)
        #expect(KeyValidity.day(Array(text.utf8)[...]) == nil)
    }

    @Test("whatever bytes and numbers come, nothing traps, and what is a day is one both ways")
    func hostile() {
        var random = RandomChoice(seed: 0x6B76)
        var days = 0
        for _ in 0..<5_000 {
            let bytes = (0..<Int.random(in: 7...9, using: &random)).map { _ in
                Int.random(in: 0..<50, using: &random) == 0
                    ? UInt8.random(in: .min ... .max, using: &random) : UInt8.random(in: 0x30...0x33, using: &random)
            }
            if let day = KeyValidity.day(bytes) {
                days += 1
                #expect(KeyValidity.date(day) == bytes)
            }
            let number = UInt32.random(in: .min ... .max, using: &random)
            #expect(KeyValidity.date(number).allSatisfy { (0x30...0x39).contains($0) })
            #expect(KeyValidity.day(number) == nil || KeyValidity.day(KeyValidity.date(number)) == number)
        }
        #expect(KeyValidity.date(.max).count == 8 && days > 100)
    }
}
