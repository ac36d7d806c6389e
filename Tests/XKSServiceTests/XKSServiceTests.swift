// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import SecureMemory
import Synchronization
import Testing
import XKSProtocol
import XKSService

private let metadata = """
    {"awsPrincipalArn":"arn:aws:iam::123456789012:user/Alice","kmsKeyArn":"arn:aws:kms:eu-central-1:1:key/1",\
    "kmsOperation":"Encrypt","kmsRequestId":"4112f4d6"}
    """
private let encryptPath = "/example/kms/xks/v1/keys/foo/encrypt"
private let decryptPath = "/example/kms/xks/v1/keys/foo/decrypt"

private func encryptBody(aad: String? = nil, integrity: Bool = false) -> String {
    let aadField = aad.map { #","additionalAuthenticatedData":"\#($0)""# } ?? ""
    let integrityField = integrity ? #","ciphertextDataIntegrityValueAlgorithm":"SHA_256""# : ""
    return #"{"requestMetadata":\#(metadata),"plaintext":"SGVsbG8gV29ybGQh","encryptionAlgorithm":"AES_GCM""#
        + aadField + integrityField + "}"
}

private func decryptBody(metadata field: String? = nil, aad: String? = nil) -> String {
    let metadataField = field.map { #","ciphertextMetadata":"\#($0)""# } ?? ""
    let aadField = aad.map { #","additionalAuthenticatedData":"\#($0)""# } ?? ""
    return
        #"{"requestMetadata":\#(metadata),"ciphertext":"ghxkK1txeDNn3q8Y","initializationVector":"HMrlRw85cAJUd5Ax","#
        + #""authenticationTag":"vBxN2ncH1oEkR8WVXpmyYQ==","encryptionAlgorithm":"AES_GCM""# + metadataField + aadField
        + "}"
}

private let encrypted = OperationResult.done([UInt8](repeating: 7, count: 12 + 16), iv: [UInt8](1...12))

@Suite("The way of a request")
struct XKSServiceTests {
    @Test("path and key store come before the signature, the signature before the body")
    func order() throws {
        let bench = try ServiceBench { _ in encrypted }
        #expect(try bench.post("/nonsense", "", sign: false).0 == 404)
        #expect(try bench.post("/other/kms/xks/v1/health", "{}", sign: false).1.contains("InvalidUriPathException"))
        #expect(try bench.post(encryptPath, encryptBody(), method: "GET", sign: false).0 == 405)
        let (status, body) = try bench.post(encryptPath, "not even JSON", sign: false)
        #expect(status == 401 && body.contains("AuthenticationFailedException"))
        #expect(try bench.post(encryptPath, "not even JSON").1.contains("ValidationException"))
        #expect(bench.pool.operations.isEmpty, "nothing of this reaches an HSM")
    }

    /// With 16631be neither the short name, nor the access key id, nor anything of the request stood in the line.
    @Test("what was refused unread can be found by CloudTrail's request id, and by what decided")
    func refusals() throws {
        let bench = try ServiceBench { _ in encrypted }
        #expect(try bench.post("/exampel/kms/xks/v1/keys/foo/encrypt", encryptBody(), sign: false).0 == 404)
        let lost = try #require(bench.observer.traces.last?.refused)
        #expect(lost.path == "/exampel/kms/xks/v1/keys/foo/encrypt" && lost.host == "localhost")
        #expect(lost.nearestPath == "/example/kms/xks/v1" && lost.requestID == "4112f4d6")

        #expect(try bench.post(encryptPath, encryptBody(), sign: false).0 == 401)
        let unsigned = try #require(bench.observer.traces.last?.refused)
        #expect(unsigned.authentication == "missing-authorization" && unsigned.accessKeyID == nil)
        #expect(unsigned.requestID == "4112f4d6" && unsigned.nearestPath == nil)

        let other = try ServiceBench(secret: "t") { _ in encrypted }
        #expect(try bench.post(encryptPath, encryptBody(), signedBy: other.credential).0 == 401)
        let mismatch = try #require(bench.observer.traces.last?.refused)
        #expect(mismatch.authentication == "signature-mismatch" && mismatch.accessKeyID == "ABCDEFGHIJKLMNOPQRST")

        #expect(try bench.post(encryptPath, String(encryptBody().dropLast())).0 == 400)
        let unread = try #require(bench.observer.traces.last)
        #expect(unread.accessKeyID == "ABCDEFGHIJKLMNOPQRST" && unread.region == "eu-central-1")
        #expect(unread.metadata == nil && unread.refused?.requestID == "4112f4d6")

        #expect(try bench.post(encryptPath, encryptBody()).0 == 200)
        #expect(bench.observer.traces.last?.refused == nil && bench.observer.traces.last?.region == "eu-central-1")
    }

    /// With 16631be it was `ok`.
    @Test("a caller that goes while an HSM works on its request has not got the answer, and the trace says so")
    func callersThatGoMeanwhile() throws {
        let caller = CallerPresence()
        let bench = try ServiceBench { _ in
            caller.leave()
            return encrypted
        }
        _ = try bench.post(encryptPath, encryptBody(), caller: caller)
        let trace = try #require(bench.observer.traces.last)
        #expect(trace.isUndelivered && trace.status == 200 && trace.error == nil)
        #expect(trace.reason == "the client has closed the connection before its answer")

        let other = try ServiceBench { _ in encrypted }
        _ = try other.post(encryptPath, encryptBody(), caller: CallerPresence())
        #expect(other.observer.traces.last?.isUndelivered == false)
    }

    @Test("a request whose caller has closed the connection costs no HSM call and no line of log")
    func callersThatAreGone() throws {
        let bench = try ServiceBench { _ in encrypted }
        let caller = CallerPresence()
        #expect(try bench.post(encryptPath, encryptBody(), caller: caller).0 == 200)
        caller.leave()
        #expect(try bench.post(encryptPath, encryptBody(), caller: caller).0 == 503)
        #expect(bench.pool.operations.count == 1 && bench.observer.traces.count == 1)
        #expect(bench.service.requestsInFlight == 0)
    }

    @Test("an answer says whether its request was signed, whatever came of it")
    func authenticatedAnswers() throws {
        let bench = try ServiceBench { _ in encrypted }
        #expect(try bench.post(encryptPath, encryptBody()).0 == 200)
        #expect(bench.lastAnswerIsAuthenticated == true)
        #expect(try bench.post(encryptPath, "no JSON").0 == 400)
        #expect(bench.lastAnswerIsAuthenticated == true)
        for (path, sign) in [(encryptPath, false), ("/nonsense", true), ("/other/kms/xks/v1/health", true)] {
            #expect(try bench.post(path, encryptBody(), sign: sign).0 >= 400)
            #expect(bench.lastAnswerIsAuthenticated == false)
        }
    }

    @Test("an encryption carries Claviger's mark, and hands the HSM the specification's additional data")
    func encrypt() throws {
        let bench = try ServiceBench { _ in encrypted }
        let (status, body) = try bench.post(encryptPath, encryptBody(aad: "cHJvamVjdA=="))
        #expect(status == 200)
        #expect(body.contains(#""ciphertextMetadata":"Q0xWAQ==""#))
        let operation = try #require(bench.pool.operations.first)
        let expected: [UInt8] = [0, 7] + Array("project".utf8) + [4, 0x43, 0x4C, 0x56, 1]
        #expect(operation.additionalData.constantTimeEquals(SecretBytes(expected)))
        #expect(operation.data.constantTimeEquals(SecretBytes("Hello World!".utf8)))
        let trace = try #require(bench.observer.traces.first)
        #expect(trace.metadata?.kmsRequestId == "4112f4d6" && trace.hsm == "hsm-a" && trace.error == nil)
    }

    @Test("the integrity value is sent only when what stands in the answer decrypts to the plaintext")
    func integrityValue() throws {
        let good = try ServiceBench { $0.kind == .encrypt ? encrypted : .done(Array("Hello World!".utf8)) }
        let (status, body) = try good.post(encryptPath, encryptBody(integrity: true))
        #expect(status == 200 && body.contains("ciphertextDataIntegrityValue"))
        #expect(good.pool.operations.map(\.kind) == [.encrypt, .decrypt])
        // It is let in as two calls, and the second one stands before those of others.
        #expect(good.pool.terms.map(\.calls) == [2, 1] && good.pool.terms.map(\.isContinuation) == [false, true])
        // The proof decrypts what was sent, not what the HSM gave: both are the same bytes only if nothing flipped.
        let proof = good.pool.operations[1]
        #expect(proof.data.constantTimeEquals(SecretBytes([UInt8](repeating: 7, count: 28))))
        #expect(proof.initializationVector.constantTimeEquals(SecretBytes(1...12)))

        let other = try ServiceBench { $0.kind == .encrypt ? encrypted : .done(Array("Hello World?".utf8)) }
        #expect(try other.post(encryptPath, encryptBody(integrity: true)).0 == 500)
        let invalid = try ServiceBench { operation in
            operation.kind == .encrypt
                ? encrypted : OperationResult(outcome: .callersFault(.ciphertextIsInvalid), attempts: 1)
        }
        #expect(try invalid.post(encryptPath, encryptBody(integrity: true)).1.contains("InternalException"))
    }

    @Test("an HSM's answer of a wrong length never reaches KMS")
    func wrongLengths() throws {
        for result in [
            OperationResult.done([1, 2, 3], iv: [UInt8](1...12)),
            OperationResult.done([UInt8](repeating: 7, count: 28), iv: [UInt8](1...11)),
        ] {
            let bench = try ServiceBench { _ in result }
            #expect(try bench.post(encryptPath, encryptBody()).0 == 500)
        }
    }

    @Test("a key's usage is kept to before an HSM is asked")
    func usage() throws {
        let encryptOnly = try ServiceBench(decision: .usable([.encrypt])) { _ in encrypted }
        #expect(try encryptOnly.post(encryptPath, encryptBody()).0 == 200)
        #expect(try encryptOnly.post(decryptPath, decryptBody()).1.contains("InvalidKeyUsageException"))
        #expect(try encryptOnly.post(encryptPath, encryptBody(integrity: true)).1.contains("InvalidKeyUsageException"))
        let impotent = try ServiceBench(decision: .usable([])) { _ in encrypted }
        #expect(try impotent.post(encryptPath, encryptBody()).1.contains("InvalidKeyUsageException"))
        #expect(impotent.pool.operations.isEmpty)
    }

    @Test("absent, unknown, late and failed are four different things")
    func absenceIsNotUnavailability() throws {
        let absent = try ServiceBench(decision: .absent(nil)) { _ in encrypted }
        #expect(try absent.post(encryptPath, encryptBody()).1.contains("KeyNotFoundException"))
        let unknown = try ServiceBench(decision: .unknown("nobody can be asked")) { _ in encrypted }
        #expect(try unknown.post(encryptPath, encryptBody()).1.contains("InternalException"))
        let table: [(OperationOutcome, Int, String)] = [
            (.timedOut(.answer), 503, "DependencyTimeoutException"), (.unavailable("down"), 500, "InternalException"),
            (.overloaded, 429, "ThrottlingException"), (.callersFault(.keyIsGone), 500, "InternalException"),
            (.callersFault(.ciphertextIsInvalid), 400, "InvalidCiphertextException"),
            (.callersFault(.usageNotPermitted), 400, "InvalidKeyUsageException"),
        ]
        for (outcome, status, name) in table {
            let bench = try ServiceBench { _ in OperationResult(outcome: outcome, attempts: 1) }
            let answer = try bench.post(decryptPath, decryptBody())
            #expect(answer.0 == status && answer.1.contains(name))
        }
    }

    @Test("ciphertext is opened in the form that its metadata name")
    func decryptForms() throws {
        let plaintext = OperationResult.done(Array("Hello World!".utf8))
        let ours = try ServiceBench(foreignForm: .digest) { _ in plaintext }
        #expect(try ours.post(decryptPath, decryptBody(metadata: "Q0xWAQ==")).1 == #"{"plaintext":"SGVsbG8gV29ybGQh"}"#)
        let specification: [UInt8] = [0, 0, 4, 0x43, 0x4C, 0x56, 1]
        #expect(try #require(ours.pool.operations.first).additionalData.constantTimeEquals(SecretBytes(specification)))
        _ = try ours.post(decryptPath, decryptBody(aad: "cHJvamVjdA=="))
        #expect(ours.pool.operations[1].additionalData.count == 2 + 32 + 1, "the digest form, for what is not ours")
        let newer = try ours.post(decryptPath, decryptBody(metadata: "Q0xWCQ=="))
        #expect(newer.1.contains("InvalidCiphertextException"))
        #expect(ours.pool.operations.count == 2)
    }

    @Test("a key that the key store does not serve is not found, whatever the HSMs hold")
    func notServed() throws {
        let bench = try ServiceBench { _ in encrypted }
        #expect(try bench.post("/example/kms/xks/v1/keys/bar/encrypt", encryptBody()).0 == 404)
        #expect(try bench.post("/example/kms/xks/v1/keys/prod-7/encrypt", encryptBody()).0 == 200)
        #expect(bench.pool.operations.map(\.label) == ["prod-7"])
    }

    @Test("health is an answer whatever the HSMs are, worst first, ten at most, the best among them")
    func health() throws {
        let body = #"{"requestMetadata":{"kmsOperation":"KmsHealthCheck","kmsRequestId":"1"}}"#
        let hsms = (0..<12).map { index in
            FleetHSM(
                id: "hsm-\(index) (s\(index))", manufacturer: "Maker", model: "Maker M1, firmware 1.2",
                health: index == 0 ? .active : .unavailable)
        }
        let bench = try ServiceBench(hsms: hsms) { _ in encrypted }
        let (status, text) = try bench.post("/example/kms/xks/v1/health", body)
        #expect(status == 200)
        #expect(text.split(separator: "healthStatus").count - 1 == 10)
        let worst = try #require(text.firstRange(of: "UNAVAILABLE"))
        let first = try #require(text.firstRange(of: "\"ACTIVE\""))
        #expect(worst.lowerBound < first.lowerBound, "KMS must see that an HSM serves")
        #expect(text.contains("s11") && text.contains("firmware 1.2"))
    }

    @Test("GetKeyMetadata reports the key's usage")
    func keyMetadata() throws {
        let bench = try ServiceBench(decision: .usable([.encrypt, .decrypt, .wrap])) { _ in encrypted }
        let (status, text) = try bench.post(
            "/example/kms/xks/v1/keys/foo/metadata", #"{"requestMetadata":\#(metadata)}"#)
        #expect(status == 200)
        #expect(text == #"{"keySpec":"AES_256","keyUsage":["ENCRYPT","DECRYPT","WRAP"],"keyStatus":"ENABLED"}"#)
    }

    @Test("no refusal and no trace reports plaintext, ciphertext or signatures")
    func nothingSecret() throws {
        let bench = try ServiceBench { _ in OperationResult(outcome: .unavailable("x"), attempts: 1) }
        let answers = [
            try bench.post(encryptPath, encryptBody()).1, try bench.post(decryptPath, decryptBody()).1,
            try bench.post(encryptPath, encryptBody() + "garbage").1,
        ]
        for text in answers + bench.observer.traces.map({ "\($0)" }) {
            #expect(!text.contains("SGVsbG8") && !text.contains("Hello World") && !text.contains("ghxkK1tx"))
            #expect(!text.contains("Signature="))
        }
    }
}
