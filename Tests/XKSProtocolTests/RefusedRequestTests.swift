// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import Testing
import XKSProtocol

@Suite("What a refused request says of itself")
struct RefusedRequestTests {
    private func refused(
        _ body: String, target: String = "/a/kms/xks/v1/health", hosts: [String] = ["kms.example"]
    ) -> RefusedRequest {
        RefusedRequest(
            ProxyRequest(
                method: "POST", target: target, headers: hosts.map { HeaderField(name: "Host", value: $0) },
                body: SecretBytes(body.utf8), receivedAt: 0, peer: "p"))
    }

    @Test(
        "the request id is found in whole JSON and in what is none",
        arguments: [
            (#"{"requestMetadata":{"kmsRequestId":"4112f4d6"}}"#, "4112f4d6"),
            ("{\"kmsRequestId\" \t:\n \"4112f4d6\"", "4112f4d6"),
            (#"{"plaintext": 1, "requestMetadata":{"kmsRequestId":"a b"},,"#, "a b"),
            (#""kmsRequestId":"\#(String(repeating: "x", count: 128))""#, String(repeating: "x", count: 128)),
            (#""kmsRequestId":"\#(String(repeating: "x", count: 129))""#, nil),
            (#""kmsRequestId":"unfinished"#, nil), (#""kmsRequestId":"#, nil), (#""kmsRequestId""#, nil),
            (#""kmsRequestId":"""#, nil), (#""kmsRequestId":7"#, nil), (#""kmsRequestId":"a\"b""#, nil),
            ("\"kmsRequestId\":\"a\u{1b}[2J\"", nil), ("\"kmsRequestId\":\"ü\"", nil), ("", nil), ("kmsRequestId", nil),
            (String(repeating: " ", count: 20_000) + #""kmsRequestId":"late""#, nil),
        ] as [(String, String?)])
    func requestID(body: String, id: String?) {
        #expect(refused(body).requestID == id)
    }

    @Test("path and host are bounded, and a host that is not one is left out")
    func pathAndHost() {
        let long = refused(
            "", target: "/" + String(repeating: "p", count: 8_000), hosts: [String(repeating: "h", count: 999)])
        #expect(long.path.utf8.count == 256 && long.host?.utf8.count == 255)
        #expect(refused("", target: "/a%20b?c").path == "/a%20b?c")
        #expect(refused("", hosts: []).host == nil && refused("", hosts: ["a", "b"]).host == nil)
    }

    @Test(
        "the nearest key store's path",
        arguments: [
            ("/exmple/kms/xks/v1/health", "/example/kms/xks/v1"), ("/kms/xks/v1/keys/foo/encrypt", "/kms/xks/v1"),
            ("/v1/example/kms/xks/v1/keys/foo/encrypt", "/example/kms/xks/v1"),
            ("/other/store/kms/xks/v1/health", "/other/kms/xks/v1"), ("/", "/kms/xks/v1"),
        ])
    func nearest(target: String, path: String) {
        #expect(XKSPath.nearest(to: target, amongPrefixes: ["", "/example", "/other"]) == path)
        #expect(XKSPath.nearest(to: target, amongPrefixes: [String]()) == nil)
    }
}
