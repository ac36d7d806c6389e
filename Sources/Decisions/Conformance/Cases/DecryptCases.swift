// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

extension ConformanceCase {
    static let decrypt: [ConformanceCase] =
        opening + changed + additionalData + sizesOfParts + requestMetadata(of: .decrypt) + missing + others

    private static func test(
        _ id: String, _ title: String, level: Bindingness = .must, at section: String = Section.decrypt,
        needs: [CaseNeed] = [], _ steps: CaseStep...
    ) -> ConformanceCase {
        ConformanceCase("decrypt-\(id)", .decrypt, level, section, title, needs: needs, steps)
    }

    /// What was encrypted is decrypted with a change, and then as it was: a proxy must not hold a grudge.
    private static func spoiled(
        _ id: String, _ title: String, at section: String = Section.decrypt, with data: [UInt8]? = Self.data,
        expecting expectation: Expectation = .refused(.invalidCiphertext),
        _ alter: @escaping @Sendable (inout Draft) -> Void
    ) -> ConformanceCase {
        test(
            id, title, at: section, .encrypt { $0.additionalData = data }, .decrypt(expectation, alter), .reconnect,
            .decrypt())
    }

    private static let data = Array("project=nile,department=marketing".utf8)

    private static let opening = [
        test("round-trip", "What was encrypted is decrypted", .encrypt(), .decrypt()),
        test("round-trip-aad", "The same with additional data", .encrypt { $0.additionalData = data }, .decrypt()),
        test(
            "length", "The plaintext is as long as the ciphertext", .encrypt { $0.plaintext = Array(1...77) },
            .decrypt(
                .success(" with a plaintext of 77 bytes") { judged in
                    judged.json?["plaintext"]?.bytes?.count == 77 ? nil : "without it"
                })),
        test(
            "again", "A ciphertext can be decrypted as often as one likes", .encrypt(), .decrypt(), .decrypt(),
            .decrypt()),
        test("other-connection", "It can be decrypted over another connection", .encrypt(), .reconnect, .decrypt()),
        test(
            "re-encrypt", "A decryption for ReEncrypt is answered",
            .encrypt(), .decrypt { $0.metadata("kmsOperation", "\"ReEncrypt\"") }),
        test(
            "binary", "All values of a byte survive a round trip",
            .encrypt { $0.plaintext = (0...255).map { UInt8($0) } }, .decrypt()),
        test(
            "integrity-field", "The integrity value is no field of a decryption, and one that is sent",
            level: .note, .encrypt { $0.integrity = true },
            .decrypt(.reading("a field that is not known; ignored, or refused")) {
                $0.field("ciphertextDataIntegrityValue", JSONObject.base64($0.sealed.integrityValue ?? []))
            }),
    ]

    private static let changed = [
        spoiled("ciphertext-first-bit", "A ciphertext with another first bit is refused") {
            Draft.flip(&$0.sealed.ciphertext, first: true)
        },
        spoiled("ciphertext-last-bit", "A ciphertext with another last bit is refused") {
            Draft.flip(&$0.sealed.ciphertext, first: false)
        },
        spoiled("ciphertext-shorter", "A ciphertext that lacks its last byte is refused") {
            $0.sealed.ciphertext = $0.sealed.ciphertext.dropLast()
        },
        spoiled("ciphertext-longer", "A ciphertext with a byte too many is refused") { $0.sealed.ciphertext.append(0) },
        spoiled("ciphertext-random", "A ciphertext that nobody has made is refused") {
            $0.sealed.ciphertext = Array(repeating: 0x5A, count: 64)
        },
        spoiled("tag-first-bit", "A tag with another first bit is refused") {
            Draft.flip(&$0.sealed.authenticationTag, first: true)
        },
        spoiled("tag-last-bit", "A tag with another last bit is refused") {
            Draft.flip(&$0.sealed.authenticationTag, first: false)
        },
        spoiled("tag-zero", "A tag of zeros is refused") {
            $0.sealed.authenticationTag = Array(repeating: 0, count: 16)
        },
        spoiled("vector-first-bit", "A vector with another first bit is refused") {
            Draft.flip(&$0.sealed.initializationVector, first: true)
        },
        spoiled("vector-last-bit", "A vector with another last bit is refused") {
            Draft.flip(&$0.sealed.initializationVector, first: false)
        },
        spoiled("vector-other-length", "A vector of the other length is refused") {
            let isShort = $0.sealed.initializationVector.count == 12
            $0.sealed.initializationVector =
                isShort
                ? $0.sealed.initializationVector + [0, 0, 0, 1] : Array($0.sealed.initializationVector.prefix(12))
        },
        spoiled("swapped", "The parts of two encryptions do not fit together") {
            $0.sealed.ciphertext = Array($0.sealed.ciphertext.reversed())
        },
    ]

