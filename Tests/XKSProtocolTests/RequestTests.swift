// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import Testing
import XKSProtocol

@Suite struct RequestTests {
    @Test func readsTheEncryptExampleOfTheSpecification() throws {
        let request = try EncryptRequest(body: secret(Sample.encrypt), limits: .standard)
        #expect(request.plaintext.text == "Hello World!")
        #expect(request.additionalAuthenticatedData?.text == "project=nile,department=marketing")
        #expect(request.wantsIntegrityValue)
        #expect(
            request.metadata
                == RequestMetadata(
                    awsPrincipalArn: Sample.principal, kmsKeyArn: Sample.keyArn, kmsOperation: "Encrypt",
                    kmsRequestId: "4112f4d6-db54-4af4-ae30-c55a22a8dfae", kmsViaService: "ebs"))
    }

    @Test func readsTheDecryptExampleOfTheSpecification() throws {
        let request = try DecryptRequest(body: secret(Sample.decrypt), limits: .standard)
        #expect(hex(request.ciphertext.array) == "821c642b5b71783367deaf18")
        #expect(hex(request.initializationVector) == "1ccae5470f39700254779031")
        #expect(hex(request.authenticationTag) == "bc1c4dda7707d6812447c5955e99b261")
        #expect(request.ciphertextMetadata == Array("key_version=1".utf8))
        #expect(request.additionalAuthenticatedData?.text == "project=nile,department=marketing")
        #expect(request.metadata.kmsKeyArn == Sample.keyArn)
    }

    @Test func readsTheMetadataExampleOfTheSpecification() throws {
        let body = """
            {
                "requestMetadata": {
                    "awsPrincipalArn": "arn:aws:iam::123456789012:user/Alice",
                    "kmsOperation": "CreateKey",
                    "kmsRequestId": "4112f4d6-db54-4af4-ae30-c55a22a8dfae"
                }
            }

            """
        let request = try GetKeyMetadataRequest(body: secret(body), limits: .standard)
        #expect(request.metadata.kmsOperation == "CreateKey")
        #expect(request.metadata.kmsKeyArn == nil)
        let describe = try GetKeyMetadataRequest(body: secret(Sample.metadata), limits: .standard)
        #expect(describe.metadata.kmsKeyArn == Sample.keyArn)
    }

    @Test func readsTheHealthExampleOfTheSpecification() throws {
        let request = try HealthRequest(body: secret(Sample.health), limits: .standard)
        #expect(
            request.metadata
                == RequestMetadata(
                    kmsOperation: "KmsHealthCheck", kmsRequestId: "4112f4d6-db54-4af4-ae30-c55a22a8dfae"))
    }

    @Test func takesFieldsInAnyOrderAmongUnknownOnes() throws {
        let unknown = ("futureField", "{\"plaintext\": [1, {\"x\": null}]}")
        let fields = Array(Sample.encryptFields.reversed()) + [unknown]
        #expect(value(of: read(EncryptRequest.self, Sample.object(fields)))?.plaintext.text == "Hello World!")
        let inMetadata = Sample.encrypt(metadata: "kmsRecipientAttestationPCR", "{\"PCR0\": 12}")
        #expect(value(of: read(EncryptRequest.self, inMetadata)) != nil)
    }

    @Test func wantsEachRequiredField() {
        for name in ["requestMetadata", "plaintext", "encryptionAlgorithm"] {
            let refused = error(of: read(EncryptRequest.self, Sample.encrypt(name, nil)))
            #expect(refused == XKSError(.validation, "\(name) is missing"))
        }
        for name in [
            "requestMetadata", "ciphertext", "encryptionAlgorithm", "initializationVector", "authenticationTag",
        ] {
            let refused = error(of: read(DecryptRequest.self, Sample.decrypt(name, nil)))
            #expect(refused == XKSError(.validation, "\(name) is missing"))
        }
        for body in ["{}", "{\"requestMetadata\": {}}"] {
            #expect(error(of: read(HealthRequest.self, body))?.name == .validation)
            #expect(error(of: read(GetKeyMetadataRequest.self, body))?.name == .validation)
        }
    }

    @Test func doesWithoutEachOptionalField() throws {
        let names = ["additionalAuthenticatedData", "ciphertextDataIntegrityValueAlgorithm"]
        let encrypt = try EncryptRequest(
            body: secret(Sample.object(Sample.encryptFields.filter { !names.contains($0.0) })), limits: .standard)
        #expect(encrypt.additionalAuthenticatedData == nil)
        #expect(!encrypt.wantsIntegrityValue)
        let decrypt = try DecryptRequest(body: secret(Sample.decrypt("ciphertextMetadata", nil)), limits: .standard)
        #expect(decrypt.ciphertextMetadata == nil)
    }

    /// Was refused, though `null` for an optional field of requestMetadata was not.
    @Test func takesNullForAnOptionalFieldThatIsLeftOut() throws {
        let encrypt = value(of: read(EncryptRequest.self, Sample.encrypt("additionalAuthenticatedData", "null")))
        #expect(encrypt != nil && encrypt?.additionalAuthenticatedData == nil)
        let plain = Sample.encrypt("ciphertextDataIntegrityValueAlgorithm", "null")
        #expect(value(of: read(EncryptRequest.self, plain))?.wantsIntegrityValue == false)
        for name in ["additionalAuthenticatedData", "ciphertextMetadata"] {
            let decrypt = value(of: read(DecryptRequest.self, Sample.decrypt(name, "null")))
            #expect(decrypt != nil && error(of: read(DecryptRequest.self, Sample.decrypt(name, "nul"))) != nil)
            #expect((decrypt?.additionalAuthenticatedData == nil) == (name == "additionalAuthenticatedData"))
            #expect((decrypt?.ciphertextMetadata == nil) == (name == "ciphertextMetadata"))
        }
    }

    @Test func tellsEmptyFromAbsent() throws {
        let encrypt = Sample.encrypt("additionalAuthenticatedData", "\"\"")
        #expect(value(of: read(EncryptRequest.self, encrypt))?.additionalAuthenticatedData?.count == 0)
        let decrypt = Sample.decrypt("additionalAuthenticatedData", "\"\"")
        #expect(value(of: read(DecryptRequest.self, decrypt))?.additionalAuthenticatedData?.count == 0)
        #expect(
            value(of: read(DecryptRequest.self, Sample.decrypt("ciphertextMetadata", "\"\"")))?.ciphertextMetadata == []
        )
    }

    @Test func refusesEmptyData() {
        #expect(error(of: read(EncryptRequest.self, Sample.encrypt("plaintext", "\"\"")))?.name == .validation)
        #expect(error(of: read(DecryptRequest.self, Sample.decrypt("ciphertext", "\"\"")))?.name == .validation)
    }

    @Test func refusesWrongValues() {
        let cases: [String] = [
            "1", "nil", "true", "[]", "{}", "[\"AAAA\"]", "\"AAA\"", "\"A A=\"", "\"AB==\"", "\"-_-_\"",
        ]
        for json in cases {
            for (name, _) in Sample.encryptFields {
                let refused = error(of: read(EncryptRequest.self, Sample.encrypt(name, json)))
                #expect(refused?.name == .validation, "\(name)")
                #expect(refused?.message.contains(name == "requestMetadata" ? "requestMetadata" : "\(name) ") == true)
            }
            for (name, _) in Sample.decryptFields {
                #expect(
                    error(of: read(DecryptRequest.self, Sample.decrypt(name, json)))?.name == .validation, "\(name)")
            }
        }
    }

    @Test func refusesNullForARequiredField() {
        for name in ["requestMetadata", "plaintext", "encryptionAlgorithm"] {
            #expect(error(of: read(EncryptRequest.self, Sample.encrypt(name, "null")))?.name == .validation, "\(name)")
        }
        for name in ["ciphertext", "encryptionAlgorithm", "initializationVector", "authenticationTag"] {
            #expect(error(of: read(DecryptRequest.self, Sample.decrypt(name, "null")))?.name == .validation, "\(name)")
        }
    }

    @Test func wantsTheAlgorithmsOfVersion1() {
        for word in ["aes_gcm", "AES_GCM ", "AES_CBC", "", "AES_GCM_256"] {
            #expect(
                error(of: read(EncryptRequest.self, Sample.encrypt("encryptionAlgorithm", "\"\(word)\"")))?.name
                    == .validation)
            #expect(
                error(of: read(DecryptRequest.self, Sample.decrypt("encryptionAlgorithm", "\"\(word)\"")))?.name
                    == .validation)
        }
        for word in ["SHA_512", "sha_256", "SHA256", ""] {
            let body = Sample.encrypt("ciphertextDataIntegrityValueAlgorithm", "\"\(word)\"")
            #expect(error(of: read(EncryptRequest.self, body))?.name == .validation)
        }
        let escaped = Sample.encrypt("encryptionAlgorithm", "\"AES\\u005fGCM\"")
        #expect(value(of: read(EncryptRequest.self, escaped)) != nil)
    }

    @Test func takesEscapesInBase64() {
        let text = "+/+/AAA="
        let written = ["+\\/+\\/AAA=", "\\u002b\\u002F+\\/\\u0041AA\\u003d", "+/+/AAA="]
        for json in written {
            let encrypt = Sample.encrypt("plaintext", "\"\(json)\"")
            #expect(value(of: read(EncryptRequest.self, encrypt)).map { base64($0.plaintext.array) } == text)
        }
        let tag = base64([UInt8](repeating: 0xff, count: 16))
        let decrypt = Sample.decrypt("authenticationTag", "\"\(tag.replacing("/", with: "\\/"))\"")
        #expect(value(of: read(DecryptRequest.self, decrypt))?.authenticationTag == [UInt8](repeating: 0xff, count: 16))
        #expect(error(of: read(EncryptRequest.self, Sample.encrypt("plaintext", "\"AAA\\n\"")))?.name == .validation)
    }

    @Test func knowsTheLengthsOfVectorTagAndMetadata() {
        func decrypt(_ name: String, _ count: Int) -> Result<DecryptRequest, XKSError> {
            read(DecryptRequest.self, Sample.decrypt(name, "\"\(base64([UInt8](repeating: 7, count: count)))\""))
        }
        for count in 0...40 {
            #expect((value(of: decrypt("initializationVector", count)) != nil) == (count == 12 || count == 16))
            #expect((value(of: decrypt("authenticationTag", count)) != nil) == (count == 16))
            #expect((value(of: decrypt("ciphertextMetadata", count)) != nil) == (count <= 20))
            for name in ["initializationVector", "authenticationTag", "ciphertextMetadata"] {
                if let refused = error(of: decrypt(name, count)) { #expect(refused.name == .validation) }
            }
        }
    }
}
