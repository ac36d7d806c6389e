// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4
import Testing
import XKSProtocol

/// Who may sign, and what is remembered of those who did.
@Suite struct IdentityTests {
    private static let otherID = "OTHER234567ABCDEFGHIJ"
    private static let otherSecret = String(repeating: "o", count: 43)

    @Test func severalCredentialsSideBySide() throws {
        let verifier = try SigV4Verifier(
            credentials: [Scenario.credential(), Scenario.credential(Self.otherID, Self.otherSecret)])
        var scenario = Scenario()
        for _ in 0..<3 {
            (scenario.accessKeyID, scenario.secret) = (Scenario.accessKeyID, Scenario.secret)
            let first = try verifier.verify(scenario.request(), now: Scenario.now)
            #expect(first.accessKeyID == Scenario.accessKeyID)
            (scenario.accessKeyID, scenario.secret) = (Self.otherID, Self.otherSecret)
            let second = try verifier.verify(scenario.request(), now: Scenario.now)
            #expect(second.accessKeyID == Self.otherID)
            // One credential's id with the other's secret.
            scenario.accessKeyID = Scenario.accessKeyID
            let refusal = refusalOf(scenario.request(), by: verifier, now: Scenario.now)
            #expect(refusal == .signatureMismatch(accessKeyID: Scenario.accessKeyID))
        }
    }

    @Test func unknownAndWrongSoundTheSame() throws {
        var unknown = Scenario()
        unknown.accessKeyID = Self.otherID
        let unknownRefusal = try #require(try unknown.refusal())
        #expect(unknownRefusal == .unknownAccessKeyID(Self.otherID))
        var wrong = Scenario()
        wrong.secret = Self.otherSecret
        let wrongRefusal = try #require(try wrong.refusal())
        #expect(wrongRefusal == .signatureMismatch(accessKeyID: Scenario.accessKeyID))
        #expect(unknownRefusal.clientMessage == wrongRefusal.clientMessage)
    }

    /// The secret that stands in for unknown access key ids is no secret: whoever signs with it stays unknown.
    @Test func theStandInOpensNothing() throws {
        let verifier = try Scenario.verifier()
        for _ in 0..<2 {
            var scenario = Scenario()
            scenario.accessKeyID = Self.otherID
            scenario.secret = String(repeating: "A", count: 44)
            #expect(
                refusalOf(scenario.request(), by: verifier, now: Scenario.now) == .unknownAccessKeyID(Self.otherID))
            // Now with the stand-in's key remembered.
            #expect(refusalOf(Scenario().request(), by: verifier, now: Scenario.now) == nil)
        }
    }

    @Test(arguments: [
        Scenario.secret.filter { $0 != "=" }, "AKIDEXAMPLE", "abcdefghijklmnopqrst", String(repeating: "A", count: 31),
    ])
    func onlyWhatLooksLikeAnAccessKeyIDIsQuoted(text: String) throws {
        var scenario = Scenario()
        scenario.accessKeyID = text
        let refusal = try #require(try scenario.refusal())
        #expect(refusal == .unknownAccessKeyID(nil))
        #expect(!"\(refusal)\(String(reflecting: refusal))".contains(text))
    }

    @Test func strangersFillNoMemory() throws {
        let verifier = try Scenario.verifier()
        for number in 0..<200 {
            var scenario = Scenario()
            scenario.region = "region-\(number)"
            scenario.secret = Self.otherSecret
            #expect(refusalOf(scenario.request(), by: verifier, now: Scenario.now) != nil)
            scenario.accessKeyID = Self.otherID
            #expect(refusalOf(scenario.request(), by: verifier, now: Scenario.now) != nil)
        }
        #expect(verifier.cachedKeyCount == 0)
    }

    @Test func aHolderOfASecretFillsBoundedMemory() throws {
        let verifier = try Scenario.verifier()
        var scenario = Scenario()
        #expect(refusalOf(scenario.request(), by: verifier, now: Scenario.now) == nil)
        #expect(verifier.cachedKeyCount == 2)
        #expect(refusalOf(scenario.request(), by: verifier, now: Scenario.now) == nil)
        #expect(verifier.cachedKeyCount == 2)
        for round in 0..<2 {
            for number in 0..<100 {
                scenario.region = "region-\(number)"
                #expect(refusalOf(scenario.request(), by: verifier, now: Scenario.now) == nil, "\(round) \(number)")
                #expect(verifier.cachedKeyCount <= 64)
            }
        }
        #expect(verifier.cachedKeyCount == 64)
    }

    /// A key remembered for one day or region must not verify another's.
    @Test func keysAreRememberedByDayAndRegion() throws {
        let verifier = try Scenario.verifier()
        let day: Int64 = 86_400
        for offset in [0, day, 0, 2 * day] {
            for region in ["eu-central-1", "us-east-1"] {
                var scenario = Scenario()
                scenario.region = region
                scenario.date = "202311\(14 + offset / day)T221320Z"
                scenario.scopeDate = "202311\(14 + offset / day)"
                let request = scenario.request()
                #expect(refusalOf(request, by: verifier, now: Scenario.now + offset) == nil)
                scenario.region = "eu-west-1"
                let stolen = "AWS4-HMAC-SHA256 \(scenario.credentialElement), \(scenario.signedHeadersElement), "
                var wrong = request
                wrong.headers.removeAll { $0.name == "Authorization" }
                let signature = try #require(request.headers.last?.value.split(separator: " ").last)
                wrong.headers.append(HeaderField(name: "Authorization", value: stolen + signature))
                let refusal = refusalOf(wrong, by: verifier, now: Scenario.now + offset)
                #expect(refusal == .signatureMismatch(accessKeyID: Scenario.accessKeyID))
            }
        }
    }

    @Test func manyThreadsAtOnce() async throws {
        let verifier = try Scenario.verifier()
        let refused = await withTaskGroup(of: Int.self) { group in
            for worker in 0..<8 {
                group.addTask {
                    var refused = 0
                    for number in 0..<200 {
                        var scenario = Scenario()
                        scenario.region = "region-\((number + worker) % 50)"
                        if refusalOf(scenario.request(), by: verifier, now: Scenario.now) != nil { refused += 1 }
                    }
                    return refused
                }
            }
            return await group.reduce(0, +)
        }
        #expect(refused == 0)
        #expect(verifier.cachedKeyCount <= 64)
    }
}

@Suite struct ToleranceTests {
    @Test(arguments: [(-300, true), (300, true), (-301, false), (301, false), (0, true)])
    func fiveMinutes(offset: Int64, isAccepted: Bool) throws {
        #expect(try (Scenario().refusal(now: Scenario.now + offset) == nil) == isAccepted)
    }

    @Test func anotherTolerance() throws {
        let verifier = try SigV4Verifier(credentials: [Scenario.credential()], tolerance: 10)
        let request = Scenario().request()
        #expect(refusalOf(request, by: verifier, now: Scenario.now + 10) == nil)
        #expect(
            refusalOf(request, by: verifier, now: Scenario.now - 11) == .clockSkew(seconds: -11, tolerance: 10))
        let none = try SigV4Verifier(credentials: [Scenario.credential()], tolerance: .min)
        #expect(refusalOf(request, by: none, now: Scenario.now) == nil)
        #expect(refusalOf(request, by: none, now: Scenario.now + 1) == .clockSkew(seconds: 1, tolerance: 0))
    }
}
