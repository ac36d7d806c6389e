// SPDX-License-Identifier: Apache-2.0
import Testing
import XKSProtocol

@Suite struct ErrorTests {
    @Test func namesAndStatusesAreThoseOfTheSpecification() {
        let expected: [String: Int] = [
            "ValidationException": 400, "InvalidStateException": 400, "InvalidCiphertextException": 400,
            "InvalidKeyUsageException": 400, "AuthenticationFailedException": 401, "AccessDeniedException": 403,
            "KeyNotFoundException": 404, "InvalidUriPathException": 404, "ThrottlingException": 429,
            "UnsupportedOperationException": 501, "DependencyTimeoutException": 503, "InternalException": 500,
        ]
        let actual = Dictionary(uniqueKeysWithValues: XKSError.Name.allCases.map { ($0.rawValue, $0.status) })
        #expect(actual == expected)
    }

    @Test func writesNameAndMessage() {
        let response = ProxyResponse.failure(XKSError(.keyNotFound, "no key \"x\\y\""))
        #expect(response.status == 404)
        #expect(
            response.body.text
                == #"{"errorName":"KeyNotFoundException","errorMessage":"no key \"x\\y\""}"#)
    }

    @Test func anotherMethodThanPostIs405WithAKnownName() {
        let response = ProxyResponse.failure(.methodNotAllowed)
        #expect(response.status == 405)
        #expect(response.body.text.hasPrefix(#"{"errorName":"UnsupportedOperationException","errorMessage":""#))
    }

    @Test func messagesArePrintableASCIIAndShort() {
        #expect(XKSError(.validation, "a\n\u{7f}é😀~ ").message == "a????~ ")
        let long = XKSError(.validation, String(repeating: "x", count: 600)).message
        #expect(long.utf8.count == 511)
        #expect(XKSError(.validation, "").message.isEmpty)
    }
}
