// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

extension ConformanceCase {
    static let metadata: [ConformanceCase] = answered + requestMetadata(of: .metadata) + missingMetadata

    private static let answered = [
        ConformanceCase(
            "metadata-key-spec", .metadata, .must, Section.metadata, "keySpec is AES_256",
            [.metadata(.success("") { AnswerShape.keySpecFlaw($0.json) })]),
        ConformanceCase(
            "metadata-key-usage", .metadata, .must, Section.metadata, "keyUsage is an array of at most ten texts",
            [.metadata(.success("") { AnswerShape.keyUsageFlaw($0.json) })]),
        ConformanceCase(
            "metadata-key-usage-both", .metadata, .must, Section.metadata,
            "keyUsage holds ENCRYPT and DECRYPT, without which no KMS key can be made",
            [
                .metadata(
                    .success(" with ENCRYPT and DECRYPT") { judged in
                        let usage = judged.json?["keyUsage"]?.elements?.compactMap(\.text) ?? []
                        return usage.contains("ENCRYPT") && usage.contains("DECRYPT") ? nil : "keyUsage lacks one"
                    })
            ]),
        ConformanceCase(
            "metadata-key-status", .metadata, .must, Section.metadata, "keyStatus is ENABLED or DISABLED",
            [.metadata(.success("") { AnswerShape.keyStatusFlaw($0.json) })]),
        ConformanceCase(
            "metadata-without-key-arn", .metadata, .must, Section.metadata,
            "The request of CreateKey has no kmsKeyArn yet, and is answered",
            [
                .metadata {
                    $0.metadata("kmsKeyArn", nil)
                    $0.metadata("kmsOperation", "\"CreateKey\"")
                }
            ]),
        ConformanceCase(
            "metadata-same-twice", .metadata, .hardening, Section.metadata, "The same question has the same answer",
            [.metadata(.metadata), .metadata(.sameAsBefore)]),
    ]

    /// What KMS may tell of itself, and what it may tell some day: of each operation.
    static func requestMetadata(of operation: XKSOperation) -> [ConformanceCase] {
        let (word, group, section, expected): (String, CaseGroup, String, Expectation) =
            switch operation {
            case .health: ("health", .health, Section.health, .health)
            case .metadata: ("metadata", .metadata, Section.metadata, .metadata)
            case .encrypt: ("encrypt", .encrypt, Section.encrypt, .encrypted)
            case .decrypt: ("decrypt", .decrypt, Section.decrypt, .decrypted)
            }
        func taken(
            _ id: String, _ level: Bindingness, _ section: String, _ title: String,
            _ alter: @escaping @Sendable (inout Draft) -> Void
        ) -> ConformanceCase {
            let call = CaseStep.call(DraftRequest(operation, alter), expected)
            return ConformanceCase(
                "\(word)-\(id)", group, level, section, "\(operation.rawValue): \(title)",
                operation == .decrypt ? [.encrypt(), call] : [call])
        }
        let general = [
            taken("unknown-kms-operation", .must, section, "a kmsOperation that is not known is no reason to refuse") {
                $0.metadata("kmsOperation", "\"CertifySomethingNew\"")
            },
            taken("request-id-opaque", .must, section, "kmsRequestId is opaque: any text is taken") {
                $0.metadata("kmsRequestId", #""claviger certify: no UUID, \u00e9 {}""#)
            },
            taken("request-id-short", .must, section, "kmsRequestId of one character is taken") {
                $0.metadata("kmsRequestId", "\"1\"")
            },
            taken(
                "unknown-metadata", .should, Section.fields, "fields of requestMetadata that are not known are ignored"
            ) {
                $0.metadata("sourceIdentity", "\"certify\"")
                $0.metadata("kmsRecipientAttestationPCR0", "\"00\"")
            },
            taken("unknown-metadata-nested", .should, Section.fields, "such fields may hold objects and arrays") {
                $0.metadata("principalTags", #"{"a":["b",{"c":null}],"d":1.5e3,"e":true}"#)
            },
        ]
        guard operation != .health else { return general }
        return general + [
            taken("long-arns", .must, Section.operations, "ARNs of 2,048 characters are taken") {
                let arn = "arn:aws:iam::000000000000:role/"
                let long = arn + String(repeating: "r", count: 2_048 - arn.utf8.count)
                $0.metadata("awsPrincipalArn", JSONObject.string(long))
                let key = "arn:aws:kms:us-east-1:000000000000:key/"
                $0.metadata("kmsKeyArn", JSONObject.string(key + String(repeating: "k", count: 2_048 - key.utf8.count)))
            },
            taken("service-principal", .must, section, "awsPrincipalArn may name a service, or AWS Internal") {
                $0.metadata("awsPrincipalArn", "\"AWS Internal\"")
            },
            taken("vpc", .must, section, "awsSourceVpc, awsSourceVpce and kmsViaService are taken") {
                $0.metadata("awsSourceVpc", "\"vpc-0123456789abcdef0\"")
                $0.metadata("awsSourceVpce", "\"vpce-0123456789abcdef0\"")
                $0.metadata("kmsViaService", "\"ebs.us-east-1.amazonaws.com\"")
            },
        ]
    }

    /// They are REQUIRED in one sentence, and in another there is "no expectation … to validate" them.
    private static let missingMetadata =
        [
            "awsPrincipalArn": "the sender", "kmsOperation": "the operation", "kmsRequestId": "the request's id",
        ].sorted { $0.key < $1.key }.map { name, meaning in
            ConformanceCase(
                "metadata-without-\(name.lowercased())", .metadata, .note, Section.metadata,
                "A request without \(name), \(meaning)",
                [
                    .metadata(.reading("the field is REQUIRED, and a proxy is not expected to validate it")) {
                        $0.metadata(name, nil)
                    }
                ])
        } + [
            ConformanceCase(
                "metadata-without-any", .metadata, .note, Section.metadata, "A request without requestMetadata",
                [
                    .metadata(.reading("the field is REQUIRED, and a proxy is not expected to validate it")) {
                        $0.field("requestMetadata", nil)
                    }
                ])
        ]
}

extension Expectation {
    /// As the answer before.
    static let sameAsBefore = success(" as before") { judged in
        AnswerShape.metadataFlaw(judged.json)
            ?? (judged.memory.lastBody == judged.answer?.body ? nil : "the answer differs from the one before")
    }
}
