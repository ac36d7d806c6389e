// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import RequestTraces
import Routing
import Synchronization
import Testing
import XKSProtocol
import XKSService

/// Keeps what it is asked for, and answers with 200.
private final class KeepingPeer: RequestForwarder {
    private let last = Mutex<ProxyRequest?>(nil)

    var request: ProxyRequest? { last.withLock { $0 } }

    func canForward(label: KeyLabel, needs: ForwardingNeeds) -> Bool { true }

    func forward(
        _ request: ProxyRequest, label: KeyLabel, needs: ForwardingNeeds, deadline: UInt64,
        asking: @escaping @Sendable (String) -> Void, completion: @escaping @Sendable (ForwardOutcome) -> Void
    ) {
        last.withLock { $0 = request }
        asking("iad-1")
        completion(.answered(ProxyResponse(status: 200, body: .init("{}".utf8)), by: "iad-1"))
    }
}

@Suite("What is recorded of requests that are traced")
struct TracingTests {
    private let path = "/example/kms/xks/v1/keys/foo/encrypt"
    private let all = RequestTracing(sampler: TraceSampler(ratio: 1)) { 7 }
    private let none = RequestTracing(sampler: TraceSampler(ratio: 0)) { 7 }
    private let parent = TraceContext(traceHigh: 3, traceLow: 4, spanID: 5)
    private let body = """
        {"requestMetadata":{"awsPrincipalArn":"arn:aws:iam::1:user/A","kmsKeyArn":"arn:aws:kms:r:1:key/1",\
        "kmsOperation":"Encrypt","kmsRequestId":"id-7"},"plaintext":"AQID","encryptionAlgorithm":"AES_GCM"}
        """
    private let encrypted = OperationResult.done([UInt8](repeating: 7, count: 3 + 16), iv: [UInt8](1...12))

    @Test("its calls, the one that nobody waits for among them")
    func calls() throws {
        let bench = try ServiceBench(tracing: all) { [encrypted] operation in
            let recorder = operation.recorder
            recorder?.began(call: 1, .request, .encrypt, of: "hsm-a", at: 999_100_000)
            recorder?.began(call: 2, .request, .encrypt, of: "hsm-b", at: 999_200_000)
            recorder?.began(call: 3, .canary, .decrypt, of: "hsm-c", at: 999_300_000)
            recorder?.ended(call: 3, failure: "C_Decrypt: CKR_DEVICE_ERROR", at: 999_400_000)
            recorder?.ended(call: 2, failure: nil, at: 999_500_000)
            return encrypted
        }
        #expect(try bench.post(path, body).0 == 200)
        let recording = try #require(bench.observer.traces.first?.recording)
        #expect(recording.parentID == nil && recording.context.traceHigh == 7)
        #expect(recording.calls.map(\.target) == ["hsm-a", "hsm-b", "hsm-c"])
        #expect(recording.calls.map(\.purpose) == [.encrypt, .encrypt, .check])
        #expect(recording.calls.map(\.outcome) == ["not waited for", "ok", "C_Decrypt: CKR_DEVICE_ERROR"])
        #expect(recording.calls.map(\.hasFailed) == [false, false, true])
        #expect(recording.calls.map(\.endedAt) == [1_000_000_000, 999_500_000, 999_400_000])
        let ids = recording.calls.map(\.spanID) + [recording.context.spanID]
        #expect(Set(ids).count == 4 && !ids.contains(0))
        // It may come back later than the answer, and then it is nobody's.
        bench.pool.operations.first?.recorder?.ended(call: 1, failure: nil, at: 2_000_000_000)
        #expect(bench.observer.traces.first?.recording == recording)
    }

    @Test("nothing where it is not traced, and of nobody who has not signed")
    func untraced() throws {
        for tracing in [none, nil] {
            let bench = try ServiceBench(tracing: tracing) { [encrypted] _ in encrypted }
            #expect(try bench.post(path, body).0 == 200)
            #expect(bench.pool.operations.first?.recorder == nil && bench.observer.traces.first?.recording == nil)
        }
        let bench = try ServiceBench(tracing: all) { [encrypted] _ in encrypted }
        #expect(try bench.post(path, body, sign: false, traceContext: parent).0 == 401)
        #expect(bench.observer.traces.count == 1 && bench.observer.traces.first?.recording == nil)
    }

    @Test("its place in the trace of the node that has passed it on, whatever this one's share is")
    func passedOnHere() throws {
        let bench = try ServiceBench(tracing: none) { [encrypted] _ in encrypted }
        #expect(try bench.post(path, body, forwardedBy: "fra-2", traceContext: parent).0 == 200)
        let recording = try #require(bench.observer.traces.first?.recording)
        #expect(recording.parentID == 5 && recording.context.traceHigh == 3 && recording.context.traceLow == 4)
        #expect(recording.context.spanID != 5)
    }

    @Test("that it is passed on: the peer's span is to be a child of that call's")
    func passedOnThere() throws {
        for (tracing, isTraced) in [(all, true), (none, false)] {
            let peer = KeepingPeer()
            let bench = try ServiceBench(forwarder: peer, tracing: tracing) { _ in
                OperationResult(outcome: .unavailable("it is out"))
            }
            #expect(try bench.post(path, body).0 == 200)
            let recording = bench.observer.traces.first?.recording
            #expect((recording != nil) == isTraced && (peer.request?.traceContext != nil) == isTraced)
            guard let recording else { continue }
            let call = try #require(recording.calls.first)
            #expect(call.purpose == .forward && call.target == "iad-1" && call.outcome == "ok" && !call.hasFailed)
            var expected = recording.context
            expected.spanID = call.spanID
            #expect(peer.request?.traceContext == expected && expected != recording.context)
        }
    }

    @Test("not more calls than anybody looks at")
    func many() throws {
        let bench = try ServiceBench(tracing: all) { [encrypted] operation in
            for call in 1...1_000 {
                operation.recorder?.began(call: UInt64(call), .request, .encrypt, of: "hsm-a", at: 999_100_000)
            }
            return encrypted
        }
        #expect(try bench.post(path, body).0 == 200)
        #expect(bench.observer.traces.first?.recording?.calls.count == 64)
    }
}
