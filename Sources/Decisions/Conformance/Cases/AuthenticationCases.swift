// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

extension ConformanceCase {
    static let authentication: [ConformanceCase] =
        accepted + operations + keys + signatures + scopes + dates + covered + bodiesSigned + forms + silence

    /// A request to encrypt that must not be believed.
    private static func refused(
        _ id: String, _ title: String, level: Bindingness = .must, at section: String = Section.matching,
        expecting expectation: Expectation = .refused(.authenticationFailed),
        _ alter: @escaping @Sendable (inout Draft) -> Void
    ) -> ConformanceCase {
        ConformanceCase(
            "authentication-\(id)", .authentication, level, section, title,
            [.call(DraftRequest(.encrypt, alter), expectation)])
    }

    private static let accepted = [
        ConformanceCase(
            "authentication-right", .authentication, .must, Section.authentication, "A right signature is accepted",
            [.health()]),
        ConformanceCase(
            "authentication-second-credential", .authentication, .should, Section.rotation,
            "A second credential of the same key store is accepted beside the first", needs: [.secondCredential],
            [.health { $0.signedBy = .second }, .health()]),
        ConformanceCase(
            "authentication-more-headers", .authentication, .must, Section.canonical,
            "A signature may cover more headers than host and date",
            [
                .health {
                    $0.signedHeaders = [
                        HeaderField(name: "x-certify-b", value: "2"), HeaderField(name: "x-certify-a", value: "1"),
                    ]
                }
            ]),
        ConformanceCase(
            "authentication-blanks-in-header", .authentication, .should, Section.canonical,
            "Blanks of a signed header are counted as SigV4 counts them",
            [.health { $0.signedHeaders = [HeaderField(name: "x-certify", value: "  a   b  ")] }]),
        ConformanceCase(
            "authentication-other-region", .authentication, .note, Section.signing, "A signature for another region",
            [
                .health(.reading("each region of KMS signs for its own; a proxy may hold to some")) {
                    $0.region = "certify-region-1"
                }
            ]),
        ConformanceCase(
            "authentication-replay", .authentication, .note, Section.matching, "The same request twice",
            [.health(), .repeatLast(.reading("within its five minutes a request may come again, or not"))]),
    ]

    private static let operations = XKSOperation.allCases.map { operation in
        ConformanceCase(
            "authentication-none-\(operation.rawValue.lowercased())", .authentication, .must, Section.authentication,
            "\(operation.rawValue) without a signature is refused",
            [
                .call(DraftRequest(operation) { $0.removeHeader("authorization") }, .refused(.authenticationFailed)),
                .reconnect,
                .call(DraftRequest(operation) { $0.signedBy = .wrongSecret }, .refused(.authenticationFailed)),
            ])
    }

    private static let keys = [
        refused("wrong-secret", "A signature with another secret is refused") { $0.signedBy = .wrongSecret },
        refused("unknown-key-id", "An access key id that is not known is refused", at: Section.signing) {
            $0.signedBy = .unknownID
        },
        refused("key-id-case", "An access key id in lower case is refused", at: Section.signing) {
            let id = $0.subject.credential.accessKeyID
            $0.authorization { $0.replacing(id, with: id.lowercased()) }
        },
        refused("key-id-empty", "An empty access key id is refused", at: Section.signing) {
            let id = $0.subject.credential.accessKeyID
            $0.authorization { $0.replacing(id, with: "") }
        },
        refused("key-id-longer", "An access key id with something behind it is refused", at: Section.signing) {
            let id = $0.subject.credential.accessKeyID
            $0.authorization { $0.replacing(id, with: id + "A") }
        },
    ]

