// SPDX-License-Identifier: Apache-2.0
import Foundation
import SecureMemory
import Testing
import XKSProtocol

@Suite("A node of 16631be: requests that are passed on", .timeLimit(.minutes(2)))
struct ForwardTests {
    private func text(_ bytes: SecretBytes) -> String { bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }

    @Test(
        "today's node reads what it passes on, and answers with status and body",
        arguments: [("forward-encrypt", "Encrypt"), ("forward-decrypt", "Decrypt"), ("forward-invalid", "Decrypt")])
    func requests(name: String, operation: String) async throws {
        let recording = try Recording("\(name).request")
        #expect(recording.path == "/cluster/v1/forward")
        #expect(recording.fields["claviger-budget-us"].flatMap { UInt64($0) } ?? 0 > 90_000)
        let recorded = try Recording("\(name).answer")
        let status = try #require(recorded.fields["claviger-status"].flatMap { Int($0) })
        try await TodaysNode.with(
            "node-3", change: { $0.answer = ProxyResponse(status: status, body: SecretBytes(recorded.body)) }
        ) { node, _ in
            let reply = try await node.receives(recording, from: "node-1")
            #expect(reply.status == 200 && reply.fields["claviger-status"] == "\(status)")
            #expect(reply.body == recorded.body)
            let forwarded = try #require(node.rooms.get(\.forwarded).first)
            #expect(!forwarded.isSurplus)
            let request = forwarded.request
            let path = "/example/uri/path/prefix/kms/xks/v1/keys/foo/\(operation.lowercased())"
            #expect(request.method == "POST" && request.target == path)
            #expect(request.peer.hasPrefix("127.0.0.1:"))
            let names = ["Accept-Encoding", "host", "content-type", "x-amz-date", "authorization", "content-length"]
            #expect(request.headers.map(\.name) == names)
            let fields = Dictionary(request.headers.map { ($0.name, $0.value) }) { $1 }
            #expect(fields["x-amz-date"] == "20261129T230148Z" && fields["host"] == "127.0.0.1:38485")
            let credential = "AWS4-HMAC-SHA256 Credential=IXXDRDOWYCVA54TBSLWVNL42SANM/"
            #expect(fields["authorization"]?.hasPrefix(credential) == true)
            let body = try JSON.object(Data(text(request.body).utf8))
            #expect("\(request.body.count)" == fields["content-length"])
            #expect((body["requestMetadata"] as? [String: String])?["kmsOperation"] == operation)
        }
    }

    @Test("a member of the head that is not known costs nothing, on either side")
    func unknown() async throws {
        var strange = try Recording("forward-encrypt.request")
        let length = strange.body.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        var head = try JSON.object(strange.body.dropFirst(4).prefix(length))
        head["colour"] = ["red": 1]
        let text = try JSON.data(head)
        let size = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: text.count >> $0) }
        strange.body = Data(size) + text + strange.body.dropFirst(4 + length)
        #expect(Version16631be.ForwardedRequest(strange.body)?.head.method == "POST")
        try await TodaysNode.with("node-3") { node, _ in
            let reply = try await node.receives(strange, from: "node-1")
            #expect(reply.fields["claviger-status"] == "500")
            #expect(node.rooms.get(\.forwarded).first?.request.method == "POST")
        }
    }

    @Test("its answers are handed on: what was encrypted, what was decrypted, an error's name")
    func forwardedAnswers() async throws {
        func object(_ name: String, status: Int) async throws -> [String: String] {
            var answer: (status: Int, body: Data)?
            try await TodaysNode.with(
                "node-1", change: TodaysMessagesTests.fill,
                finds: ("node-3", try TodaysMessagesTests.answers(forward: name))
            ) {
                node, _ in
                try await eventually("it can be asked") { node.service.canForward(label: "foo") }
                answer = await node.passesOn(TodaysNode.request)
            }
            let handed = try #require(answer, "\(name) is not handed on")
            #expect(handed.status == status)
            return try #require(try JSON.object(handed.body) as? [String: String])
        }
        let sealed = try await object("forward-encrypt", status: 200)
        #expect(
            Set(sealed.keys) == [
                "ciphertext", "initializationVector", "authenticationTag", "ciphertextMetadata",
                "ciphertextDataIntegrityValue",
            ])
        // The mark, and format 1.
        #expect(sealed["ciphertextMetadata"] == "Q0xWAQ==")
        #expect(try await object("forward-decrypt", status: 200) == ["plaintext": "cGxhaW50ZXh0"])
        #expect(try await object("forward-invalid", status: 400)["errorName"] == "InvalidCiphertextException")
    }
}

extension TodaysNode {
    static var request: ProxyRequest {
        ProxyRequest(
            method: "POST", target: "/p/kms/xks/v1/keys/foo/encrypt",
            headers: [
                HeaderField(name: "host", value: "h"), HeaderField(name: "x-amz-date", value: "20261129T230148Z"),
            ], body: SecretBytes(Data("{\"plaintext\":\"AA==\"}".utf8)), receivedAt: 0, peer: "192.0.2.1:5")
    }

    /// Status and body of the answer of node-3; `nil` where it is not handed on.
    func passesOn(_ request: ProxyRequest) async -> (status: Int, body: Data)? {
        let result = await withCheckedContinuation { continuation in
            let deadline = DispatchTime.now().uptimeNanoseconds + 15_000_000_000
            service.forward(request, label: "foo", deadline: deadline) { continuation.resume(returning: $0) }
        }
        guard case .answered(let response, by: "node-3") = result else { return nil }
        return (response.status, response.body.withUnsafeBytes { Data($0) })
    }
}
