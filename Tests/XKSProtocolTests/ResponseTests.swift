// SPDX-License-Identifier: Apache-2.0
import Chance
import SecureMemory
import SeededRandom
import StatusVocabulary
import Testing
import XKSProtocol

@Suite struct ResponseTests {
    @Test func writesKeyMetadata() {
        #expect(
            XKSResponse.keyMetadata(usage: [.decrypt, .encrypt], status: .enabled).text
                == #"{"keySpec":"AES_256","keyUsage":["ENCRYPT","DECRYPT"],"keyStatus":"ENABLED"}"#)
        let all = XKSResponse.keyMetadata(usage: KeyUsage(rawValue: .max), status: .disabled).text
        let names = #"["ENCRYPT","DECRYPT","SIGN","VERIFY","WRAP","UNWRAP"]"#
        #expect(all == #"{"keySpec":"AES_256","keyUsage":"# + names + #","keyStatus":"DISABLED"}"#)
        #expect(XKSResponse.keyMetadata(usage: [], status: .enabled).text.contains(#""keyUsage":[],"#))
    }

    @Test func writesTheDecryptExampleOfTheSpecification() {
        let body = secret("Hello World!").withUnsafeBytes { XKSResponse.decrypt(plaintext: $0) }
        #expect(body.text == #"{"plaintext":"SGVsbG8gV29ybGQh"}"#)
        let response = ProxyResponse.success(body)
        #expect(response.status == 200)
        #expect(response.body.text == body.text)
    }

    @Test func writesTheHealthExampleOfTheSpecification() throws {
        let report = HealthReport(
            fleetSize: 2, proxyVendor: "Acme Corp", proxyModel: "Acme XKS Proxy 1.0", keyManagerVendor: "Thales Group",
            keyManagers: [
                .init(id: "hsm-id-1", model: "Luna 5.0", status: .degraded),
                .init(id: "hsm-id-2", model: "Luna 5.1", status: .active),
            ])
        let head =
            #"{"xksProxyFleetSize":2,"xksProxyVendor":"Acme Corp","xksProxyModel":"Acme XKS Proxy 1.0","#
            + #""ekmVendor":"Thales Group","ekmFleetDetails":["#
        let tail =
            #"{"id":"hsm-id-1","model":"Luna 5.0","healthStatus":"DEGRADED"},"#
            + #"{"id":"hsm-id-2","model":"Luna 5.1","healthStatus":"ACTIVE"}]}"#
        #expect(try report.body().text == head + tail)
    }

    @Test func keepsHealthWithinWhatTheAPIAllows() throws {
        var report = HealthReport(
            fleetSize: 0, proxyVendor: "a\"\\\n\u{0}\u{7f}é😀", proxyModel: String(repeating: "m", count: 300),
            keyManagerVendor: "v", keyManagers: [])
        #expect(throws: XKSError(.internalFailure, "this proxy knows no external key manager")) { try report.body() }
        // The worst first. Cut at ten, none of which serves, KMS would refuse to connect the key store.
        report.keyManagers = (0..<12).map {
            .init(id: "hsm\($0)", model: "x", status: $0 < 10 ? .unavailable : .active)
        }
        let text = try report.body().text
        #expect(text.hasPrefix(#"{"xksProxyFleetSize":1,"xksProxyVendor":"a\"\\\u000a\u0000\u007fé😀","#))
        #expect(text.contains("\"\(String(repeating: "m", count: HealthReport.longestText))\""))
        #expect(text.contains("\"hsm8\""))
        #expect(!text.contains("\"hsm9\"") && !text.contains("\"hsm10\""))
        #expect(text.hasSuffix(#"{"id":"hsm11","model":"x","healthStatus":"ACTIVE"}]}"#))
    }

