// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Quota
import Routing
import SecureMemory
import Synchronization
import Testing
import XKSProtocol
import XKSService

private func body(
    _ operation: String, by principal: String = "arn:aws:iam::123456789012:user/Alice", id: String = "4112f4d6"
) -> String {
    let metadata =
        #"{"awsPrincipalArn":"\#(principal)","kmsKeyArn":"arn:aws:kms:eu-central-1:1:key/1","#
        + #""kmsOperation":"Encrypt","kmsRequestId":"\#(id)"}"#
    return operation == "encrypt"
        ? #"{"requestMetadata":\#(metadata),"plaintext":"SGVsbG8gV29ybGQh","encryptionAlgorithm":"AES_GCM"}"#
        : #"{"requestMetadata":\#(metadata)}"#
}

private func limits(_ store: Int? = nil, principal: Int? = nil) -> QuotaLimits {
    QuotaLimits(
        store: store.map { QuotaRate(perSecond: 1, burst: $0) },
        principal: principal.map { QuotaRate(perSecond: 1, burst: $0) })
}

private let keyPath = "/example/kms/xks/v1/keys/foo/"
private let healthBody = #"{"requestMetadata":{"kmsRequestId":"1","kmsOperation":"KmsHealthCheck"}}"#
private let done = OperationResult.done([UInt8](repeating: 7, count: 12 + 16), iv: [UInt8](1...12))

/// As many nodes as a test says, and how often it was asked.
final class ScriptedNodes: NodeCountSource {
    private let counts: Mutex<(live: Int, members: Int)>
    let asked = Atomic<Int>(0)
    init(live: Int, members: Int) { counts = Mutex((live, members)) }
    func nodeCounts() -> (live: Int, members: Int) {
        asked.add(1, ordering: .relaxed)
        return counts.withLock { $0 }
    }
}

