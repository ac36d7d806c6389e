// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

// Requests that bring down, deceive or bloat other proxies.

extension EndToEnd {
    @Suite("hostile requests", .patientNode(plaintext: true))
    struct HostileRequests {
        private let body = Array(Body.encrypt([1, 2, 3]).utf8)

        /// Sends a request that was signed by hand; afterwards the node must still serve, on the same connection too.
        private func send(
            _ node: Node, prepare: (inout HandSigner) -> Void, headers: [(String, String)] = []
        ) throws -> HTTPReply {
            var signer = HandSigner(node.facts)
            prepare(&signer)
            let client = try XKSClient(node)
            let target = client.target("encrypt", key: "foo")
            let signed = signer.headers(target: target, host: client.connection.host, body: body)
            let reply = try client.connection.send("POST", target, headers: signed + headers, body: body)
            #expect(try client.encrypt([1]).status == 200)
            #expect(node.process.isRunning)
            return reply
        }

        @Test("a signature made by hand is taken, so that the refusals below are for what they say")
        func goodSignature() throws {
            #expect(try send(sharedNode()) { _ in }.status == 200)
        }

        @Test(
            "a date that does not exist is refused as any other bad one",
            arguments: [
                "20230230T000000Z", "20231301T000000Z", "20231231T240000Z", "20230228T000060Z", "00000000T000000Z",
            ])
        func impossibleDate(date: String) throws {
            let reply = try send(sharedNode()) { $0.date = date }
            #expect(reply.refusal == "401 AuthenticationFailedException")
        }

        @Test("host and x-amz-date must be signed", arguments: [["host"], ["x-amz-date"]])
        func unsignedHeaders(signed: [String]) throws {
            let reply = try send(sharedNode()) { $0.signedHeaders = signed }
            #expect(reply.refusal == "401 AuthenticationFailedException")
        }

        @Test("the payload must be signed")
        func unsignedPayload() throws {
            let reply = try send(
                sharedNode(), prepare: { _ in }, headers: [("x-amz-content-sha256", "UNSIGNED-PAYLOAD")])
            #expect(reply.refusal == "401 AuthenticationFailedException")
        }

        @Test("a signature of six minutes ago, or ahead, is refused", arguments: [-360, 360])
        func staleSignature(offset: Int64) throws {
            let client = try XKSClient(sharedNode())
            let now = Int64(Date().timeIntervalSince1970)
            let target = client.target("encrypt", key: "foo")
            #expect(
                try client.post(target, Body.encrypt([1]), now: now + offset).refusal
                    == "401 AuthenticationFailedException")
        }

        @Test("any method but POST is refused", arguments: ["GET", "PUT", "DELETE", "PATCH"])
        func otherMethods(method: String) throws {
            let node = try sharedNode()
            let connection = try HTTPConnection(url: node.facts.url)
            for path in ["/health", "/keys/foo/encrypt", "/keys/foo/decrypt", "/keys/foo/metadata"] {
                let reply = try connection.send(
                    method, "\(node.facts.prefix)/kms/xks/v1\(path)", headers: [("Host", connection.host)], body: [])
                #expect(reply.status == 405)
            }
        }

        @Test(
            "a path that is not served is said to be none, in the API's words",
            arguments: [
                "/kms/xks/v1/health", "/other/prefix/kms/xks/v1/health", "/example/uri/path/prefix/kms/xks/v2/health",
                "/example/uri/path/prefix/kms/xks/v1/keys/foo", "/example/uri/path/prefix/kms/xks/v1/keys/foo/sign",
                "/",
            ])
        func unknownPath(path: String) throws {
            let reply = try XKSClient(sharedNode()).post(path, Body.health)
            #expect(reply.refusal == "404 InvalidUriPathException")
            #expect(reply.headers["content-type"]?.hasPrefix("application/json") == true)
        }

        @Test("a body of 300 MB from anybody is refused at once, and is not kept", arguments: [true, false])
        func endlessBody(announced: Bool) throws {
            let node = try sharedNode()
            let before = try Processes.memory("VmRSS", of: node.pid)
            let connection = try HTTPConnection(url: node.facts.url)
            let length = announced ? "Content-Length: 314572800" : "Transfer-Encoding: chunked"
            let head =
                "POST \(node.facts.prefix)/kms/xks/v1/keys/foo/encrypt HTTP/1.1\r\n"
                + "Host: \(connection.host)\r\n\(length)\r\n\r\n"
            #expect(connection.write(Array(head.utf8)))
            let megabyte = [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)
            let piece = announced ? megabyte : Array("100000\r\n".utf8) + megabyte + Array("\r\n".utf8)
            if !announced { #expect(connection.write(Array(piece.prefix(300_000)))) }
            // The answer is there before any of the rest has been sent.
            let reply = try connection.answer()
            #expect(reply.status == 413)
            var sent = 0
            while sent < 300, connection.write(piece) { sent += 1 }
            let after = try Processes.memory("VmHWM", of: node.pid)
            #expect(after - before < 50 << 20, "from \(before >> 20) to \(after >> 20) MiB at most")
            #expect(try XKSClient(node).encrypt([1]).status == 200)
        }

        @Test("the log of a wrongly signed request does not hold the right signature")
        func expectedSignatureIsNotLogged() throws {
            let node = try sharedNode()
            let connection = try HTTPConnection(url: node.facts.url)
            let target = "\(node.facts.prefix)/kms/xks/v1/keys/signed-wrongly/encrypt"
            let signer = HandSigner(node.facts)
            let right = signer.signature(target: target, host: connection.host, body: body)
            let wrong = String(right.reversed())
            let reply = try connection.send(
                "POST", target,
                headers: signer.headers(target: target, host: connection.host, body: body, signature: wrong),
                body: body)
            #expect(reply.refusal == "401 AuthenticationFailedException")
            #expect(!reply.text.contains(right))
            let entry = try node.logEntry("the refused request") { $0["key"] == "signed-wrongly" }
            #expect(entry["outcome"] == "AuthenticationFailedException")
            #expect(!node.process.errors.contains(right))
            // It was the right one.
            let accepted = try connection.send(
                "POST", target, headers: signer.headers(target: target, host: connection.host, body: body), body: body)
            #expect(accepted.refusal == "404 KeyNotFoundException")
        }
    }
}