    private static let additionalData = [
        spoiled("aad-first-bit", "Additional data with another first bit is refused") {
            Draft.flip(&$0.additionalData, first: true)
        },
        spoiled("aad-last-bit", "Additional data with another last bit is refused") {
            Draft.flip(&$0.additionalData, first: false)
        },
        spoiled("aad-missing", "Additional data that is missing is refused") { $0.additionalData = nil },
        spoiled("aad-empty", "Empty additional data in place of some is refused") { $0.additionalData = [] },
        spoiled("aad-shorter", "Additional data that lacks its last byte is refused") {
            $0.additionalData = $0.additionalData?.dropLast()
        },
        spoiled("aad-longer", "Additional data with a byte too many is refused") { $0.additionalData?.append(0) },
        spoiled("aad-added", "Additional data where there was none is refused", with: nil) { $0.additionalData = [1] },
        spoiled("metadata-changed", "A changed ciphertextMetadata is refused", expecting: .spoiledMetadata) {
            guard $0.sealed.ciphertextMetadata != nil else { return }
            Draft.flip(&$0.sealed.ciphertextMetadata, first: false)
        },
        spoiled("metadata-missing", "A missing ciphertextMetadata is refused", expecting: .spoiledMetadata) {
            $0.sealed.ciphertextMetadata = nil
        },
        spoiled("metadata-longer", "A longer ciphertextMetadata is refused", expecting: .refused(.invalidCiphertext)) {
            $0.sealed.ciphertextMetadata = ($0.sealed.ciphertextMetadata ?? []) + [1]
        },
        spoiled(
            "metadata-as-aad", "ciphertextMetadata that is handed in as additional data is refused",
            at: Section.encrypt,
            with: nil, expecting: .spoiledMetadata
        ) {
            guard let metadata = $0.sealed.ciphertextMetadata else { return }
            $0.additionalData = metadata
            $0.sealed.ciphertextMetadata = nil
        },
        spoiled(
            "metadata-boundary", "A byte that goes from additional data to ciphertextMetadata is noticed",
            at: Section.encrypt
        ) {
            guard var data = $0.additionalData, let last = data.popLast() else { return }
            $0.additionalData = data
            $0.sealed.ciphertextMetadata = [last] + ($0.sealed.ciphertextMetadata ?? [])
        },
        spoiled(
            "metadata-too-long", "ciphertextMetadata of 21 bytes is refused",
            expecting: .refused(.validation, .invalidCiphertext, .unsupportedOperation)
        ) { $0.sealed.ciphertextMetadata = Array(repeating: 1, count: 21) },
    ]

    private static let wrongSize = Expectation.refused(.validation, .invalidCiphertext)

    private static let sizesOfParts =
        [0, 4, 12, 15, 17, 32].map { count in
            spoiled("tag-of-\(count)", "A tag of \(count) bytes is refused", expecting: wrongSize) {
                let tag = $0.sealed.authenticationTag
                $0.sealed.authenticationTag = Array((tag + tag).prefix(count))
            }
        }
        + [0, 8, 11, 13, 17].map { count in
            spoiled("vector-of-\(count)", "A vector of \(count) bytes is refused", expecting: wrongSize) {
                let vector = $0.sealed.initializationVector
                $0.sealed.initializationVector = Array((vector + vector).prefix(count))
            }
        }

