// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

extension ConformanceCase {
    static let encrypt: [ConformanceCase] =
        sealing + sizes + integrity + requestMetadata(of: .encrypt) + wrongFields + wrongBase64 + wrongJSON + rightJSON

    private static func test(
        _ id: String, _ title: String, level: Bindingness = .must, at section: String = Section.encrypt,
        _ steps: CaseStep...
    ) -> ConformanceCase {
        ConformanceCase("encrypt-\(id)", .encrypt, level, section, title, steps)
    }

    /// A request with which something is wrong.
    private static func refused(
        _ id: String, _ title: String, level: Bindingness = .must, at section: String = Section.errors,
        expecting expectation: Expectation = .refused(.validation), _ alter: @escaping @Sendable (inout Draft) -> Void
    ) -> ConformanceCase { test(id, title, level: level, at: section, .encrypt(expectation, alter)) }

    private static let sealing = [
        test("answer", "The answer has ciphertext, vector and tag in base64", .encrypt()),
        test(
            "length", "The ciphertext is as long as the plaintext",
            .encrypt(.field("the ciphertext's length") { $0.ciphertext.count == $1.plaintext.count })),
        test(
            "vector", "The initialization vector has 12 or 16 bytes",
            .encrypt(
                .field("a vector of 12 or 16 bytes") { sealed, _ in
                    [12, 16].contains(sealed.initializationVector.count)
                })),
        test(
            "tag", "The authentication tag has 16 bytes",
            .encrypt(.field("a tag of 16 bytes") { sealed, _ in sealed.authenticationTag.count == 16 })),
        test(
            "ciphertext-metadata", "ciphertextMetadata has at most 20 bytes",
            .encrypt(
                .field("ciphertextMetadata of at most 20 bytes") { sealed, _ in
                    sealed.ciphertextMetadata.map { $0.count <= 20 } ?? true
                })),
        test(
            "is-encrypted", "The ciphertext is not the plaintext", level: .hardening,
            .encrypt(.field("a ciphertext that is not the plaintext") { $0.ciphertext != $1.plaintext })),
        test(
            "fresh-vectors", "No two encryptions have the same vector: AES-GCM would give up its key",
            level: .hardening,
            at: "NIST SP 800-38D, 8", .encrypt(), .encrypt(), .encrypt(), .encrypt(.freshVector)),
        test(
            "fresh-vectors-of-connections", "Nor have those of different connections", level: .hardening,
            at: "NIST SP 800-38D, 8", .encrypt(), .reconnect, .encrypt(), .reconnect, .encrypt(.freshVector)),
    ]

    private static let sizes = [
        test("one-byte", "A plaintext of one byte is encrypted", .encrypt { $0.plaintext = [7] }, .decrypt()),
        test(
            "largest", "A plaintext of 4,300 bytes is encrypted", .encrypt { $0.plaintext = Draft.largestPlaintext },
            .decrypt()),
        test(
            "largest-aad", "Additional data of 8,192 bytes is taken",
            .encrypt { $0.additionalData = Draft.largestAdditionalData }, .decrypt()),
        test(
            "largest-both", "Both at once are taken, with metadata of the greatest length",
            .encrypt {
                $0.plaintext = Draft.largestPlaintext
                $0.additionalData = Draft.largestAdditionalData
                $0.integrity = true
                $0.metadata("awsPrincipalArn", JSONObject.string(String(repeating: "a", count: 2_048)))
                $0.metadata("kmsKeyArn", JSONObject.string(String(repeating: "k", count: 2_048)))
            }, .decrypt()),
        test(
            "empty", "An empty plaintext", level: .note,
            .encrypt(.reading("KMS never sends one; encrypted, or refused")) { $0.plaintext = [] }),
        test(
            "empty-aad", "Additional data that is there and empty", level: .note,
            .encrypt(.reading("absent and empty are both of length zero")) { $0.additionalData = [] }),
        test(
            "too-large", "A plaintext of 16 KiB is encrypted, or refused as more than is supported",
            at: Section.errors, .encrypt(.largerThanAsked) { $0.plaintext = Array(repeating: 1, count: 16_384) },
            .reconnect, .health()),
        test(
            "much-too-large", "A plaintext of 1 MiB is refused or encrypted, and survived", level: .hardening,
            at: Section.errors, .encrypt(.handled) { $0.plaintext = Array(repeating: 1, count: 1_048_576) },
            .reconnect, .health()),
        test(
            "too-large-aad", "Additional data whose length two bytes cannot tell (65,536) is refused",
            at: Section.encrypt,
            .encrypt(.refusedOrClosed) { $0.additionalData = Array(repeating: 1, count: 65_536) }, .reconnect, .health()
        ),
        test(
            "huge-body", "A body of 16 MiB is refused, and not collected without end", level: .hardening,
            at: Section.errors,
            .encrypt(.refusedOrClosed) { $0.rawBody = Array(repeating: 0x20, count: 16_777_216) }, .reconnect, .health()
        ),
    ]

