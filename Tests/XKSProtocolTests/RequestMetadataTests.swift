// SPDX-License-Identifier: Apache-2.0
import Testing
import XKSProtocol

@Suite struct RequestMetadataTests {
    private static let all = [
        "awsPrincipalArn", "kmsKeyArn", "kmsOperation", "kmsRequestId", "awsSourceVpc", "awsSourceVpce",
        "kmsViaService",
    ]

    /// Reads the metadata with one field set to a JSON value, or without it.
    private func read(_ operation: XKSOperation, _ name: String, _ value: String?) -> Result<RequestMetadata, XKSError>
    {
        let metadata = Sample.object(Sample.fields(Sample.metadataFields, name, value))
        let only = Sample.object([("requestMetadata", metadata)])
        return switch operation {
        case .health: XKSProtocolTests.read(HealthRequest.self, only).map(\.metadata)
        case .metadata: XKSProtocolTests.read(GetKeyMetadataRequest.self, only).map(\.metadata)
        case .encrypt:
            XKSProtocolTests.read(EncryptRequest.self, Sample.encrypt("requestMetadata", metadata)).map(\.metadata)
        case .decrypt:
            XKSProtocolTests.read(DecryptRequest.self, Sample.decrypt("requestMetadata", metadata)).map(\.metadata)
        }
    }

    private func required(_ operation: XKSOperation) -> Set<String> {
        switch operation {
        case .health: ["kmsOperation", "kmsRequestId"]
        case .metadata: ["awsPrincipalArn", "kmsOperation", "kmsRequestId"]
        case .encrypt, .decrypt: ["awsPrincipalArn", "kmsKeyArn", "kmsOperation", "kmsRequestId"]
        }
    }

    private func value(of name: String, in metadata: RequestMetadata) -> String? {
        switch name {
        case "awsPrincipalArn": metadata.awsPrincipalArn
        case "kmsKeyArn": metadata.kmsKeyArn
        case "kmsOperation": metadata.kmsOperation
        case "kmsRequestId": metadata.kmsRequestId
        case "awsSourceVpc": metadata.awsSourceVpc
        case "awsSourceVpce": metadata.awsSourceVpce
        default: metadata.kmsViaService
        }
    }

    @Test(arguments: XKSOperation.allCases, all) func eachFieldIsRequiredOrNot(operation: XKSOperation, name: String) {
        let isRequired = required(operation).contains(name)
        for absent in [read(operation, name, nil), read(operation, name, "null"), read(operation, name, "\"\"")] {
            #expect((error(of: absent)?.name == .validation) == isRequired)
            if isRequired { #expect(error(of: absent)?.message.hasPrefix("requestMetadata.\(name) ") == true) }
        }
        if !isRequired {
            #expect(
                XKSProtocolTests.value(of: read(operation, name, "null")).map { value(of: name, in: $0) == nil } == true
            )
        }
    }

    @Test(arguments: XKSOperation.allCases, all) func eachFieldIsAString(operation: XKSOperation, name: String) {
        for json in ["1", "true", "[]", "{}", "[\"a\"]"] {
            let refused = error(of: read(operation, name, json))
            #expect(refused?.name == .validation)
            #expect(refused?.message.hasPrefix("requestMetadata.\(name) must be a string") == true)
        }
        let found = XKSProtocolTests.value(of: read(operation, name, "\"AWS \\u00e9\\\"😀\\uD83D\\uDE00\""))
        #expect(found.flatMap { value(of: name, in: $0) } == "AWS é\"😀😀")
    }

    @Test(arguments: XKSOperation.allCases, all) func eachFieldIsBounded(operation: XKSOperation, name: String) {
        let longest = name.hasSuffix("Arn") ? 2_048 : 512
        for character in ["a", "é", "😀"] {
            let good = String(repeating: character, count: longest)
            let kept = XKSProtocolTests.value(of: read(operation, name, "\"\(good)\"")).flatMap {
                value(of: name, in: $0)
            }
            #expect(kept == good)
            let refused = error(of: read(operation, name, "\"\(good)a\""))
            #expect(refused?.name == .validation)
            #expect(refused?.message.hasPrefix("requestMetadata.\(name) is longer than \(longest) characters") == true)
        }
    }

    @Test(arguments: XKSOperation.allCases) func anyKMSOperationAndRequestIDWillDo(operation: XKSOperation) {
        #expect(error(of: read(operation, "kmsOperation", "\"BulkEncrypt\"")) == nil)
        #expect(error(of: read(operation, "kmsRequestId", "\"not a UUID\"")) == nil)
        #expect(error(of: read(operation, "awsPrincipalArn", "\"AWS Internal\"")) == nil)
    }

    /// The value as JSON, and what is kept of it.
    @Test(
        arguments: [
            (#""a\u0062""#, ["ab"]), ("[]", nil), (#"["a", 1, true, null, ["b"], {"c": "d"}]"#, ["a", "1", "true"]),
            ("-1.5e3", ["-1.5e3"]), ("false", ["false"]), ("null", nil), (#"{"kmsTier": "a"}"#, nil), (#""""#, [""]),
        ] as [(String, [String]?)])
    func anUnknownFieldIsKeptOnlyWhereItIsAskedFor(json: String, values: [String]?) {
        var limits = XKSLimits.standard
        for operation in ["a", "b"] {
            let metadata = Sample.object(Sample.metadataFields + [("kmsTier", json)])
            let body = Sample.object([("more", "{\"x\": \"y\"}"), ("requestMetadata", metadata), ("other", json)])
            let found = XKSProtocolTests.value(
                of: XKSProtocolTests.read(GetKeyMetadataRequest.self, body, limits: limits))
            let expected = values.map { [RequestMetadata.OtherField(name: "kmsTier", values: $0)] } ?? []
            #expect(found?.metadata.others == (operation == "a" ? [] : expected))
            limits.keepsUnknownFields = true
        }
    }

    @Test(arguments: [#"["a" "b"]"#, #"["a""#, "[,]", "[1,]", "\"a", "tru", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]"])
    func anUnknownFieldThatIsNoJSONIsRefusedAllTheSame(json: String) {
        var limits = XKSLimits.standard
        limits.keepsUnknownFields = true
        let metadata = Sample.object(Sample.metadataFields + [("kmsTier", json)])
        let body = Sample.object([("requestMetadata", metadata)])
        #expect(error(of: XKSProtocolTests.read(HealthRequest.self, body, limits: limits))?.name == .validation)
    }

    @Test func mustBeAnObject() {
        for json in ["null", "[]", "\"a\"", "1"] {
            let body = Sample.object([("requestMetadata", json)])
            let refused = error(of: XKSProtocolTests.read(HealthRequest.self, body))
            #expect(refused?.message.hasPrefix("requestMetadata must be a JSON object") == true)
        }
    }
}
