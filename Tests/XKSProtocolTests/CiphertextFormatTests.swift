// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import Testing
import XKSProtocol

/// What is laid down here must never change: ciphertext that exists would no longer open.
@Suite struct CiphertextFormatTests {
    private let exampleAAD = "project=nile,department=marketing"
    /// SHA-256 of the AAD of the specification's example, and of nothing.
    private let digests = [
        "project=nile,department=marketing": "6fb32b1a4c13895a23343800001e0635885003c4d04ebb3cdd631452a824e639",
        "": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ]

    /// Knows the digests above, and nothing else.
    private func sha256(_ input: UnsafeRawBufferPointer) -> [UInt8] {
        bytes(hex: digests[String(decoding: input, as: UTF8.self)] ?? "")
    }

    @Test func theMarkIsWrittenInStone() {
        #expect(hex(CiphertextMetadata.current) == "434c5601")
        #expect(CiphertextMetadata.current.count <= XKSLimits.ciphertextMetadataBytes)
        #expect(CiphertextMetadata(CiphertextMetadata.current) == .claviger(version: 1))
    }

    @Test func tellsWhoMadeACiphertext() {
        #expect(CiphertextMetadata(nil) == .absent)
        for foreign in [
            "", "43", "434c56", "434c57 01", "014c5601", "43564c01", "76302e302e31", "434c560100", "434c560101020304",
        ] {
            #expect(CiphertextMetadata(bytes(hex: foreign)) == .foreign(bytes(hex: foreign)))
        }
        for version in UInt8.min...UInt8.max where version != 1 {
            #expect(CiphertextMetadata([0x43, 0x4c, 0x56, version]) == .clavigerUnknown(version: version))
        }
        #expect(CiphertextMetadata([0x43, 0x4c, 0x56, 2, 9, 9]) == .clavigerUnknown(version: 2))
    }

    @Test func choosesTheForm() throws {
        for foreign in AADForm.allCases {
            #expect(try CiphertextMetadata.claviger(version: 1).form(foreign: foreign, activated: 1) == .specification)
            #expect(try CiphertextMetadata.foreign([1]).form(foreign: foreign, activated: 9) == foreign)
            #expect(try CiphertextMetadata.absent.form(foreign: foreign, activated: 9) == foreign)
            let refused = #expect(throws: XKSError.self) {
                try CiphertextMetadata.clavigerUnknown(version: 7).form(foreign: foreign, activated: 6)
            }
            #expect(refused?.name == .invalidCiphertext)
            #expect(refused?.message.contains("format 7") == true)
            #expect(refused?.message.contains("altered") == true)
        }
        #expect(AADForm(rawValue: "spec") == .specification)
        #expect(AADForm(rawValue: "digest") == .digest)
    }

    /// Where every unknown format was called invalid, those in use were so, too: a node that was rolled back called good
    /// data invalid.
    @Test("up to the format that the cluster has activated an unknown one is good, and for others to open")
    func activatedFormats() throws {
        for version in UInt8.min...UInt8.max where version != 1 {
            for activated: UInt8 in [1, 2, 7, .max] {
                let metadata = CiphertextMetadata(CiphertextMetadata.mark + [version, 0, 0, 0, 1])
                let isOthers = version > 0 && version <= activated
                #expect(metadata.formatOfOthers(activated: activated) == (isOthers ? version : nil))
                let refused = #expect(throws: XKSError.self) {
                    try metadata.form(foreign: .digest, activated: activated)
                }
                #expect(refused?.name == (isOthers ? .internalFailure : .invalidCiphertext))
            }
        }
        #expect(CiphertextMetadata(CiphertextMetadata.current).formatOfOthers(activated: .max) == nil)
        #expect(CiphertextMetadata([1, 2]).formatOfOthers(activated: .max) == nil)
    }

    @Test func theSpecificationsForm() throws {
        #expect(try hex(HSMAdditionalData.specification(aad: nil, metadata: nil).array) == "000000")
        #expect(try hex(HSMAdditionalData.specification(aad: secret(""), metadata: []).array) == "000000")
        #expect(
            try hex(HSMAdditionalData.specification(aad: nil, metadata: CiphertextMetadata.current).array)
                == "000004434c5601")
        #expect(
            try HSMAdditionalData.specification(aad: secret(exampleAAD), metadata: CiphertextMetadata.current).array
                == bytes(
                    hex: """
                        0021 70726f6a6563743d6e696c652c6465706172746d656e743d6d61726b6574696e67
                        04 434c5601
                        """))
    }

    /// Moving bytes between AAD and metadata must show: that is what the lengths are for.
    @Test func theSpecificationsFormIsUnambiguous() throws {
        var seen: Set<[UInt8]> = []
        for aad in 0...20 {
            for metadata in 0...20 {
                let data = try HSMAdditionalData.specification(
                    aad: SecretBytes([UInt8](repeating: 0, count: aad)),
                    metadata: [UInt8](repeating: 0, count: metadata))
                #expect(seen.insert(data.array).inserted)
            }
        }
    }

    @Test func theDigestForm() throws {
        let absent = try HSMAdditionalData.digest(aad: nil, metadata: nil, sha256: sha256)
        #expect(hex(absent.array) == "000000")
        let empty = try HSMAdditionalData.digest(aad: secret(""), metadata: nil, sha256: sha256)
        #expect(hex(empty.array) == "0000e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85500")
        // The length is that of the AAD, 33, not that of the digest.
        let example = try HSMAdditionalData.digest(
            aad: secret(exampleAAD), metadata: Array("v0.0.1".utf8), sha256: sha256)
        #expect(
            hex(example.array) == "0021" + "6fb32b1a4c13895a23343800001e0635885003c4d04ebb3cdd631452a824e639"
                + "0676302e302e31")
        let refused = #expect(throws: XKSError.self) {
            try HSMAdditionalData.digest(aad: secret("unknown"), metadata: nil, sha256: sha256)
        }
        #expect(refused?.name == .internalFailure)
    }

    @Test func makesTheFormThatIsAskedFor() throws {
        let aad = secret(exampleAAD)
        #expect(
            try HSMAdditionalData.make(.specification, aad: aad, metadata: [9], sha256: sha256).array
                == HSMAdditionalData.specification(aad: aad, metadata: [9]).array)
        #expect(
            try HSMAdditionalData.make(.digest, aad: aad, metadata: [9], sha256: sha256).array
                == HSMAdditionalData.digest(aad: aad, metadata: [9], sha256: sha256).array)
    }

    @Test func lengthsThatDoNotFitAreErrors() throws {
        let largest = SecretBytes([UInt8](repeating: 0, count: 65_535))
        #expect(try HSMAdditionalData.specification(aad: largest, metadata: [1]).array.prefix(2) == [0xff, 0xff])
        #expect(try HSMAdditionalData.specification(aad: largest, metadata: [1]).count == 65_539)
        let zeroDigest: (UnsafeRawBufferPointer) -> [UInt8] = { _ in [UInt8](repeating: 0, count: 32) }
        for count in [65_536, 65_537, 131_072] {
            let aad = SecretBytes([UInt8](repeating: 0, count: count))
            for form in AADForm.allCases {
                let refused = #expect(throws: XKSError.self) {
                    try HSMAdditionalData.make(form, aad: aad, metadata: nil, sha256: zeroDigest)
                }
                #expect(refused?.name == .unsupportedOperation)
            }
        }
        for count in [21, 255, 256, 300] {
            let refused = #expect(throws: XKSError.self) {
                try HSMAdditionalData.specification(aad: nil, metadata: [UInt8](repeating: 0, count: count))
            }
            #expect(refused?.name == .validation)
        }
    }
}