    private static let integrity = [
        test(
            "integrity", "The integrity value is the hash of Appendix C", at: Section.integrity,
            .encrypt(.integrity) { $0.integrity = true }, .decrypt()),
        test(
            "integrity-aad", "The integrity value covers additional data", at: Section.integrity,
            .encrypt(.integrity) {
                $0.integrity = true
                $0.additionalData = Array("project=nile,department=marketing".utf8)
            }, .decrypt()),
        test(
            "integrity-largest", "The integrity value of the largest request is right", at: Section.integrity,
            .encrypt(.integrity) {
                $0.integrity = true
                $0.plaintext = Draft.largestPlaintext
                $0.additionalData = Draft.largestAdditionalData
            }, .decrypt()),
        test(
            "integrity-unasked", "An integrity value that was not asked for", level: .note,
            .encrypt(.readingOfIntegrity)),
        refused(
            "integrity-algorithm", "Another algorithm of the integrity value is refused", at: Section.encrypt,
            expecting: .refused(.validation, .unsupportedOperation)
        ) { $0.field("ciphertextDataIntegrityValueAlgorithm", "\"SHA_1\"") },
    ]

    private static let notTexts: [(String, String)] = [
        ("number", "5"), ("true", "true"), ("null", "null"), ("array", "[]"), ("object", "{}"),
    ]

    private static let wrongFields =
        [
            refused("without-plaintext", "A request without a plaintext is refused") { $0.field("plaintext", nil) },
            refused("without-algorithm", "A request without an algorithm is refused") {
                $0.field("encryptionAlgorithm", nil)
            },
            refused(
                "other-algorithm", "Another algorithm than AES_GCM is refused", at: Section.encrypt,
                expecting: .refused(.validation, .unsupportedOperation)
            ) { $0.field("encryptionAlgorithm", "\"AES_CBC\"") },
            refused(
                "algorithm-case", "The case of the algorithm counts", at: Section.encrypt,
                expecting: .refused(.validation, .unsupportedOperation)
            ) { $0.field("encryptionAlgorithm", "\"aes_gcm\"") },
            refused("algorithm-number", "An algorithm that is a number is refused") {
                $0.field("encryptionAlgorithm", "1")
            },
            refused("aad-number", "Additional data that is a number is refused") {
                $0.field("additionalAuthenticatedData", "1")
            },
            refused("metadata-text", "requestMetadata that is a text is refused") {
                $0.field("requestMetadata", "\"arn\"")
            },
            refused("metadata-array", "requestMetadata that is an array is refused") {
                $0.field("requestMetadata", "[]")
            },
            test(
                "unknown-field", "A field beside the known ones", level: .note, at: Section.fields,
                .encrypt(.reading("a later version may add fields; ignored, or refused")) { $0.field("certify", "1") }),
            test(
                "plaintext-twice", "A plaintext that stands twice", level: .note, at: Section.json("4"),
                .encrypt(.reading("JSON leaves it open which one counts; refusing is the safe reading")) {
                    $0.duplicate("plaintext", "\"AA==\"")
                }),
            test(
                "aad-twice", "Additional data that stands twice", level: .note, at: Section.json("4"),
                .encrypt(.reading("JSON leaves it open which one counts; refusing is the safe reading")) {
                    $0.additionalData = [1]
                    $0.duplicate("additionalAuthenticatedData", "\"AA==\"")
                }),
            test(
                "without-key-arn", "A request without kmsKeyArn", level: .note,
                .encrypt(.reading("the field is REQUIRED, and a proxy is not expected to validate it")) {
                    $0.metadata("kmsKeyArn", nil)
                }),
        ]
        + notTexts.map { name, value in
            refused("plaintext-\(name)", "A plaintext that is no text (\(name)) is refused") {
                $0.field("plaintext", value)
            }
        }

