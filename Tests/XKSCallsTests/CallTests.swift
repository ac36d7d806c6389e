// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4
import Testing
import XKSCalls
import XKSProtocol

@Suite("Requests as KMS writes them")
struct CallTests {
    @Test(
        "A URL is taken apart",
        arguments: [
            ("https://xks.example.com", "xks.example.com", 443, "", "xks.example.com"),
            ("https://xks.example.com/a/b/", "xks.example.com", 443, "/a/b", "xks.example.com"),
            ("https://127.0.0.1:8443/a/kms/xks/v1", "127.0.0.1", 8443, "/a", "127.0.0.1:8443"),
            ("http://[::1]:80/kms/xks/v1", "::1", 80, "", "[::1]"),
        ])
    func endpoints(url: String, host: String, port: Int, prefix: String, authority: String) throws {
        let endpoint = try XKSEndpoint(url)
        #expect(endpoint.host == host)
        #expect(endpoint.port == port)
        #expect(endpoint.prefix == prefix)
        #expect(endpoint.authority == authority)
        #expect(endpoint.target(.encrypt, key: "k") == "\(prefix)/kms/xks/v1/keys/k/encrypt")
        #expect(endpoint.target(.health, key: "k") == "\(prefix)/kms/xks/v1/health")
    }

    @Test(
        "A URL that names no proxy is refused",
        arguments: [
            "xks.example.com", "ftp://x", "https://", "https://:443", "https://a b", "https://h:0", "https://h:65536",
            "https://h:x", "https://[::1", "https://[::1]x", "https://u@h/", "https://h/a?b", "https://h/a//b",
        ])
    func wrongURLs(url: String) {
        #expect(throws: XKSEndpoint.Problem.self) { try XKSEndpoint(url) }
    }

    @Test("What is signed passes verification")
    func signing() throws {
        let credential = try Credential(
            accessKeyID: "AAAAAAAAAAAAAAAAAAAAAAAA", secret: SecretBytes(String(repeating: "s", count: 43).utf8))
        let signer = CallSigner(
            endpoint: try XKSEndpoint("https://h/p"), credential: credential, region: "eu-west-1")
        let metadata = CallMetadata(principal: "a\"b\n", keyARN: nil, operation: "Encrypt", requestID: "r")
        let body = CallBody.encrypt(metadata, plaintext: [1, 2], additionalData: [], integrity: true)
        let request = try signer.request(.encrypt, key: "k", body: body, now: 1_700_000_000)
        let text = String(decoding: request, as: UTF8.self)
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
        let lines = parts[0].split(separator: "\r\n")
        #expect(lines[0] == "POST /p/kms/xks/v1/keys/k/encrypt HTTP/1.1")
        let headers = lines.dropFirst().map { line in
            let words = line.split(separator: ": ", maxSplits: 1)
            return HeaderField(name: String(words[0]), value: String(words[1]))
        }
        #expect(headers.last == HeaderField(name: "content-length", value: "\(parts[1].utf8.count)"))
        let verifier = try SigV4Verifier(credentials: [credential])
        _ = try verifier.verify(
            ProxyRequest(
                method: "POST", target: "/p/kms/xks/v1/keys/k/encrypt", headers: headers,
                body: SecretBytes(parts[1].utf8), receivedAt: 0, peer: ""), now: 1_700_000_000)
        #expect(
            parts[1] == #"{"requestMetadata":{"awsPrincipalArn":"a\"b\u000a","kmsOperation":"Encrypt","#
                + #""kmsRequestId":"r"},"#
                + #""additionalAuthenticatedData":"","plaintext":"AQI=","encryptionAlgorithm":"AES_GCM","#
                + #""ciphertextDataIntegrityValueAlgorithm":"SHA_256"}"#)
    }

    @Test("Fields are replaced, repeated and removed")
    func fields() {
        var object = JSONObject([("a", "1"), ("b", "2"), ("a", "3")])
        object["a"] = "9"
        #expect(object.text == #"{"a":9,"b":2,"a":3}"#)
        object["a"] = nil
        object["c"] = "[]"
        #expect(object.text == #"{"b":2,"c":[]}"#)
    }
}

@Suite("JSON of others")
struct JSONValueTests {
    @Test("What is JSON is read")
    func reading() throws {
        let text = #" {"a":[1,-2.5e+3,true,false,null],"b\u0041":"\ud83d\ude00\/\n","b":"AQI=","b":{}} "#
        let value = try #require(JSONValue(Array(text.utf8)))
        #expect(value["a"]?.elements == [.number("1"), .number("-2.5e+3"), .boolean(true), .boolean(false), .null])
        #expect(value["bA"]?.text == "😀/\n")
        #expect(value["b"]?.bytes == [1, 2])
        #expect(value["a"]?.elements?[0].integer == 1)
        #expect(value.repeatedNames == ["b"])
    }

    @Test(
        "What is none is refused",
        arguments: [
            "", "{", "{}x", "[1,]", "{\"a\" 1}", "{'a':1}", "\"\u{1}\"", "01", "1.", "-", "nul", "\"\\ud800\"",
            "\"\\u12g4\"", "\"\\u+123\"", "\"\\x\"", "{\"a\":1,}", "// x\n1",
            String(repeating: "[", count: 33) + String(repeating: "]", count: 33),
            String(repeating: "[", count: 90_000),
        ])
    func refusing(text: String) {
        #expect(JSONValue(Array(text.utf8)) == nil)
    }
}
