// SPDX-License-Identifier: Apache-2.0
import AccessControl
import LaneProtocol
import Routing
import SecureMemory
import Testing
import XKSProtocol
import XKSService

private func metadata(_ more: String = "") -> String {
    #"{"awsPrincipalArn":"arn:aws:iam::123456789012:user/Alice","kmsKeyArn":"arn:aws:kms:eu-central-1:1:key/1","#
        + #""kmsOperation":"Encrypt","kmsRequestId":"4112f4d6"\#(more)}"#
}

private func body(_ operation: String, _ more: String = "") -> String {
    switch operation {
    case "encrypt":
        #"{"requestMetadata":\#(metadata(more)),"plaintext":"SGVsbG8gV29ybGQh","encryptionAlgorithm":"AES_GCM"}"#
    case "decrypt":
        #"{"requestMetadata":\#(metadata(more)),"ciphertext":"ghxkK1txeDNn3q8Y","initializationVector":"HMrlRw85cAJUd5Ax","#
            + #""authenticationTag":"vBxN2ncH1oEkR8WVXpmyYQ==","encryptionAlgorithm":"AES_GCM"}"#
    default: #"{"requestMetadata":\#(metadata(more))}"#
    }
}

private func policy(_ statements: String...) -> String { "{\"Statement\": [\(statements.joined(separator: ","))]}" }

private func statement(_ sid: String, _ effect: String, action: String = "xks:*", _ condition: String = "") -> String {
    let condition = condition.isEmpty ? "" : ", \"Condition\": {\(condition)}"
    return
        #"{"Sid": "\#(sid)", "Effect": "\#(effect)", "Principal": "*", "Action": "\#(action)", "Resource": "*"\#(condition)}"#
}

private let keyPath = "/example/kms/xks/v1/keys/foo/"
private let done = OperationResult.done([UInt8](repeating: 7, count: 12 + 16), iv: [UInt8](1...12))

@Suite("A key store's policy on the way of a request")
struct PolicyTests {
    @Test(
        "what it does not allow is refused before an HSM is asked, and the log names the statement",
        arguments: [("encrypt", "xks:Encrypt"), ("decrypt", "xks:Decrypt"), ("metadata", "xks:GetKeyMetadata")])
    func refused(operation: String, action: String) throws {
        let bench = try ServiceBench(
            policy: policy(statement("All", "Allow"), statement("Not this", "Deny", action: action))
        ) { _ in done }
        let (status, text) = try bench.post(keyPath + operation, body(operation))
        #expect(status == 403 && text.contains("AccessDeniedException") && !text.contains("Not this"))
        let trace = try #require(bench.observer.traces.last)
        #expect(trace.policyStatement == "Not this" && trace.reason == "the policy denies it by Not this")
        #expect(trace.error == .accessDenied && bench.pool.operations.isEmpty)
        for other in ["encrypt", "decrypt", "metadata"] where other != operation {
            #expect(try bench.post(keyPath + other, body(other)).0 == 200)
            #expect(bench.observer.traces.last?.policyStatement == "All")
        }
    }

    @Test("what no statement is about is refused, and the log says so")
    func notAllowed() throws {
        let bench = try ServiceBench(policy: policy(statement("Read", "Allow", action: "xks:Decrypt"))) { _ in done }
        #expect(try bench.post(keyPath + "encrypt", body("encrypt")).0 == 403)
        let trace = try #require(bench.observer.traces.last)
        #expect(trace.policyStatement == nil && trace.reason == "no statement of the policy allows it")
    }

    @Test("GetHealthStatus is nobody's key: no policy is asked")
    func health() throws {
        let bench = try ServiceBench(
            hsms: [FleetHSM(id: "a", manufacturer: nil, model: nil, health: .active)],
            policy: policy(statement("Nothing", "Deny"))
        ) { _ in done }
        let text = #"{"requestMetadata":{"kmsRequestId":"1","kmsOperation":"KmsHealthCheck"}}"#
        #expect(try bench.post("/example/kms/xks/v1/health", text).0 == 200)
        #expect(bench.observer.traces.last?.policyStatement == nil)
    }

