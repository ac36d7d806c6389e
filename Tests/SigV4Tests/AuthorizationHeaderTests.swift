// SPDX-License-Identifier: Apache-2.0
import SigV4
import Testing

@Suite struct AuthorizationHeaderTests {
    private func refusal(_ authorization: String) throws -> AuthenticationFailure? {
        try Scenario().refusal(authorization: [authorization])
    }

    @Test func elementsInAnyOrderWithAndWithoutBlanks() throws {
        let scenario = Scenario()
        let elements = [scenario.credentialElement, scenario.signedHeadersElement, scenario.signatureElement]
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for separator in [",", ", ", ",   "] {
                let text = order.map { elements[$0] }.joined(separator: separator)
                #expect(try refusal("AWS4-HMAC-SHA256 \(text)") == nil)
                #expect(try refusal("AWS4-HMAC-SHA256   \(text)") == nil)
            }
        }
    }

    @Test(arguments: [
        "", "AWS4-HMAC-SHA256", "Bearer token", "aws4-hmac-sha256 Credential=x", "AWS4-HMAC-SHA256\tCredential=x",
        "AWS4-ECDSA-P256-SHA256 Credential=x", "AWS4-HMAC-SHA256,Credential=x",
    ])
    func algorithm(authorization: String) throws {
        #expect(try refusal(authorization) == .malformedAuthorization(.algorithm))
    }

    @Test func eachElementOnce() throws {
        let scenario = Scenario()
        let elements = [scenario.credentialElement, scenario.signedHeadersElement, scenario.signatureElement]
        for element in elements {
            #expect(
                try refusal("\(scenario.authorization),\(element)") == .malformedAuthorization(.repeatedElement))
            let without = elements.filter { $0 != element }.joined(separator: ", ")
            #expect(try refusal("AWS4-HMAC-SHA256 \(without)") == .malformedAuthorization(.missingElement))
        }
    }

    @Test func noOtherElements() throws {
        let scenario = Scenario()
        for extra in [",", ", ", ",,", ", x=y", " ,Signature=", ", signature=\(scenario.signature)"] {
            // A trailing blank of the whole header is trimmed with it; the empty element stays.
            #expect(try refusal(scenario.authorization + extra) != nil, "\(extra)")
        }
        #expect(try refusal(scenario.authorization + ",") == .malformedAuthorization(.unknownElement))
        #expect(
            try refusal("AWS4-HMAC-SHA256 ,\(scenario.credentialElement)") == .malformedAuthorization(.unknownElement))
        let lower = scenario.authorization.replacing("Credential=", with: "credential=")
        #expect(try refusal(lower) == .malformedAuthorization(.unknownElement))
    }

    @Test(arguments: [
        "", "/", "ID/20231114/eu-central-1/kms-xks-proxy", "ID/20231114/eu-central-1/kms-xks-proxy/",
        "ID/20231114/eu-central-1/kms-xks-proxy/aws4_requests", "ID/20231114/eu-central-1/kms-xks-proxy/aws4_request/",
        "/20231114/eu-central-1/kms-xks-proxy/aws4_request", "ID//eu-central-1/kms-xks-proxy/aws4_request",
        "ID/20231114//kms-xks-proxy/aws4_request", "ID/20231114/eu-central-1//aws4_request",
        "ID/2023111/eu-central-1/kms-xks-proxy/aws4_request", "ID/202311144/eu-central-1/kms-xks-proxy/aws4_request",
        "ID/2023111x/eu-central-1/kms-xks-proxy/aws4_request", "ID/20231114/EU-central-1/kms-xks-proxy/aws4_request",
        "ID/20231114/eu_central/kms-xks-proxy/aws4_request", "I-D/20231114/eu-central-1/kms-xks-proxy/aws4_request",
        "ID/20231114/eu-central-1/x/kms-xks-proxy/aws4_request", "ID/20231114/eu-central-1/kms xks/aws4_request",
        "ID/20231114/\(String(repeating: "r", count: 65))/kms-xks-proxy/aws4_request",
        "\(String(repeating: "I", count: 129))/20231114/eu-central-1/kms-xks-proxy/aws4_request",
    ])
    func credentialForm(credential: String) throws {
        let scenario = Scenario()
        let text =
            "AWS4-HMAC-SHA256 Credential=\(credential), \(scenario.signedHeadersElement), "
            + scenario.signatureElement
        #expect(try refusal(text) == .malformedAuthorization(.credentialForm))
    }

    @Test(arguments: [
        ("", AuthorizationDefect.signedHeaderForm), ("host;", .signedHeaderForm), (";host", .signedHeaderForm),
        ("host;;x-amz-date", .signedHeaderForm), ("Host;x-amz-date", .signedHeaderForm),
        ("ho st;x-amz-date", .signedHeaderForm), ("host:x-amz-date", .signedHeaderForm),
        ("host;\(String(repeating: "x", count: 129))", .signedHeaderForm), ("x-amz-date;host", .signedHeaderOrder),
        ("host;host;x-amz-date", .signedHeaderOrder), ("hostt;host", .signedHeaderOrder),
        ("host;:authority", .signedHeaderOrder),
        ((10...42).map { "h\($0)" }.joined(separator: ";"), .tooManySignedHeaders),
    ])
    func signedHeaders(list: String, defect: AuthorizationDefect) throws {
        let scenario = Scenario()
        let text = "AWS4-HMAC-SHA256 \(scenario.credentialElement), SignedHeaders=\(list), \(scenario.signatureElement)"
        #expect(try refusal(text) == .malformedAuthorization(defect))
    }

    @Test func thirtyTwoSignedHeaders() throws {
        var scenario = Scenario()
        for number in 10..<40 {
            scenario.set("h\(number)", "\(number)")
        }
        scenario.signedHeaders = (10..<40).map { "h\($0)" } + ["host", "x-amz-date"]
        #expect(scenario.signedHeaders.count == 32)
        #expect(try scenario.refusal() == nil)
    }

    @Test func signatureForm() throws {
        let scenario = Scenario()
        let right = scenario.signature
        let prefix = "AWS4-HMAC-SHA256 \(scenario.credentialElement), \(scenario.signedHeadersElement), Signature="
        for wrong in ["", String(right.dropLast()), right + "0", right.uppercased() + "A", "g" + right.dropFirst()] {
            #expect(try refusal(prefix + wrong) == .malformedAuthorization(.signatureForm))
        }
        let upper = "A" + right.dropFirst()
        #expect(try refusal(prefix + upper) == .malformedAuthorization(.signatureForm))
        #expect(try refusal(prefix + right) == nil)
    }

    @Test func boundedInLength() throws {
        let scenario = Scenario()
        let padding = 4_096 - scenario.authorization.utf8.count
        let blanks = String(repeating: " ", count: padding)
        let longest = scenario.authorization.replacing(", Signature", with: ", \(blanks)Signature")
        #expect(longest.utf8.count == 4_096)
        #expect(try refusal(longest) == nil)
        let longer = longest.replacing(", Signature", with: ",  Signature").replacing(
            ",  ", with: ",   ", maxReplacements: 1)
        #expect(try refusal(longer) == .malformedAuthorization(.tooLong))
        #expect(try refusal(String(repeating: ",", count: 10_000_000)) == .malformedAuthorization(.tooLong))
    }
}