    private static let signatures = [
        refused("signature-first-digit", "A signature with another first digit is refused") {
            $0.authorization { text in Draft.flippedDigit(text, fromEnd: 64) }
        },
        refused("signature-last-digit", "A signature with another last digit is refused") {
            $0.authorization { text in Draft.flippedDigit(text, fromEnd: 1) }
        },
        refused("signature-short", "A signature that lacks its last digit is refused") {
            $0.authorization { String($0.dropLast()) }
        },
        refused("signature-half", "The first half of a signature is refused") {
            $0.authorization { String($0.dropLast(32)) }
        },
        refused("signature-long", "A signature with a digit too many is refused") { $0.authorization { $0 + "0" } },
        refused("signature-empty", "An empty signature is refused") { $0.authorization("Signature=", "") },
        refused("signature-zero", "A signature of zeros is refused") {
            $0.authorization("Signature=", String(repeating: "0", count: 64))
        },
        refused("signature-missing", "A header without a signature is refused", at: Section.signing) {
            $0.authorization { String($0.prefix { $0 != "," }) }
        },
        refused("signature-twice", "Two signatures in one header are refused", level: .hardening, at: Section.signing) {
            $0.authorization { $0 + ", Signature=" + String(repeating: "0", count: 64) }
        },
        refused(
            "signature-upper-case", "A signature in capital hexadecimal digits", level: .note, at: Section.stringToSign,
            expecting: .reading("SigV4 writes them small; refused, or compared as numbers")
        ) {
            $0.authorization { text in
                String(text.dropLast(64)) + text.suffix(64).uppercased()
            }
        },
    ]

