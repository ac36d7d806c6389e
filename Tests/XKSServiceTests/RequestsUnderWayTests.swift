// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Routing
import SecureMemory
import Synchronization
import Testing
import XKSProtocol
import XKSService

/// Gives an answer once a test has looked.
private final class PatientPeer: RequestForwarder {
    private let look = Mutex<(@Sendable () -> Void)?>(nil)

    func beforeAnswering(_ look: @escaping @Sendable () -> Void) { self.look.withLock { $0 = look } }

    func canForward(label: KeyLabel, needs: ForwardingNeeds) -> Bool { true }

    func forward(
        _ request: ProxyRequest, label: KeyLabel, needs: ForwardingNeeds, deadline: UInt64,
        asking: @escaping @Sendable (String) -> Void, completion: @escaping @Sendable (ForwardOutcome) -> Void
    ) {
        asking("iad-1")
        look.withLock { $0 }?()
        completion(.failed("nothing"))
    }
}

@Suite struct RequestsUnderWayTests {
    private let body = """
        {"requestMetadata":{"awsPrincipalArn":"arn:aws:iam::1:user/A","kmsKeyArn":"arn:aws:kms:r:1:key/1",\
        "kmsOperation":"Encrypt","kmsRequestId":"id-7"},"plaintext":"AQID","encryptionAlgorithm":"AES_GCM"}
        """
    private let path = "/example/kms/xks/v1/keys/foo/encrypt"
    private let lost = OperationResult(outcome: .unavailable("it is out"))

    @Test func ofAnOperationItsRequestIsSaid() throws {
        let bench = try ServiceBench { [lost] _ in lost }
        _ = try bench.post(path, body, forwardedBy: "fra-2")
        let operation = try #require(bench.pool.operations.first)
        func request(_ hsms: [String], isWaiting: Bool = false, isChecked: Bool = false) -> RequestUnderWay? {
            let place = OperationUnderWay(
                caller: operation.caller, hsms: hsms, isWaiting: isWaiting, isChecked: isChecked, attempts: 2)
            return bench.service.requestsUnderWay([place]).first
        }
        let seen = try #require(request(["hsm-a", "hsm-b"]))
        #expect(seen.place == .hsms(["hsm-a", "hsm-b"]) && seen.attempts == 2)
        #expect(seen.operation == .encrypt && seen.keyStore == "/example" && seen.externalKeyID == "foo")
        #expect(seen.requestID == "id-7" && seen.receivedAt == 999_000_000 && seen.forwardedBy == "fra-2")
        #expect(request([], isWaiting: true)?.place == .line)
        #expect(request(["hsm-a"], isWaiting: true)?.place == .hsms(["hsm-a"]))
        #expect(request(["hsm-a"], isChecked: true)?.place == .check(["hsm-a"]))
    }

    @Test func whatAPeerHasIsSaidAsLongAsItHasIt() throws {
        let peer = PatientPeer()
        let bench = try ServiceBench(forwarder: peer) { [lost] _ in lost }
        let seen = Mutex<[RequestUnderWay]>([])
        let service = bench.service
        peer.beforeAnswering { seen.withLock { $0 = service.requestsUnderWay([]) } }
        #expect(try bench.post(path, body).0 == 500)
        let request = try #require(seen.withLock { $0 }.first)
        #expect(request.place == .peer("iad-1") && request.requestID == "id-7")
        #expect(service.requestsUnderWay([]).isEmpty)
    }
}