    private static let missing =
        [
            ("ciphertext", "ciphertext"), ("initializationVector", "vector"), ("authenticationTag", "tag"),
            ("encryptionAlgorithm", "algorithm"),
        ].flatMap { field, word in
            [
                spoiled(
                    "without-\(word)", "A request without \(field) is refused", at: Section.errors, expecting: wrongSize
                ) {
                    $0.field(field, nil)
                },
                spoiled(
                    "\(word)-number", "\(field) that is a number is refused", at: Section.errors, expecting: wrongSize
                ) {
                    $0.field(field, "1")
                },
                spoiled("\(word)-null", "\(field) that is null is refused", at: Section.errors, expecting: wrongSize) {
                    $0.field(field, "null")
                },
            ]
        }
        + [
            spoiled(
                "other-algorithm", "Another algorithm than AES_GCM is refused",
                expecting: .refused(.validation, .unsupportedOperation)
            ) { $0.field("encryptionAlgorithm", "\"AES_CTR\"") },
            spoiled(
                "ciphertext-no-base64", "A ciphertext that is no base64 is refused", at: Section.base64("4"),
                expecting: wrongSize
            ) { $0.field("ciphertext", "\"!!!!\"") },
            spoiled(
                "tag-no-base64", "A tag that is no base64 is refused", at: Section.base64("4"), expecting: wrongSize
            ) {
                $0.field("authenticationTag", "\"!!!!\"")
            },
            spoiled(
                "vector-no-base64", "A vector that is no base64 is refused", at: Section.base64("4"),
                expecting: wrongSize
            ) { $0.field("initializationVector", "\"!!!!\"") },
            spoiled(
                "metadata-no-base64", "ciphertextMetadata that is no base64 is refused", at: Section.base64("4"),
                expecting: wrongSize
            ) { $0.field("ciphertextMetadata", "\"!!!!\"") },
        ]

    private static let others = [
        test(
            "foreign", "A ciphertext that was never encrypted is refused", .decrypt(.refused(.invalidCiphertext)),
            .reconnect, .encrypt(), .decrypt()),
        test(
            "other-key", "A ciphertext of another key is refused", needs: [.secondKey], .encrypt(),
            .decrypt(.refused(.invalidCiphertext)) { $0.key = $0.subject.secondKey ?? "" }, .reconnect, .decrypt()),
        test(
            "flood", "Forty wrong ciphertexts do not keep a right one from being decrypted", level: .hardening,
            .encrypt(),
            .parallel(
                4,
                (0..<10).map { _ in
                    .decrypt(.refused(.invalidCiphertext)) { Draft.flip(&$0.sealed.ciphertext, first: true) }
                }), .decrypt()),
        test(
            "ciphertext-twice", "A ciphertext that stands twice", level: .note, at: Section.json("4"), .encrypt(),
            .decrypt(.reading("JSON leaves it open which one counts; refusing is the safe reading")) {
                $0.duplicate("ciphertext", "\"AA==\"")
            }),
        test(
            "no-plaintext-of-wrong-tag", "A refused decryption gives nothing of the plaintext", level: .hardening,
            at: "NIST SP 800-38D, 7.2", .encrypt(),
            .decrypt(
                Expectation.anyRefusal.and("without the plaintext") { judged in
                    let body = judged.answer?.body ?? []
                    let told = JSONObject.base64(judged.memory.plaintext).utf8.dropFirst().prefix(16)
                    let isTold =
                        body.firstRange(of: judged.memory.plaintext) != nil || body.firstRange(of: Array(told)) != nil
                    return isTold ? "the answer holds the plaintext" : nil
                }
            ) { Draft.flip(&$0.sealed.authenticationTag, first: true) }),
    ]
}

extension Draft {
    /// Another bit in the first or the last byte.
    static func flip(_ bytes: inout [UInt8], first: Bool) {
        guard !bytes.isEmpty else { return }
        bytes[first ? 0 : bytes.count - 1] ^= first ? 0x80 : 0x01
    }

    static func flip(_ bytes: inout [UInt8]?, first: Bool) {
        guard var changed = bytes else { return }
        flip(&changed, first: first)
        bytes = changed
    }
}

extension Expectation {
    /// Where a proxy sends ciphertextMetadata; else the request is one as any other.
    static let spoiledMetadata = Expectation("400 InvalidCiphertextException, where there is ciphertextMetadata") {
        judged in
        guard judged.memory.encryptions.last?.ciphertextMetadata != nil else { return decrypted.judge(&judged) }
        return refused(.invalidCiphertext).judge(&judged)
    }
}