    private static let scopes = [
        refused("algorithm", "Another algorithm is refused", at: Section.stringToSign) {
            $0.authorization { "AWS4-HMAC-SHA1" + $0.dropFirst(16) }
        },
        refused("algorithm-v4a", "The algorithm of SigV4A is refused", at: Section.stringToSign) {
            $0.authorization { "AWS4-ECDSA-P256-SHA256" + $0.dropFirst(16) }
        },
        refused("scheme-basic", "Basic authentication is refused", at: Section.authentication) {
            $0.authorization { _ in "Basic QUFBQTpCQkJC" }
        },
        refused("scheme-bearer", "A bearer token is refused", at: Section.authentication) {
            $0.authorization { _ in "Bearer certify" }
        },
        refused("scope-day", "Another day in the scope than was signed is refused", at: Section.stringToSign) {
            $0.authorization { $0.replacing(/\/[0-9]{8}\//, with: "/20200101/") }
        },
        refused("scope-day-signed", "A scope whose day is not that of the date is refused", at: Section.signing) {
            $0.scopeDay = "20200101"
        },
        refused("scope-region", "Another region in the scope than was signed is refused", at: Section.stringToSign) {
            let region = $0.region
            $0.authorization { $0.replacing("/\(region)/", with: "/certify-region-1/") }
        },
        refused("scope-service", "Another service in the scope than was signed is refused", at: Section.stringToSign) {
            $0.authorization { $0.replacing("/kms-xks-proxy/", with: "/kms/") }
        },
        refused("scope-service-signed", "A signature for another service is refused", at: Section.signing) {
            $0.service = "kms"
        },
        refused("scope-end", "A scope that does not end with aws4_request is refused", at: Section.stringToSign) {
            $0.authorization { $0.replacing("/aws4_request", with: "/aws5_request") }
        },
        refused("scope-short", "A scope that lacks a part is refused", at: Section.signing) {
            $0.authorization { $0.replacing("/kms-xks-proxy/", with: "/") }
        },
    ]

    private static let dates = [
        refused("date-stale", "A request of more than five minutes ago is refused", level: .should) {
            $0.signedAt = -330
        },
        refused("date-future", "A request of more than five minutes ahead is refused", level: .should) {
            $0.signedAt = 330
        },
        refused("date-day-old", "A request of yesterday is refused") { $0.signedAt = -86_400 },
        refused("date-day-ahead", "A request of tomorrow is refused") { $0.signedAt = 86_400 },
        refused("date-year-old", "A request of last year is refused") { $0.signedAt = -31_536_000 },
        ConformanceCase(
            "authentication-date-late", .authentication, .should, Section.matching,
            "A request of four minutes ago is accepted: clocks differ", [.health { $0.signedAt = -240 }]),
        ConformanceCase(
            "authentication-date-early", .authentication, .should, Section.matching,
            "A request of four minutes ahead is accepted: clocks differ", [.health { $0.signedAt = 240 }]),
        refused("date-changed", "Another date than was signed is refused", at: Section.stringToSign) {
            $0.changeHeader("x-amz-date") { Draft.flippedDigit($0, fromEnd: 2) }
        },
        refused("date-missing", "A request without x-amz-date is refused", at: Section.canonical) {
            $0.removeHeader("x-amz-date")
        },
        refused("date-empty", "An empty x-amz-date is refused", at: Section.canonical) { $0.dateText = "" },
        refused("date-form", "A date of another form is refused", at: Section.canonical) {
            $0.dateText = "2022-08-16T08:00:00Z"
        },
        refused("date-words", "A date in words is refused", at: Section.canonical) { $0.dateText = "yesterday" },
        refused("date-no-such-day", "A day that there is not is refused", at: Section.canonical) {
            $0.dateText = "20230230T000000Z"
        },
        refused("date-no-such-hour", "An hour that there is not is refused", at: Section.canonical) {
            $0.dateText = "20230228T250000Z"
        },
        refused("date-huge", "A year of many digits is refused", level: .hardening, at: Section.canonical) {
            $0.dateText = "99999999999999999999T000000Z"
        },
        refused("date-twice", "Two dates are refused", level: .hardening, at: Section.canonical) {
            $0.addHeader("x-amz-date", "20230228T000000Z")
        },
        ConformanceCase(
            "authentication-date-crash", .authentication, .hardening, Section.canonical,
            "The proxy outlives a day that there is not",
            [
                .call(DraftRequest(.health) { $0.dateText = "20230230T000000Z" }, .refusedOrClosed), .reconnect,
                .health(),
            ]),
    ]

    private static let covered = [
        refused("host-not-signed", "A signature that does not cover the host is refused", at: Section.canonical) {
            $0.unsigned = ["host"]
        },
        refused(
            "date-not-signed", "A signature that does not cover the date's header is refused", at: Section.canonical
        ) {
            $0.unsigned = ["x-amz-date"]
        },
        refused("nothing-signed", "A signature that covers no header is refused", at: Section.canonical) {
            $0.unsigned = ["host", "x-amz-date"]
        },
        refused("host-changed", "Another host than was signed is refused", at: Section.canonical) {
            $0.signedHost = "other.example.com"
        },
        refused("method-changed", "Another method than was signed is refused", at: Section.canonical) {
            $0.signedMethod = "GET"
        },
        refused("path-changed", "A signature for another operation is refused", at: Section.canonical) {
            $0.signedTarget = $0.subject.endpoint.target(.health, key: $0.key)
        },
        refused("key-changed", "A signature for another key is refused", at: Section.canonical) {
            $0.signedTarget = $0.subject.endpoint.target(.encrypt, key: "certify-other-key")
        },
        refused("header-changed", "Another value of a header than was signed is refused", at: Section.canonical) {
            $0.signedHeaders = [HeaderField(name: "x-certify", value: "1")]
            $0.changeHeader("x-certify") { _ in "2" }
        },
        refused("header-removed", "A signed header that is missing is refused", at: Section.canonical) {
            $0.signedHeaders = [HeaderField(name: "x-certify", value: "1")]
            $0.removeHeader("x-certify")
        },
        refused(
            "header-appended", "A second value of a signed header is refused", level: .hardening, at: Section.canonical
        ) {
            $0.signedHeaders = [HeaderField(name: "x-certify", value: "1")]
            $0.addHeader("x-certify", "2")
        },
        refused("list-changed", "Another list of signed headers than was signed is refused", at: Section.canonical) {
            $0.authorization("SignedHeaders=", "x-amz-date")
        },
        refused("list-empty", "An empty list of signed headers is refused", at: Section.canonical) {
            $0.authorization("SignedHeaders=", "")
        },
        refused("list-unknown", "A list that names a header that is not there is refused", at: Section.canonical) {
            $0.authorization("SignedHeaders=", "host;x-amz-date;x-certify")
        },
    ]

    private static let bodiesSigned = [
        refused("body-changed", "Another body than was signed is refused", at: Section.canonical) {
            $0.signedBody = Array("{}".utf8)
        },
        refused("body-emptied", "A body that was taken away is refused", at: Section.canonical) { $0.sentBody = [] },
        refused("body-longer", "A body with a blank more than was signed is refused", at: Section.canonical) {
            $0.rawBody = Array(#"{"requestMetadata":{}} "#.utf8)
            $0.signedBody = Array(#"{"requestMetadata":{}}"#.utf8)
        },
        refused("payload-unsigned", "A signature over UNSIGNED-PAYLOAD is refused", at: Section.canonical) {
            $0.payloadHash = "UNSIGNED-PAYLOAD"
            $0.signedHeaders = [HeaderField(name: "x-amz-content-sha256", value: "UNSIGNED-PAYLOAD")]
        },
        refused("payload-hash-of-another", "The hash that a header tells is not believed", at: Section.canonical) {
            let hash = DraftSignature.hash(Array("{}".utf8))
            $0.payloadHash = hash
            $0.signedHeaders = [HeaderField(name: "x-amz-content-sha256", value: hash)]
        },
        refused("payload-hash-empty", "A signature over the hash of nothing is refused", at: Section.canonical) {
            $0.payloadHash = DraftSignature.hash([])
        },
    ]

    private static let forms = [
        refused("header-twice", "Two Authorization headers are refused", level: .hardening, at: Section.signing) {
            $0.addHeader("authorization", "AWS4-HMAC-SHA256 Credential=A/B/C/D/E, SignedHeaders=host, Signature=00")
        },
        refused("header-garbage", "An Authorization header that is none is refused", at: Section.signing) {
            $0.authorization { _ in "AWS4-HMAC-SHA256 ,,,=;=,," }
        },
        refused("header-empty", "An empty Authorization header is refused", at: Section.signing) {
            $0.authorization { _ in "" }
        },
        refused(
            "header-long", "An Authorization header of 32 KiB is refused", level: .hardening, at: Section.signing,
            expecting: .refusedOrClosed
        ) { $0.authorization { $0 + String(repeating: " ", count: 1) + String(repeating: "a", count: 32_768) } },
        refused("query", "A signature in the query is refused", at: Section.authentication, expecting: .anyRefusal) {
            $0.removeHeader("authorization")
            $0.target += "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=\($0.subject.credential.accessKeyID)"
        },
        ConformanceCase(
            "authentication-form-blanks", .authentication, .note, Section.signing, "Commas without blanks behind them",
            [
                .health(.reading("SDKs write either form")) {
                    $0.authorization { $0.replacing(", ", with: ",") }
                }
            ]),
        ConformanceCase(
            "authentication-form-order", .authentication, .note, Section.signing, "The parts in another order",
            [
                .health(.reading("KMS writes one order; others may be taken")) {
                    $0.authorization { text in
                        let parts = text.dropFirst(17).split(separator: ", ").reversed().joined(separator: ", ")
                        return "\(text.prefix(17))\(parts)"
                    }
                }
            ]),
    ]

    private static let silence = [
        refused(
            "no-oracle", "A refusal tells neither the right signature nor the secret", at: Section.authentication,
            expecting: .noOracle
        ) {
            $0.signedBy = .own
            $0.authorization { Draft.flippedDigit($0, fromEnd: 1) }
        },
        refused(
            "before-reading", "The signature is verified before the body is judged", level: .hardening,
            at: Section.authentication
        ) {
            $0.signedBy = .wrongSecret
            $0.text("{")
        },
        refused(
            "before-keys", "Whoever has no right signature does not learn which keys there are", level: .hardening,
            at: Section.authentication
        ) {
            $0.signedBy = .wrongSecret
            $0.key = "certify-no-such-key"
        },
    ]
}

extension Draft {
    /// Another digit in the place that is so far from the end.
    static func flippedDigit(_ text: String, fromEnd count: Int) -> String {
        var bytes = Array(text.utf8)
        guard bytes.count >= count else { return text }
        let index = bytes.count - count
        bytes[index] = bytes[index] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Expectation {
    static let noOracle = refused(.authenticationFailed).and("without the right signature or the secret") { judged in
        let text = String(decoding: judged.answer?.body ?? [], as: UTF8.self).lowercased()
        // The request's signature is the right one but for its last digit.
        let sent = judged.request.head.headers.first { $0.name == "Authorization" }?.value ?? ""
        let almost = String(sent.suffix(64).dropLast())
        let secret = judged.draft.subject.credential.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        if text.contains(almost) { return "the answer holds the signature that would have been right" }
        return text.contains(secret.lowercased()) ? "the answer holds the secret" : nil
    }
}