@Suite struct IntegrityValueTests {
    private func collect(_ feed: ((UnsafeRawBufferPointer) -> Void) -> Void) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        feed { pieces.append(Array($0)) }
        return pieces
    }

    /// XKS 1.0.3, Appendix C: 33 + 13 + 12 + 12 + 16 bytes.
    @Test func theExampleOfTheSpecification() throws {
        let request = try EncryptRequest(body: secret(Sample.encrypt), limits: .standard)
        let answer = try DecryptRequest(body: secret(Sample.decrypt), limits: .standard)
        let fields = EncryptedFields(
            ciphertext: answer.ciphertext, initializationVector: answer.initializationVector,
            authenticationTag: answer.authenticationTag, ciphertextMetadata: answer.ciphertextMetadata)
        let pieces = collect {
            IntegrityValue.feed(
                additionalAuthenticatedData: request.additionalAuthenticatedData, fields: fields, to: $0)
        }
        #expect(pieces.map(\.count) == [33, 13, 12, 12, 16])
        #expect(
            pieces.flatMap { $0 }
                == bytes(
                    hex: """
                        70 72 6f 6a 65 63 74 3d  6e 69 6c 65 2c 64 65 70
                        61 72 74 6d 65 6e 74 3d  6d 61 72 6b 65 74 69 6e
                        67
                        6b 65 79 5f 76 65 72 73  69 6f 6e 3d 31
                        1c ca e5 47 0f 39 70 02  54 77 90 31
                        82 1c 64 2b 5b 71 78 33  67 de af 18
                        bc 1c 4d da 77 07 d6 81  24 47 c5 95 5e 99 b2 61
                        """))
    }

    @Test func absentAndEmptyPartsAreNothing() {
        let fields = EncryptedFields(
            ciphertext: SecretBytes([1]), initializationVector: [2], authenticationTag: [3], ciphertextMetadata: nil)
        var empty = fields
        empty.ciphertextMetadata = []
        for contents in [fields, empty] {
            for aad in [nil, SecretBytes()] {
                let pieces = collect { IntegrityValue.feed(additionalAuthenticatedData: aad, fields: contents, to: $0) }
                #expect(pieces == [[2], [1], [3]])
            }
        }
    }
}
