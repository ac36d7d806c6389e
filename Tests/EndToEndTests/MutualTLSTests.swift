// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("mutual TLS", .devNode("--mutual-tls", "--hsms", "1"))
    struct MutualTLS {
        private func encrypt(_ options: [String]) throws -> CurlReply {
            try Curl(sharedNode()).post("/keys/foo/encrypt", Body.encrypt([1, 2, 3]), options: options)
        }

        @Test(
            "a client with a certificate of the CA and the right name is served", arguments: ["--http1.1", "--http2"])
        func rightCertificate(version: String) throws {
            let facts = try sharedNode().facts
            let reply = try encrypt([version, "--cert", facts.client_certificate, "--key", facts.client_key])
            #expect(reply.exit == .exited(0), "\(reply.errors)")
            #expect(reply.status == 200)
        }

        @Test("a client without certificate ends in the handshake", arguments: ["--tlsv1.3", "--tls-max"])
        func noCertificate(version: String) throws {
            let reply = try encrypt(version == "--tls-max" ? ["--tls-max", "1.2"] : [version])
            #expect(reply.exit != .exited(0))
            #expect(reply.status == 0)
        }

        /// Over HTTP/2, too, where a client sends several pieces before it learns of the refusal.
        @Test(
            "a certificate of another CA ends in the handshake, though it bears the right name, and the client hears why",
            arguments: ["--http1.1", "--http2"])
        func otherAuthority(version: String) throws {
            let scratch = try Scratch()
            let certificate = try certificate(for: "claviger-dev-client", signedBy: nil, in: scratch)
            let reply = try encrypt(certificate + [version, "--verbose"])
            #expect(reply.exit != .exited(0))
            #expect(reply.status == 0)
            #expect(reply.errors.contains("alert unknown ca"), "\(reply.errors)")
        }

        @Test("a certificate of the CA is let in by its name only", arguments: [true, false])
        func name(isRight: Bool) throws {
            let node = try sharedNode()
            let scratch = try Scratch()
            let name = isRight ? "claviger-dev-client" : "claviger-dev-client.example.com"
            let reply = try encrypt(try certificate(for: name, signedBy: node.state + "/tls/ca", in: scratch))
            #expect((reply.exit == .exited(0)) == isRight, "\(reply.errors)")
            #expect(reply.status == (isRight ? 200 : 0))
        }

        /// Makes a client certificate, and returns curl's options for it.
        /// - Parameter authority: path of the CA's files without `.pem` and `-key.pem`; without one it signs itself.
        private func certificate(for name: String, signedBy authority: String?, in scratch: Scratch) throws -> [String]
        {
            let (key, certificate) = (scratch.file("key.pem"), scratch.file("certificate.pem"))
            let signer = authority.map { ["-CA", $0 + ".pem", "-CAkey", $0 + "-key.pem"] } ?? []
            let made = try run(
                [
                    "/usr/bin/env", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/O=Claviger/CN=\(name)", "-addext",
                    "subjectAltName=DNS:\(name)", "-addext", "extendedKeyUsage=clientAuth", "-addext",
                    "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate,
                ] + signer)
            guard made.isSuccess else { throw HarnessError("openssl: \(made.errors)") }
            return ["--cert", certificate, "--key", key]
        }
    }
}
