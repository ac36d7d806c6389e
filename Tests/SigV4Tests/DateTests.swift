// SPDX-License-Identifier: Apache-2.0
import SigV4
import Testing

@Suite struct DateTests {
    /// What is said to a request of `date`, signed rightly, at `now`.
    private func refusal(_ date: String, now: Int64) throws -> AuthenticationFailure? {
        var scenario = Scenario()
        scenario.date = date
        let day = date.prefix(8)
        // A scope cannot hold anything but eight digits.
        if day.utf8.count == 8, day.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            scenario.scopeDate = String(day)
        }
        return try scenario.refusal(now: now)
    }

    @Test(arguments: [
        "20230230T000000Z", "20230229T000000Z", "21000229T000000Z", "20230431T000000Z", "20230631T000000Z",
        "20230931T000000Z", "20231131T000000Z", "20230132T000000Z", "20230100T000000Z", "20230001T000000Z",
        "20231301T000000Z", "20231114T240000Z", "20231114T226000Z", "20231114T221360Z", "20161231T235960Z",
        "00000101T000000Z", "99999999T999999Z", "00000000T000000Z",
    ])
    func momentsThatDoNotExist(date: String) throws {
        #expect(try refusal(date, now: Scenario.now) == .malformedDate)
    }

    @Test(arguments: [
        "", "Z", "20231114", "20231114T221320", "20231114T221320z", "20231114t221320Z", "20231114 221320Z",
        "2023-11-14T22:13:20Z", "20231114T221320Z0", "20231114T22132 Z", "+0231114T221320Z", "2023111４T22132Z",
        "20231114T221320ZZ", "Tue, 14 Nov 2023 22:13:20 GMT", "1700000000",
    ])
    func otherForms(date: String) throws {
        #expect(try refusal(date, now: Scenario.now) == .malformedDate)
    }

    /// Unix times by `date -u -d … +%s`.
    @Test(arguments: [
        ("19700101T000000Z", 0 as Int64), ("19691231T235959Z", -1), ("20240229T235959Z", 1_709_251_199),
        ("20000229T000000Z", 951_782_400), ("20001231T235959Z", 978_307_199), ("20010301T000000Z", 983_404_800),
        ("00010101T000000Z", -62_135_596_800), ("99991231T235959Z", 253_402_300_799),
        ("20380119T031408Z", 2_147_483_648), ("19000301T000000Z", -2_203_891_200),
    ])
    func theCalendar(date: String, unixSeconds: Int64) throws {
        // Exactly the tolerance on either side shows that the second is right.
        #expect(try refusal(date, now: unixSeconds) == nil)
        #expect(try refusal(date, now: unixSeconds + 300) == nil)
        #expect(try refusal(date, now: unixSeconds - 300) == nil)
        #expect(try refusal(date, now: unixSeconds + 301) == .clockSkew(seconds: 301, tolerance: 300))
        #expect(try refusal(date, now: unixSeconds - 301) == .clockSkew(seconds: -301, tolerance: 300))
    }

    /// The signer writes dates by the reverse calculation: over 400 years the two must agree.
    @Test func fourHundredYears() throws {
        let signer = SigV4Signer(credential: try Scenario.credential(), region: "eu-central-1")
        let verifier = try Scenario.verifier()
        let scenario = Scenario()
        var previous = ""
        for day in stride(from: Int64(-11_000), to: 135_500, by: 41) {
            let now = day * 86_400 + 3_723
            let request = scenario.request(authorization: [])
            let headers = try signer.sign(
                method: request.method, target: request.target, headers: [scenario.headers[0]], body: request.body,
                now: now)
            let date = try #require(headers.first { $0.name == "x-amz-date" }).value
            #expect(date > previous && date.hasSuffix("T010203Z"))
            previous = date
            var signed = request
            signed.headers = headers
            #expect(refusalOf(signed, by: verifier, now: now) == nil)
        }
    }

    @Test(arguments: [Int64.min, Int64.min + 1, -1, 0, Int64.max - 1, Int64.max])
    func anyClock(now: Int64) throws {
        guard case .clockSkew(let seconds, _) = try Scenario().refusal(now: now) else {
            Issue.record("a clock at \(now) must be refused")
            return
        }
        #expect((seconds > 0) == (now > Scenario.now))
        let earliest = try refusal("00010101T000000Z", now: now)
        #expect(earliest.map { $0.code == "clock-skew" && $0.clientMessage.utf8.count < 512 } == true)
    }
}
