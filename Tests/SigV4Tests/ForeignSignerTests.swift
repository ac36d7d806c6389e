// SPDX-License-Identifier: Apache-2.0
import Foundation
import SecureMemory
import SigV4
import Testing
import XKSProtocol

/// Signatures that other programs make at the time of the test.
@Suite(.timeLimit(.minutes(2))) struct ForeignSignerTests {
    private static let body = #"{"requestMetadata":{"kmsRequestId":"4112f4d6-db54-4af4-ae30-c55a22a8dfae"}}"#

    private func expectAccepted(_ request: ProxyRequest) throws {
        let verifier = try Scenario.verifier()
        let now = Int64(time(nil))
        let identity = try verifier.verify(request, now: now)
        #expect(identity.accessKeyID == Scenario.accessKeyID)
        #expect(identity.region == "eu-central-1")
        var other = request
        other.body = SecretBytes(Array((Self.body + " ").utf8))
        #expect(refusalOf(other, by: verifier, now: now) == .signatureMismatch(accessKeyID: Scenario.accessKeyID))
    }

    /// XKS 1.0.3, appendix D: `curl --aws-sigv4`, which signs since 7.75.
    @Test(arguments: [
        ["-H", "Content-Type: application/json"], [], ["-H", "X-Note:  a   b  "],
        ["-H", "X-Amz-Meta-Z: z", "-H", "Accept: */*", "-H", "x-amz-meta-a: a"],
    ])
    func curl(options: [String]) throws {
        let server = try LocalServer()
        let arguments =
            [
                "--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--aws-sigv4",
                "aws:amz:eu-central-1:kms-xks-proxy", "--user", "\(Scenario.accessKeyID):\(Scenario.secret)",
                "--data-binary", Self.body,
            ] + options + ["http://127.0.0.1:\(server.port)/example/kms/xks/v1/keys/foo/encrypt"]
        let program = try Program("curl", arguments)
        let request = try server.answerOne()
        let output = try program.finish()
        #expect(output.status == 0)
        #expect(request.method == "POST" && request.target == "/example/kms/xks/v1/keys/foo/encrypt")
        #expect(request.body.constantTimeEquals(SecretBytes(Array(Self.body.utf8))))
        try expectAccepted(request)
    }

    /// AWS's own client library for Python (Debian: python3-botocore).
    @Test(arguments: [
        "/example/kms/xks/v1/keys/foo/encrypt", "/kms/xks/v1/health", "/kms/xks/v1/keys/A-b.c_9/metadata",
        "/path?b=2&a=1&a=0", "/path?name=%C3%A9&space=a%20b",
    ])
    func botocore(target: String) throws {
        let python = try #require(
            ["/usr/bin/python3", "python3"].first { candidate in
                (try? Program(candidate, ["-c", "import botocore.auth"]).finish().status) == 0
            }, "no python3 here can import botocore; install the Debian package python3-botocore")
        let script = """
            import sys
            from botocore.auth import SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.credentials import Credentials
            identity, secret, target, body = sys.argv[1:]
            request = AWSRequest(method="POST", url="https://xks.example.com:8443" + target, data=body.encode(),
                headers={"Host": "xks.example.com:8443", "Content-Type": "application/json", "X-Note": " a   b "})
            SigV4Auth(Credentials(identity, secret), "kms-xks-proxy", "eu-central-1").add_auth(request)
            for name, value in request.headers.items():
                print(name + ":" + value)
            """
        let output = try Program(
            python, ["-c", script, Scenario.accessKeyID, Scenario.secret, target, Self.body]
        ).finish()
        try #require(output.status == 0)
        let headers = output.text.split(separator: "\n").compactMap(HeaderField.init(line:))
        #expect(headers.count == 5)
        try expectAccepted(
            ProxyRequest(
                method: "POST", target: target, headers: headers, body: SecretBytes(Array(Self.body.utf8)),
                receivedAt: 0, peer: "botocore"))
    }
}

extension HeaderField {
    init?(line: some StringProtocol) {
        guard let colon = line.firstIndex(of: ":") else { return nil }
        self.init(name: String(line[..<colon]), value: String(line[line.index(after: colon)...]))
    }
}