    private static let wrongBase64 = [
        refused("base64-none", "A plaintext that is no base64 is refused", at: Section.base64("4")) {
            $0.field("plaintext", "\"!!!!\"")
        },
        refused("base64-url", "Base64 of URLs is refused: the standard alphabet is the one", at: Section.base64("4")) {
            $0.field("plaintext", "\"-_-_\"")
        },
        refused("base64-length", "Base64 of a length that there is not is refused", at: Section.base64("4")) {
            $0.field("plaintext", "\"AAAAA\"")
        },
        refused("base64-aad", "Additional data that is no base64 is refused", at: Section.base64("4")) {
            $0.field("additionalAuthenticatedData", "\"!!!!\"")
        },
        test(
            "base64-unpadded", "Base64 without its padding", level: .note, at: Section.base64("3.2"),
            .encrypt(.reading("padding is a part of it; some take it without")) { $0.field("plaintext", "\"AA\"") }),
        test(
            "base64-lines", "Base64 with a line break", level: .note, at: Section.base64("3.1"),
            .encrypt(.reading("line breaks have no place in it; some take them")) {
                $0.field("plaintext", #""AAAA\r\nAAAA""#)
            }),
        test(
            "base64-bits", "Base64 whose unused bits are not zero", level: .note, at: Section.base64("3.5"),
            .encrypt(.reading("two texts would mean the same; refused, or taken")) { $0.field("plaintext", "\"AB==\"") }
        ),
    ]

    /// Each is followed by an ordinary request.
    private static func malformed(_ id: String, _ title: String, level: Bindingness = .must, _ text: String)
        -> ConformanceCase
    { malformed(id, title, level: level, Array(text.utf8)) }

    private static func malformed(_ id: String, _ title: String, level: Bindingness = .must, _ bytes: [UInt8])
        -> ConformanceCase
    {
        test(
            "json-\(id)", title, level: level, at: Section.json("2"),
            .encrypt(.refused(.validation)) { $0.rawBody = bytes }, .reconnect, .health())
    }

    private static let wrongJSON = [
        malformed("empty", "An empty body is refused", ""),
        malformed("cut", "A body that ends within the JSON is refused", #"{"requestMetadata":{"kmsOp"#),
        malformed("words", "A body that is no JSON is refused", "this is no JSON"),
        malformed("null", "A body that is null is refused", "null"),
        malformed("array", "A body that is an array is refused", "[]"),
        malformed("text", "A body that is a text is refused", "\"AES_GCM\""),
        malformed("object", "An empty object is refused", "{}"),
        malformed("form", "A body of a web form is refused", "plaintext=AAAA&encryptionAlgorithm=AES_GCM"),
        malformed("xml", "A body of XML is refused", "<?xml version=\"1.0\"?><plaintext>AAAA</plaintext>"),
        malformed("quotes", "JSON in single quotes is refused", "{'plaintext':'AAAA'}"),
        malformed(
            "utf8", "A body that is not UTF-8 is refused", level: .hardening,
            Array(#"{"plaintext":""#.utf8) + [0xFF, 0xFE]),
        malformed("utf16", "A body of UTF-16 is refused", level: .hardening, [0x7B, 0x00, 0x7D, 0x00]),
        malformed(
            "deep", "A body of 10,000 levels is refused, and survived", level: .hardening,
            String(repeating: "[", count: 10_000)),
        malformed(
            "deep-metadata", "Unknown metadata of 10,000 levels is refused, and survived", level: .hardening,
            #"{"requestMetadata":{"x":"# + String(repeating: #"{"a":"#, count: 10_000)),
        test(
            "json-trailing", "A body with something behind the JSON", level: .hardening, at: Section.json("2"),
            .encrypt(.refused(.validation)) { $0.body.append { $0.fields.append(("x", "1}{\"y\":1")) } }),
        test(
            "json-huge-number", "Unknown metadata with a number of 5,000 digits is survived", level: .hardening,
            at: Section.json("6"),
            .encrypt(.handled) { $0.metadata("x", String(repeating: "9", count: 5_000)) }, .reconnect, .health()),
        test(
            "json-many-fields", "Unknown metadata of 2,000 fields is survived", level: .hardening,
            at: Section.json("4"),
            .encrypt(.handled) { draft in for number in 0..<2_000 { draft.metadata("x\(number)", "1") } }, .reconnect,
            .health()),
    ]

    private static let rightJSON = [
        test(
            "json-blanks", "Blanks between the parts of JSON do not count", at: Section.json("2"),
            .encrypt { $0.spaced = true }, .decrypt()),
        test(
            "json-order", "The order of fields does not count", at: Section.json("4"),
            .encrypt { $0.body.append { $0.fields.reverse() } }, .decrypt()),
        test(
            "json-escaped-name", "A field's name may be written with escapes", at: Section.json("7"),
            .encrypt { draft in
                draft.body.append { body in
                    for index in body.fields.indices where body.fields[index].name == "plaintext" {
                        body.fields[index].name = #"plaint\u0065xt"#
                    }
                }
            }, .decrypt()),
        test(
            "json-escaped-value", "A field's value may be written with escapes", at: Section.json("7"),
            .encrypt { $0.field("encryptionAlgorithm", #""AES\u005fGCM""#) }, .decrypt()),
        test(
            "json-escaped-slash", "Base64 may be written with escaped slashes", at: Section.json("7"),
            .encrypt {
                $0.plaintext = [0xFF, 0xFF, 0xFF]
                $0.field("plaintext", #""\/\/\/\/""#)
            }, .decrypt()),
    ]
}

extension Expectation {
    /// One property of what was sealed.
    static func field(_ text: String, _ holds: @escaping @Sendable (SealedFields, Draft) -> Bool) -> Expectation {
        success(" with \(text)") { judged in
            guard let sealed = judged.json.flatMap(SealedFields.init) else {
                return "ciphertext, initializationVector or authenticationTag is missing, or no base64"
            }
            return holds(sealed, judged.draft) ? nil : "without it"
        }
    }

    static let freshVector = encrypted.and("a vector that was not there before") { judged in
        let vectors = judged.memory.encryptions.map(\.initializationVector)
        return Set(vectors).count == vectors.count ? nil : "the same vector for two encryptions"
    }

    static let integrity = encrypted.and("ciphertextDataIntegrityValue") { judged in
        guard let sealed = judged.memory.encryptions.last, let value = sealed.integrityValue else {
            return "there is no ciphertextDataIntegrityValue in base64"
        }
        let right = AnswerShape.integrityValue(sealed, additionalData: judged.draft.additionalData)
        return value == right ? nil : "the integrity value is not the hash of these fields"
    }

    static let readingOfIntegrity: Expectation = {
        var expectation = Expectation("it is OPTIONAL, and nobody has asked") { judged in
            guard judged.answer?.status == 200 else { return judged.seen }
            return judged.json?["ciphertextDataIntegrityValue"] == nil ? "not sent" : "sent"
        }
        expectation.isReading = true
        return expectation
    }()

    static let largerThanAsked = Expectation("200, or 501 UnsupportedOperationException") { judged in
        guard let answer = judged.answer else { return judged.seen }
        let isUnsupported = answer.status == 501 && judged.json?["errorName"]?.text == "UnsupportedOperationException"
        return answer.status == 200 || isUnsupported ? nil : judged.seen
    }
}
