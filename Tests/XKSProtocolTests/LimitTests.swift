// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import Testing
import XKSProtocol

@Suite struct LimitTests {
    private func text(_ count: Int) -> String { "\"\(base64([UInt8](repeating: 0x5a, count: count)))\"" }

    @Test func haveDefaultsAndRanges() {
        #expect(XKSLimits.standard.dataBytes == 8_192)
        #expect(XKSLimits.standard.additionalDataBytes == 16_384)
        #expect(XKSLimits(dataBytes: 65_536, additionalDataBytes: 65_535) != nil)
        #expect(XKSLimits(dataBytes: 4_300, additionalDataBytes: 8_192) != nil)
        #expect(XKSLimits(dataBytes: 65_537, additionalDataBytes: 65_535) == nil)
        #expect(XKSLimits(dataBytes: 65_536, additionalDataBytes: 65_536) == nil)
        #expect(XKSLimits(dataBytes: 4_299, additionalDataBytes: 8_192) == nil)
        #expect(XKSLimits(dataBytes: 4_300, additionalDataBytes: 8_191) == nil)
        #expect(XKSLimits(dataBytes: -1, additionalDataBytes: .max) == nil)
    }

    @Test func areExactOnBothWays() throws {
        let widest = try #require(XKSLimits(dataBytes: 65_536, additionalDataBytes: 65_535))
        for limits in [XKSLimits.standard, widest] {
            for (name, limit, read) in fields(limits) {
                #expect(read(text(limit)) == nil, "\(name)")
                let refused = read(text(limit + 1))
                #expect(refused?.name == .unsupportedOperation, "\(name)")
                #expect(refused?.status == 501)
                #expect(refused?.message.hasPrefix(name) == true)
            }
        }
    }

    /// Each field with its limit, and a way to read a body with a value for it.
    private func fields(_ limits: XKSLimits) -> [(String, Int, (String) -> XKSError?)] {
        let additional = "additionalAuthenticatedData"
        return [
            (
                "plaintext", limits.dataBytes,
                { error(of: read(EncryptRequest.self, Sample.encrypt("plaintext", $0), limits: limits)) }
            ),
            (
                additional, limits.additionalDataBytes,
                { error(of: read(EncryptRequest.self, Sample.encrypt(additional, $0), limits: limits)) }
            ),
            (
                "ciphertext", limits.dataBytes,
                { error(of: read(DecryptRequest.self, Sample.decrypt("ciphertext", $0), limits: limits)) }
            ),
            (
                additional, limits.additionalDataBytes,
                { error(of: read(DecryptRequest.self, Sample.decrypt(additional, $0), limits: limits)) }
            ),
        ]
    }

    @Test func aBodyAtTheLimitsFitsTheLargestBody() {
        let limits = XKSLimits.standard
        let arn = "\"" + String(repeating: "a", count: RequestMetadata.longestARN) + "\""
        let other = "\"" + String(repeating: "b", count: RequestMetadata.longestValue) + "\""
        var metadata = Sample.metadataFields.map { ($0.0, $0.0.hasSuffix("Arn") ? arn : other) }
        metadata += [("awsSourceVpc", other), ("awsSourceVpce", other)]
        var fields = Sample.fields(Sample.encryptFields, "plaintext", text(limits.dataBytes))
        fields = Sample.fields(fields, "additionalAuthenticatedData", text(limits.additionalDataBytes))
        fields = Sample.fields(fields, "requestMetadata", Sample.object(metadata))
        let body = Sample.object(fields)
        #expect(value(of: read(EncryptRequest.self, body)) != nil)
        #expect(body.utf8.count + 16_384 < limits.largestBody)
    }
}