@Suite("A key store's quota on the way of a request")
struct QuotaTests {
    /// Without: `claviger diagnose` was refused where the quota was used up, and said that the key store fails.
    @Test("what this host's own commands ask is let through, and charged to nobody")
    func diagnostic() throws {
        let bench = try ServiceBench(quota: limits(1, principal: 1)) { _ in done }
        let id = bench.service.diagnostics.begin(now: 999_000_000, chance: (1, 2))
        for _ in 0..<3 { #expect(try bench.post(keyPath + "encrypt", body("encrypt", id: id)).0 == 200) }
        #expect(bench.service.quotaCounts().first?.counts.admitted == 0)
        #expect(try bench.post(keyPath + "encrypt", body("encrypt")).0 == 200)
        #expect(try bench.post(keyPath + "encrypt", body("encrypt", id: "diagnose-1")).0 == 429)
        #expect(try bench.post(keyPath + "encrypt", body("encrypt", id: id)).0 == 200)
    }

    @Test("what is over a principal's limit is refused before an HSM is asked, and the log names the setting and who")
    func refused() throws {
        let bench = try ServiceBench(quota: limits(principal: 2)) { _ in done }
        for _ in 0..<2 { #expect(try bench.post(keyPath + "encrypt", body("encrypt")).0 == 200) }
        for operation in ["encrypt", "metadata"] {
            let (status, text) = try bench.post(keyPath + operation, body(operation))
            #expect(status == 429 && text.contains("ThrottlingException") && !text.contains("per_second"))
            let trace = try #require(bench.observer.traces.last)
            #expect(trace.error == .throttling)
            #expect(
                trace.reason
                    == "principal_requests_per_second = 1: arn:aws:iam::123456789012:user/Alice is over it")
        }
        #expect(try bench.post(keyPath + "metadata", body("metadata", by: "Bob")).0 == 200)
        #expect(bench.pool.operations.count == 2)
        let counts = try #require(bench.service.quotaCounts().first)
        #expect(counts.keyStore == "/example" && counts.nodes == 1)
        #expect(counts.counts.refusedByPrincipal == 2 && counts.counts.refusedByStore == 0)
        #expect(counts.counts.principals == 2 && counts.counts.principalsRefused == 1)
    }

    @Test("what is over the key store's limit is refused, but GetHealthStatus never is")
    func store() throws {
        let bench = try ServiceBench(
            hsms: [FleetHSM(id: "a", manufacturer: nil, model: nil, health: .active)], quota: limits(5)
        ) { _ in done }
        for _ in 0..<4 { #expect(try bench.post(keyPath + "encrypt", body("encrypt")).0 == 200) }
        #expect(try bench.post(keyPath + "encrypt", body("encrypt")).0 == 429)
        let reason = try #require(bench.observer.traces.last?.reason)
        #expect(
            reason
                == "requests_per_second = 1: the key store is over it, and arn:aws:iam::123456789012:user/Alice has its share"
        )
        // A fifth is kept for those who come.
        #expect(try bench.post(keyPath + "encrypt", body("encrypt", by: "Bob")).0 == 200)
        #expect(try bench.post(keyPath + "encrypt", body("encrypt", by: "Bob")).0 == 429)
        for _ in 0..<20 { #expect(try bench.post("/example/kms/xks/v1/health", healthBody).0 == 200) }
        #expect(bench.service.quotaCounts().first?.counts.refusedByStore == 2)
    }

    @Test("signature, block and policy come before it, and cost nothing of it")
    func order() throws {
        let bench = try ServiceBench(
            policy:
                #"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "xks:Encrypt", "Resource": "*"}]}"#,
            quota: limits(principal: 1)
        ) { _ in done }
        for _ in 0..<3 {
            #expect(try bench.post(keyPath + "encrypt", body("encrypt"), sign: false).0 == 401)
            #expect(try bench.post(keyPath + "metadata", body("metadata")).0 == 403)
        }
        #expect(try bench.post(keyPath + "encrypt", body("encrypt")).0 == 200)
        #expect(try bench.post(keyPath + "encrypt", body("encrypt")).0 == 429)
    }

    @Test("of a forwarded request the first node decides, and one that it refuses is not passed on")
    func forwarded() throws {
        let second = try ServiceBench(quota: limits(1, principal: 1)) { _ in done }
        for _ in 0..<5 {
            #expect(try second.post(keyPath + "encrypt", body("encrypt"), forwardedBy: "fra-2").0 == 200)
        }
        let peer = ScriptedForwarder(.answered(ProxyResponse(status: 200, body: SecretBytes("{}".utf8)), by: "iad-1"))
        let first = try ServiceBench(
            decision: .unknown("nobody can be asked"), forwarder: peer, quota: limits(principal: 1)
        ) { _ in done }
        #expect(try first.post(keyPath + "encrypt", body("encrypt")).0 == 200)
        #expect(try first.post(keyPath + "encrypt", body("encrypt")).0 == 429)
        #expect(peer.labels == ["foo"])
    }

    @Test("nodes share it, and are not counted at each request")
    func nodes() throws {
        let nodes = ScriptedNodes(live: 2, members: 3)
        let bench = try ServiceBench(quota: limits(principal: 6), nodes: nodes) { _ in done }
        let statuses = try (0..<9).map { _ in try bench.post(keyPath + "encrypt", body("encrypt")).0 }
        #expect(statuses == [200, 200, 200, 429, 429, 429, 429, 429, 429])
        #expect(bench.observer.traces.last?.reason?.contains("one part of 2") == true)
        #expect(bench.service.quotaCounts().first?.nodes == 2)
        #expect(nodes.asked.load(ordering: .relaxed) == 1)
    }

    @Test("it comes, changes and goes with a reload, and what was used is not forgotten")
    func reloaded() throws {
        let bench = try ServiceBench { _ in done }
        let status = { try bench.post(keyPath + "encrypt", body("encrypt")).0 }
        for _ in 0..<3 { #expect(try status() == 200) }
        #expect(bench.service.quotaCounts().isEmpty)
        try bench.replaceQuota(limits(principal: 1))
        #expect(try status() == 200)
        #expect(try status() == 429)
        try bench.replaceQuota(limits(principal: 2))
        #expect(try status() == 200)
        #expect(try status() == 429)
        #expect(bench.service.quotaCounts().first?.counts.refusedByPrincipal == 2)
        try bench.replaceQuota(nil)
        #expect(try status() == 200)
    }

    @Test("a huge principal is refused like any other, and shortened in the reason")
    func huge() throws {
        let bench = try ServiceBench(quota: limits(principal: 1)) { _ in done }
        let name = String(repeating: "x", count: 2_048)
        #expect(try bench.post(keyPath + "encrypt", body("encrypt", by: name)).0 == 200)
        #expect(try bench.post(keyPath + "encrypt", body("encrypt", by: name)).0 == 429)
        #expect(
            bench.observer.traces.last?.reason
                == "principal_requests_per_second = 1: \(name.prefix(128))… is over it")
    }
}
