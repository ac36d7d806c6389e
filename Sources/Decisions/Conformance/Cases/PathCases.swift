// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

extension ConformanceCase {
    static let paths: [ConformanceCase] = methods + unknownPaths + hostilePaths + keyIDs

    private static let methods =
        XKSOperation.allCases.map { operation in
            ConformanceCase(
                "paths-get-\(word(operation))", .paths, .must, Section.operations,
                "A GET of \(operation.rawValue)'s path is refused with 405",
                [
                    .call(
                        DraftRequest(operation) {
                            $0.method = "GET"
                            $0.rawBody = []
                        }, .status(405))
                ])
        }
        + ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "CERTIFY"].map { method in
            hostile(
                "paths-method-\(method.lowercased())", .hardening, Section.operations,
                "A \(method) is refused: every operation is a POST", .anyRefusal, group: .paths
            ) { $0.method = method }
        }
        + [
            ConformanceCase(
                "paths-get-unsigned", .paths, .note, Section.operations, "A GET without a signature",
                [
                    .health(.reading("405 for the method, or 401 for the signature")) {
                        $0.method = "GET"
                        $0.removeHeader("authorization")
                    }
                ])
        ]

    private static func word(_ operation: XKSOperation) -> String {
        switch operation {
        case .health: "health"
        case .metadata: "metadata"
        case .encrypt: "encrypt"
        case .decrypt: "decrypt"
        }
    }

    /// A path that is signed as it is sent.
    private static func wrongPath(
        _ id: String, _ title: String, level: Bindingness = .must,
        expecting expectation: Expectation = .refused(.invalidURIPath), _ change: @escaping @Sendable (Draft) -> String
    ) -> ConformanceCase {
        ConformanceCase(
            "paths-\(id)", .paths, level, Section.errors, title, [.health(expectation) { $0.target = change($0) }])
    }

    private static let unknownPaths = [
        wrongPath("unknown-operation", "An operation on a key that is none of the four is refused") {
            $0.subject.endpoint.uriPath + "/keys/\($0.key)/sign"
        },
        wrongPath("unknown-resource", "A path below the API's that is none is refused") {
            $0.subject.endpoint.uriPath + "/certify"
        },
        wrongPath("longer-operation", "A path that goes on behind an operation is refused") { $0.target + "/more" },
        wrongPath("longer-name", "A path that begins like an operation is refused") { $0.target + "x" },
        wrongPath("upper-case", "The case of a path counts") { $0.subject.endpoint.uriPath + "/HEALTH" },
        wrongPath("api-itself", "The path of the API without an operation is refused") { $0.subject.endpoint.uriPath },
        wrongPath("encrypt-without-key", "Encrypt without a key is refused") {
            $0.subject.endpoint.uriPath + "/encrypt"
        },
        wrongPath("keys-without-key", "A path of keys without a key is refused") {
            $0.subject.endpoint.uriPath + "/keys/metadata"
        },
        wrongPath("health-of-key", "Health of a key is refused") {
            $0.subject.endpoint.uriPath + "/keys/\($0.key)/health"
        },
        wrongPath(
            "other-version", "A version of the API that there is not is refused",
            expecting: .refused(.invalidURIPath, .authenticationFailed)
        ) { $0.subject.endpoint.prefix + "/kms/xks/v2/health" },
        wrongPath(
            "other-prefix", "A prefix that no key store has is refused",
            expecting: .refused(.invalidURIPath, .authenticationFailed)
        ) { $0.subject.endpoint.prefix + "/certify/kms/xks/v1/health" },
        wrongPath(
            "longest-prefix", "The longest URI path, of 128 characters, is taken for one that nobody has",
            expecting: .refused(.invalidURIPath, .authenticationFailed)
        ) { _ in "/" + String(repeating: "p", count: 116) + "/kms/xks/v1/health" },
        wrongPath("root", "The path / is refused", expecting: .refused(.invalidURIPath, .authenticationFailed)) { _ in
            "/"
        },
    ]

    private static let hostilePaths = [
        wrongPath("dot-segments", "Dot segments are not followed", level: .hardening, expecting: .anyRefusal) {
            $0.subject.endpoint.uriPath + "/keys/../health"
        },
        wrongPath(
            "escaped", "A percent-encoded letter is not decoded and served", level: .hardening, expecting: .anyRefusal
        ) {
            $0.subject.endpoint.uriPath + "/%68ealth"
        },
        wrongPath(
            "escaped-slash", "A percent-encoded slash is not taken for one", level: .hardening, expecting: .anyRefusal
        ) {
            $0.subject.endpoint.uriPath + "/keys/\($0.key)%2Fmetadata"
        },
        wrongPath("double-slash", "An empty segment is not overlooked", level: .hardening, expecting: .anyRefusal) {
            $0.subject.endpoint.uriPath + "//health"
        },
        wrongPath("backslash", "A backslash is not taken for a slash", level: .hardening, expecting: .anyRefusal) {
            $0.subject.endpoint.uriPath + "\\health"
        },
        wrongPath("null", "A percent-encoded zero does not end the path", level: .hardening, expecting: .anyRefusal) {
            $0.target + "%00.txt"
        },
        wrongPath("long", "A path of 60,000 characters is refused", level: .hardening, expecting: .refusedOrClosed) {
            $0.subject.endpoint.uriPath + "/keys/" + String(repeating: "k", count: 60_000) + "/metadata"
        },
        ConformanceCase(
            "paths-query", .paths, .note, Section.canonical, "A path with a query, which is signed",
            [.health(.reading("the API has no queries; refused, or ignored")) { $0.target += "?a=1" }]),
        ConformanceCase(
            "paths-slash-at-end", .paths, .note, Section.operations, "A path with a slash at its end",
            [.health(.reading("another path, or the same")) { $0.target += "/" }]),
        ConformanceCase(
            "paths-absolute", .paths, .note, Section.http1("3.2.2"), "A target in absolute form",
            [
                .health(.reading("HTTP/1.1 has a server take it; no signature is defined for it")) {
                    $0.signedTarget = $0.target
                    $0.target =
                        "\($0.subject.endpoint.isTLS ? "https" : "http")://\($0.subject.endpoint.authority)"
                        + $0.target
                }
            ]),
    ]

    private static let keyIDs = [
        ConformanceCase(
            "paths-key-unknown", .paths, .must, Section.errors, "A key that there is not is not found",
            [.metadata(.refused(.keyNotFound)) { $0.key = "certify-no-such-key" }]),
        ConformanceCase(
            "paths-key-unknown-encrypt", .paths, .must, Section.errors, "Encrypting with a key that there is not",
            [.encrypt(.refused(.keyNotFound)) { $0.key = "certify-no-such-key" }]),
        ConformanceCase(
            "paths-key-unknown-decrypt", .paths, .must, Section.errors, "Decrypting with a key that there is not",
            [.encrypt(), .decrypt(.refused(.keyNotFound)) { $0.key = "certify-no-such-key" }]),
        ConformanceCase(
            "paths-key-longest", .paths, .must, Section.operations,
            "A key id of 128 characters, of all kinds that are allowed, is taken for one",
            [
                .metadata(.refused(.keyNotFound)) {
                    $0.key = "Certify-no.such_key-0123456789" + String(repeating: "k", count: 98)
                }
            ]),
        ConformanceCase(
            "paths-key-too-long", .paths, .must, Section.operations, "A key id of 129 characters is refused",
            [
                .metadata(.refused(.validation, .keyNotFound, .invalidURIPath)) {
                    $0.key = String(repeating: "k", count: 129)
                }
            ]),
        ConformanceCase(
            "paths-key-characters", .paths, .must, Section.operations,
            "A key id with a character that is not allowed is refused",
            [.metadata(.refused(.validation, .keyNotFound, .invalidURIPath)) { $0.key = "certify~key" }]),
        ConformanceCase(
            "paths-key-empty", .paths, .must, Section.operations, "An empty key id is refused",
            [.metadata(.refused(.validation, .keyNotFound, .invalidURIPath)) { $0.key = "" }]),
        ConformanceCase(
            "paths-key-case", .paths, .must, Section.operations,
            "A key id is identified without ambiguity: its case counts",
            [.metadata(.refused(.keyNotFound)) { $0.key = Draft.otherCase($0.key) }]),
        ConformanceCase(
            "paths-key-longer", .paths, .must, Section.operations,
            "A key id is identified without ambiguity: another one that begins with it is another",
            [.metadata(.refused(.keyNotFound)) { $0.key += "-certify" }]),
        ConformanceCase(
            "paths-key-usage-encrypt", .paths, .must, Section.errors,
            "Encrypting with a key that may only decrypt is refused", needs: [.decryptOnlyKey],
            [.encrypt(.refused(.invalidKeyUsage)) { $0.key = $0.subject.decryptOnlyKey ?? "" }]),
        ConformanceCase(
            "paths-key-usage-decrypt", .paths, .must, Section.errors,
            "Decrypting with a key that may only encrypt is refused", needs: [.encryptOnlyKey],
            [
                .encrypt { $0.key = $0.subject.encryptOnlyKey ?? "" },
                .decrypt(.refused(.invalidKeyUsage)),
            ]),
        ConformanceCase(
            "paths-key-usage-neither", .paths, .must, Section.errors,
            "Encrypting with a key that may do neither is refused", needs: [.unusableKey],
            [.encrypt(.refused(.invalidKeyUsage)) { $0.key = $0.subject.unusableKey ?? "" }]),
    ]
}

extension Draft {
    /// With the case of each letter changed; digits alone get a letter.
    static func otherCase(_ key: String) -> String {
        let other = String(
            key.unicodeScalars.map { scalar -> Character in
                switch scalar {
                case "a"..."z": Character(Unicode.Scalar(UInt8(scalar.value) ^ 0x20))
                case "A"..."Z": Character(Unicode.Scalar(UInt8(scalar.value) ^ 0x20))
                default: Character(scalar)
                }
            })
        return other == key ? key + "A" : other
    }
}
