// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import SecureMemory
import Testing
import XKSListener
import XKSProtocol

/// Bodies of requests and answers are plaintext of customers' keys: no copy may stay behind.
@Suite(.serialized) struct SecretsTests {
    /// Gives back the bytes it got.
    private let mirror = ImmediateHandler { ProxyResponse(status: 200, body: $0.body) }

    private func makeSecret(_ authority: TestAuthority) throws -> DisguisedSecret {
        try run(["sh", "-c", "head -c 24 /dev/urandom | base64 | tr -d '\\n' > secret"], in: authority.directory)
        return DisguisedSecret(file: authority.path("secret"))
    }

    @Test func theScanFindsWhatIsThere() throws {
        let secret = try makeSecret(TestAuthority())
        #expect(secret.count == 32)
        #expect(try secret.copiesInMemory() == 0)
        let copy = SecretBytes()
        secret.withPlain { copy.append(copying: $0) }
        #expect(try secret.copiesInMemory() == 1)
        copy.truncate(to: 0)
        #expect(try secret.copiesInMemory() == 0)
    }

    @Test(arguments: ["plain", "plain chunked", "--http1.1", "--http2"])
    func noCopyOfABodyStaysBehind(_ form: String) async throws {
        let authority = try TestAuthority()
        try authority.issueServer()
        let isPlain = form.hasPrefix("plain")
        let transport = isPlain ? ListenerTransport.plaintext : .tls(try authority.material())
        let secret = try makeSecret(authority)
        try await withListener(loopback(transport), handler: mirror) { listener, port async throws in
            var command = [
                "curl", "--silent", "--cacert", authority.path("ca.pem"), "--output", authority.path("answer"),
                "--data-binary", "@secret",
            ]
            if form == "plain chunked" { command += ["-H", "Transfer-Encoding: chunked"] }
            if !isPlain { command.append(form) }
            command.append("\(isPlain ? "http" : "https")://127.0.0.1:\(port)/")
            let connections = 3
            for _ in 0..<connections { try run(command, in: authority.directory) }
            #expect(try run(["cmp", "secret", "answer"], in: authority.directory).status == 0)
            #expect(try await eventually { listener.statistics.connections == 0 })
            // BoringSSL decrypts in a buffer per connection that it frees without clearing (`ssl_buffer.cc`): that one
            // copy is out of reach. There must be no other.
            #expect(try secret.copiesInMemory() <= (isPlain ? 0 : connections))
        }
    }
}