    @Test("the signature comes before it, and blocks do; what is said of keys comes after")
    func order() throws {
        let deny = policy(statement("Nothing", "Deny"))
        let bench = try ServiceBench(policy: deny) { _ in done }
        #expect(try bench.post(keyPath + "encrypt", body("encrypt"), sign: false).0 == 401)
        #expect(try bench.post("/example/kms/xks/v1/keys/unknown/encrypt", body("encrypt")).0 == 403)
        #expect(try bench.post("/example/kms/xks/v1/keys/unknown/metadata", body("metadata")).0 == 403)
        let block = Block(
            id: "0123456789abcdef0123456789abcdef", target: .everything, reason: "r", madeAt: 1, expiresAt: nil,
            madeBy: "ada@fra-1")
        let blocked = try ServiceBench(blocks: BlockList(blocks: [block], lifts: []), policy: deny) { _ in done }
        #expect(try blocked.post(keyPath + "encrypt", body("encrypt")).1.contains("InvalidStateException"))
    }

    @Test("a condition has the client, the time, the key store, and fields that KMS has only begun to send")
    func conditions() throws {
        let bench = try ServiceBench(
            policy: policy(
                statement("Net", "Allow", #""IpAddress": {"xks:ClientAddress": "192.0.2.0/24"}"#),
                statement("Late", "Deny", #""DateGreaterThan": {"xks:CurrentTime": "\#(ServiceBench.now)"}"#),
                statement("Tier", "Allow", #""StringEquals": {"kmsTier": "gold", "xks:KeyStore": "/example"}"#))
        ) { _ in done }
        #expect(try bench.post(keyPath + "encrypt", body("encrypt"), peer: "192.0.2.7:9").0 == 200)
        #expect(bench.observer.traces.last?.policyStatement == "Net")
        #expect(try bench.post(keyPath + "encrypt", body("encrypt"), peer: "198.51.100.7:9").0 == 403)
        for more in [#","kmsTier":"gold""#, #","kmsTier":["silver","gold"]"#, #","kmsOther":{},"kmsTier":"g\u006fld""#]
        {
            for operation in ["encrypt", "decrypt", "metadata"] {
                #expect(try bench.post(keyPath + operation, body(operation, more)).0 == 200)
                #expect(bench.observer.traces.last?.policyStatement == "Tier")
            }
        }
        for more in [#","kmsTier":"silver""#, #","kmsTier":null"#, #","kmsTier":{"gold":"gold"}"#] {
            #expect(try bench.post(keyPath + "encrypt", body("encrypt", more)).0 == 403)
        }
    }

    @Test("of a forwarded request the first node decides, and the peer asks its own policy, by the client's address")
    func forwarded() throws {
        let peer = ScriptedForwarder(.answered(ProxyResponse(status: 200, body: SecretBytes("{}".utf8)), by: "iad-1"))
        let first = try ServiceBench(
            decision: .unknown("nobody can be asked"), forwarder: peer,
            policy: policy(statement("Not here", "Deny", action: "xks:Encrypt"), statement("All", "Allow"))
        ) { _ in done }
        #expect(try first.post(keyPath + "encrypt", body("encrypt")).0 == 403)
        #expect(peer.labels.isEmpty)
        #expect(try first.post(keyPath + "decrypt", body("decrypt")).0 == 200)
        #expect(peer.labels == ["foo"])

        let net = policy(statement("Net", "Allow", #""IpAddress": {"xks:ClientAddress": "192.0.2.0/24"}"#))
        let second = try ServiceBench(policy: net) { _ in done }
        #expect(
            try second.post(keyPath + "encrypt", body("encrypt"), forwardedBy: "fra-2", peer: "192.0.2.7:9").0 == 200)
        #expect(
            try second.post(keyPath + "encrypt", body("encrypt"), forwardedBy: "fra-2", peer: "198.51.100.7:9").0 == 403
        )
    }

    @Test("it comes, changes and goes with a reload")
    func reloaded() throws {
        let bench = try ServiceBench { _ in done }
        #expect(try bench.post(keyPath + "encrypt", body("encrypt")).0 == 200)
        #expect(bench.observer.traces.last?.policyStatement == nil)
        try bench.replacePolicy(policy(statement("None", "Deny")))
        #expect(try bench.post(keyPath + "encrypt", body("encrypt")).0 == 403)
        try bench.replacePolicy(nil)
        #expect(try bench.post(keyPath + "encrypt", body("encrypt")).0 == 200)
    }
}