    private func fields(_ ciphertext: Int = 1, vector: Int = 12, tag: Int = 16, metadata: Int? = 4) -> EncryptedFields {
        EncryptedFields(
            ciphertext: SecretBytes([UInt8](repeating: 1, count: ciphertext)),
            initializationVector: [UInt8](repeating: 2, count: vector),
            authenticationTag: [UInt8](repeating: 3, count: tag),
            ciphertextMetadata: metadata.map { [UInt8](repeating: 4, count: $0) })
    }

    @Test func writesEncryptWithAndWithoutOptionalFields() throws {
        var example = EncryptedFields(
            ciphertext: SecretBytes(bytes(hex: "821c642b5b71783367deaf18")),
            initializationVector: bytes(hex: "1ccae5470f39700254779031"),
            authenticationTag: bytes(hex: "bc1c4dda7707d6812447c5955e99b261"), ciphertextMetadata: nil)
        let head =
            #"{"ciphertext":"ghxkK1txeDNn3q8Y","initializationVector":"HMrlRw85cAJUd5Ax","#
            + #""authenticationTag":"vBxN2ncH1oEkR8WVXpmyYQ==""#
        #expect(try example.body().text == head + "}")
        example.ciphertextMetadata = Array("key_version=1".utf8)
        example.integrityValue = bytes(hex: "a8703f2260bd8791ec2d15ea0b23e65a0631eedcf2a13a65cc82db3f47cf5ec7")
        #expect(
            try example.body().text == head + #","ciphertextMetadata":"a2V5X3ZlcnNpb249MQ==","#
                + #""ciphertextDataIntegrityValue":"qHA/ImC9h5HsLRXqCyPmWgYx7tzyoTplzILbP0fPXsc="}"#)
    }

    @Test func refusesLengthsThatTheAPIDoesNotAllow() throws {
        for good in [fields(), fields(vector: 16), fields(metadata: 0), fields(metadata: 20), fields(metadata: nil)] {
            #expect(try good.body().count > 0)
        }
        for bad in [
            fields(0), fields(vector: 8), fields(vector: 0), fields(tag: 12), fields(tag: 17), fields(metadata: 21),
        ] {
            let refused = #expect(throws: XKSError.self) { try bad.body() }
            #expect(refused?.name == .internalFailure)
        }
    }

    @Test(arguments: 0..<4) func readsBackWhatItWrote(seed: UInt64) throws {
        var generator = RandomChoice(seed: seed)
        for _ in 0..<250 {
            let written = EncryptedFields(
                ciphertext: SecretBytes(generator.bytes(1 + generator.below(100))),
                initializationVector: generator.bytes(generator.below(2) == 0 ? 12 : 16),
                authenticationTag: generator.bytes(16),
                ciphertextMetadata: generator.below(4) == 0 ? nil : generator.bytes(generator.below(21)),
                integrityValue: generator.below(2) == 0 ? nil : generator.bytes(32))
            let read = try EncryptedFields(readingBack: written.body())
            #expect(read.ciphertext.array == written.ciphertext.array)
            #expect(read.initializationVector == written.initializationVector)
            #expect(read.authenticationTag == written.authenticationTag)
            #expect(read.ciphertextMetadata == written.ciphertextMetadata)
            #expect(read.integrityValue == written.integrityValue)
        }
    }

    @Test func readingBackFollowsTheBytesAndNotTheirOrigin() throws {
        let body = try fields(30).body()
        var altered = body.array
        let position = try #require(altered.firstIndex(of: UInt8(ascii: "A")))
        altered[position] = UInt8(ascii: "B")
        #expect(try EncryptedFields(readingBack: SecretBytes(altered)).ciphertext.array != fields(30).ciphertext.array)
        for broken in [Array(body.array.dropLast()), [], Array("{}".utf8), Array(#"{"ciphertext":"AAAA"}"#.utf8)] {
            let refused = #expect(throws: XKSError.self) { try EncryptedFields(readingBack: SecretBytes(broken)) }
            #expect(refused?.name == .internalFailure)
        }
    }
}
