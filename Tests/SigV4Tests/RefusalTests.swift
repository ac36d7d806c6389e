// SPDX-License-Identifier: Apache-2.0
import SigV4
import Testing
import XKSProtocol

/// Every rule by which a request is refused. All of them are signed rightly: only the rule can refuse them.
@Suite struct RefusalTests {
    @Test func takesWhatIsRight() throws {
        let identity = try Scenario.verifier().verify(Scenario().request(), now: Scenario.now)
        #expect(identity.accessKeyID == Scenario.accessKeyID)
        #expect(identity.region == "eu-central-1")
    }

    @Test func authorizationExactlyOnce() throws {
        let scenario = Scenario()
        #expect(try scenario.refusal(authorization: []) == .missingAuthorization)
        let twice = [scenario.authorization, scenario.authorization]
        #expect(try scenario.refusal(authorization: twice) == .repeatedAuthorization)
        #expect(try scenario.refusal(authorization: ["Bearer x", scenario.authorization]) == .repeatedAuthorization)
    }

    @Test func dateExactlyOnce() throws {
        var scenario = Scenario()
        scenario.headers.removeAll { $0.name == "X-Amz-Date" }
        #expect(try scenario.refusal() == .missingDate)
        scenario.set("Date", "Tue, 14 Nov 2023 22:13:20 GMT")
        #expect(try scenario.refusal() == .missingDate)
        scenario = Scenario()
        scenario.headers.append(HeaderField(name: "x-amz-date", value: "20231114T221320Z"))
        #expect(try scenario.refusal() == .repeatedDate)
    }

    @Test(arguments: [
        ["host"], ["content-type", "host"], ["content-type", "host", "x-amz-content-sha256"],
    ])
    func dateMustBeSigned(signed: [String]) throws {
        var scenario = Scenario()
        scenario.signedHeaders = signed
        #expect(try scenario.refusal() == .headerNotSigned("x-amz-date"))
    }

    @Test(arguments: [["x-amz-date"], ["content-type", "x-amz-date"]])
    func hostMustBeSigned(signed: [String]) throws {
        var scenario = Scenario()
        scenario.signedHeaders = signed
        #expect(try scenario.refusal() == .headerNotSigned("host"))
    }

    @Test func authorityStandsForHost() throws {
        var scenario = Scenario()
        scenario.signedHeaders = [":authority", "x-amz-date"]
        #expect(try scenario.refusal() == nil)
        scenario.signedHeaders = [":path", "host", "x-amz-date"]
        #expect(try scenario.refusal() == .malformedAuthorization(.signedHeaderForm))
        scenario.signedHeaders = [":authority", "x-amz-date"]
        scenario.headers.removeAll { $0.name == "Host" }
        #expect(try scenario.refusal() == .signedHeaderMissing(":authority"))
    }

    @Test func signedHeadersMustBePresent() throws {
        var scenario = Scenario()
        scenario.signedHeaders = ["content-type", "host", "x-amz-date", "x-amz-target"]
        #expect(try scenario.refusal() == .signedHeaderMissing("x-amz-target"))
        scenario.set("X-Amz-Target", "")
        #expect(try scenario.refusal() == nil)
        scenario.headers.removeAll { $0.name == "Host" }
        #expect(try scenario.refusal() == .signedHeaderMissing("host"))
    }

    @Test func scopeMustFit() throws {
        var scenario = Scenario()
        scenario.scopeDate = "20231115"
        #expect(try scenario.refusal() == .scopeDateMismatch)
        scenario = Scenario()
        scenario.service = "kms"
        #expect(try scenario.refusal() == .scopeServiceMismatch(expected: "kms-xks-proxy"))
        scenario.service = "kms-xks-proxyy"
        #expect(try scenario.refusal() == .scopeServiceMismatch(expected: "kms-xks-proxy"))
    }

    @Test func regionMustBeAllowed() throws {
        var scenario = Scenario()
        #expect(try scenario.refusal(allowedRegions: ["us-east-1", "eu-central-1"]) == nil)
        #expect(try scenario.refusal(allowedRegions: ["us-east-1"]) == .regionNotAllowed("eu-central-1"))
        #expect(try scenario.refusal(allowedRegions: []) == .regionNotAllowed("eu-central-1"))
        scenario.region = "mars-north-1"
        #expect(try scenario.refusal() == nil)
    }

    @Test(arguments: ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"])
    func payloadMustBeSigned(value: String) throws {
        var scenario = Scenario()
        scenario.set("x-amz-content-sha256", value)
        #expect(try scenario.refusal() == .unsignedPayload)
        scenario.signedHeaders = ["host", "x-amz-content-sha256", "x-amz-date"]
        #expect(try scenario.refusal() == .unsignedPayload)
    }

    @Test func payloadHashMustFit() throws {
        var scenario = Scenario()
        scenario.body = Array("Param1=value1".utf8)
        let right = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
        scenario.set("x-amz-content-sha256", right)
        #expect(try scenario.refusal() == nil)
        scenario.headers.append(HeaderField(name: "X-AMZ-CONTENT-SHA256", value: " \(right) "))
        #expect(try scenario.refusal() == nil)
        for wrong in ["", right.uppercased(), String(right.dropLast()), right + "0", "0" + right.dropFirst()] {
            scenario.set("x-amz-content-sha256", wrong)
            #expect(try scenario.refusal() == .payloadHashMismatch)
            scenario.headers.insert(HeaderField(name: "x-amz-content-sha256", value: right), at: 0)
            #expect(try scenario.refusal() == .payloadHashMismatch)
        }
    }

    @Test func theBodyIsAlwaysCovered() throws {
        let scenario = Scenario()
        var other = scenario
        other.body.append(0x20)
        let refusal = try other.refusal(authorization: [scenario.authorization])
        #expect(refusal == .signatureMismatch(accessKeyID: Scenario.accessKeyID))
    }

    @Test(arguments: ["", "POST ", "PO\nST", String(repeating: "P", count: 33), "PÖST"])
    func methodMustBeAToken(method: String) throws {
        var scenario = Scenario()
        scenario.method = method
        #expect(try scenario.refusal() == .malformedRequestLine)
    }

    @Test(arguments: [
        "", "*", "kms/xks/v1/health", "https://x/kms/xks/v1/health", "/" + String(repeating: "a", count: 8_192),
    ])
    func targetMustBeInOriginForm(target: String) throws {
        var scenario = Scenario()
        scenario.target = target
        #expect(try scenario.refusal() == .malformedRequestLine)
    }

    @Test func anEncodedPathIsEncodedAgain() throws {
        var scenario = Scenario()
        scenario.target = "/a%2520b"
        let authorization = scenario.authorization
        scenario.target = "/a%20b"
        #expect(try scenario.refusal(authorization: [authorization]) == nil)
        scenario.target = "/a b"
        #expect(try scenario.refusal(authorization: [authorization]) != nil)
    }

    @Test func headerValuesAreTrimmedAndCollapsed() throws {
        var scenario = Scenario()
        scenario.signedHeaders = ["host", "x-amz-date", "x-note"]
        scenario.set("X-Note", "a b,c")
        let authorization = scenario.authorization
        scenario.set("X-Note", " \ta \t  b")
        scenario.headers.append(HeaderField(name: "x-NOTE", value: "c  "))
        scenario.date = "  20231114T221320Z\t"
        #expect(try scenario.refusal(authorization: ["  \(authorization) "]) == nil)
        scenario.headers.append(HeaderField(name: "x-note", value: ""))
        #expect(try scenario.refusal(authorization: [authorization]) != nil)
    }
}
