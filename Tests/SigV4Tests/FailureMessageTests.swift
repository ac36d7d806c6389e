// SPDX-License-Identifier: Apache-2.0
import SigV4
import Testing

@Suite struct FailureMessageTests {
    static let longName = String(repeating: "x", count: 128)

    static let failures: [AuthenticationFailure] =
        [
            .malformedRequestLine, .missingAuthorization, .repeatedAuthorization, .missingDate, .repeatedDate,
            .malformedDate, .clockSkew(seconds: .min, tolerance: .max), .clockSkew(seconds: 301, tolerance: 300),
            .scopeDateMismatch, .scopeServiceMismatch(expected: "kms-xks-proxy"),
            .regionNotAllowed(String(repeating: "r", count: 64)), .headerNotSigned("host"),
            .signedHeaderMissing(longName), .unsignedPayload, .payloadHashMismatch, .unknownAccessKeyID(nil),
            .unknownAccessKeyID("ABCDEFGHIJKLMNOPQRST"), .signatureMismatch(accessKeyID: "ABCDEFGHIJKLMNOPQRST"),
        ]
        + [
            AuthorizationDefect.tooLong, .algorithm, .unknownElement, .repeatedElement, .missingElement,
            .credentialForm, .tooManySignedHeaders, .signedHeaderForm, .signedHeaderOrder, .signatureForm,
        ].map { .malformedAuthorization($0) }

    /// XKS 1.0.3, error codes: under 512 characters of printable ASCII.
    @Test(arguments: failures) func fitsTheWire(failure: AuthenticationFailure) {
        let message = failure.clientMessage
        #expect(!message.isEmpty && message.utf8.count < 512)
        #expect(message.utf8.allSatisfy { (0x20...0x7E).contains($0) })
        #expect(failure.description.utf8.allSatisfy { (0x20...0x7E).contains($0) })
        #expect(failure.code.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x2D })
    }

    @Test func helpsTheHonestOperator() {
        let late = AuthenticationFailure.clockSkew(seconds: 420, tolerance: 300).clientMessage
        #expect(late == "x-amz-date is 420 s behind the proxy's clock; 300 s are allowed.")
        let early = AuthenticationFailure.clockSkew(seconds: -420, tolerance: 300).clientMessage
        #expect(early == "x-amz-date is 420 s ahead of the proxy's clock; 300 s are allowed.")
        #expect(AuthenticationFailure.signedHeaderMissing("x-note").clientMessage.contains("x-note"))
        #expect(AuthenticationFailure.headerNotSigned("host").clientMessage.contains("host"))
        #expect(AuthenticationFailure.scopeServiceMismatch(expected: "svc").clientMessage.contains("svc"))
    }

    /// Neither the caller nor the log learns a signature, least of all the right one.
    @Test func noSignatureAnywhere() throws {
        let scenario = Scenario()
        var wrong = scenario
        wrong.secret = String(repeating: "w", count: 43)
        let refusal = try #require(try scenario.refusal(authorization: [wrong.authorization]))
        for text in [refusal.clientMessage, refusal.description, String(reflecting: refusal)] {
            #expect(!text.contains(scenario.signature) && !text.contains(wrong.signature))
            #expect(!text.contains(Scenario.secret))
        }
        #expect(!refusal.clientMessage.contains(Scenario.accessKeyID))
    }
}
