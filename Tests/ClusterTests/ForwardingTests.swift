// SPDX-License-Identifier: Apache-2.0
import Cluster
import Foundation
import Gossip
import SecureMemory
import Synchronization
import Testing
import XKSProtocol

@Suite("Cluster: requests that are passed on", .timeLimit(.minutes(2)))
struct ForwardingTests {
    private let request = ProxyRequest(
        method: "POST", target: "/p/kms/xks/v1/keys/foo/encrypt?x=%20",
        headers: [
            HeaderField(name: "Host", value: "a \u{E9}"), HeaderField(name: "x-amz-date", value: "20260101T000000Z"),
        ], body: SecretBytes(Array(0...255)), receivedAt: 0, peer: "192.0.2.7:443")

    private func response(_ status: Int, _ text: String) -> ProxyResponse {
        ProxyResponse(status: status, body: SecretBytes(Array(text.utf8)))
    }

    private func forward(
        _ node: ClusterService, _ other: ProxyRequest? = nil, needs: ForwardingNeeds = .none,
        within milliseconds: UInt64
    ) async -> ForwardResult {
        await withCheckedContinuation { continuation in
            let now = clock_gettime_nsec()
            node.forward(other ?? request, label: "foo", needs: needs, deadline: now + milliseconds * 1_000_000) {
                continuation.resume(returning: $0)
            }
        }
    }

    @Test("the peer gets the request as it was, and its answer comes back as it is")
    func answered() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            let seen = Mutex<(ProxyRequest, String)?>(nil)
            let answer = response(400, #"{"errorName":"ValidationException"}"#)
            b.delegate.set { state in
                state.answer = { request, peer in
                    seen.withLock { $0 = (request, peer) }
                    return answer
                }
            }
            try await eventually("b is there") { a.service.canForward(label: "foo") }
            guard case .answered(let got, let node) = await forward(a.service, within: 2_000) else {
                Issue.record("not answered")
                return
            }
            #expect(node == "b" && got.status == 400)
            #expect(got.body.constantTimeEquals(answer.body))
            let (forwarded, peer) = try #require(seen.withLock { $0 })
            #expect(peer == "a" && forwarded.target == request.target && forwarded.headers == request.headers)
            #expect(forwarded.body.constantTimeEquals(request.body) && forwarded.peer == request.peer)
            #expect(a.service.statistics.forwardsOut == 1 && b.service.statistics.forwardsIn == 1)
        }
    }

    @Test("the peer gets the place in a trace, and that a command makes it, from the node, and never from the client")
    func traced() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            let seen = Mutex<ProxyRequest?>(nil)
            let answer = response(200, "{}")
            b.delegate.set { state in
                state.answer = { request, _ in
                    seen.withLock { $0 = request }
                    return answer
                }
            }
            try await eventually("b is there") { a.service.canForward(label: "foo") }
            let context = TraceContext(traceHigh: 1, traceLow: 2, spanID: .max)
            for sent in [context, nil] {
                var traced = request
                traced.traceContext = sent
                traced.isDiagnostic = sent == nil
                traced.headers.append(
                    HeaderField(name: "traceparent", value: "00-000000000000000100000000000000ab-00000000000000cd-01"))
                _ = await forward(a.service, traced, within: 2_000)
                let forwarded = try #require(seen.withLock { $0 })
                #expect(forwarded.traceContext == sent && forwarded.headers == traced.headers)
                #expect(forwarded.isDiagnostic == (sent == nil))
            }
        }
    }

    /// What a peer answers is put on KMS's wire as it is: a body after 204 would split the answer there. 16631be handed
    /// all of these on.
    @Test("an answer that KMS could not read is handed on to nobody")
    func unfit() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            let long = #"{"a":""# + String(repeating: "x", count: 2 << 20) + #""}"#
            for (status, body) in [
                (204, "{}"), (101, "{}"), (301, "{}"), (200, "[1]"), (200, ""), (200, #"{"a":1}{"#), (200, long),
            ] {
                let answer = response(status, body)
                b.delegate.set { $0.answer = { _, _ in answer } }
                try await eventually("b is there") { a.service.canForward(label: "foo") }
                if case .answered(let got, _) = await forward(a.service, within: 2_000) {
                    Issue.record("\(status) \(body.prefix(10)) has been handed on as \(got.status)")
                }
            }
            let good = response(200, #"{"a":1}"#)
            b.delegate.set { $0.answer = { _, _ in good } }
            try await eventually("b is there") { a.service.canForward(label: "foo") }
            guard case .answered(let got, _) = await forward(a.service, within: 5_000) else {
                Issue.record("not answered")
                return
            }
            #expect(got.status == 200)
        }
    }

    @Test("what is more than a node can do goes to a peer that reports room, and says so; it may refuse it")
    func surplus() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            let needs = ForwardingNeeds(isSurplus: true)
            try await eventually("b is there") { a.service.canForward(label: "foo") }
            #expect(!a.service.canForward(label: "foo", needs: needs), "it tells of no room")
            guard case .failed = await forward(a.service, needs: needs, within: 2_000) else {
                Issue.record("it was asked all the same")
                return
            }
            b.delegate.set { $0.facts.room = NodeRoom(perSecond: 1_000_000, callMicroseconds: 2_000) }
            try await eventually("b's room is known") { a.service.canForward(label: "foo", needs: needs) }
            #expect(a.service.leastDetour ?? 0 > 3_000_000)
            let (good, full) = (response(200, #"{"a":1}"#), response(429, #"{"errorName":"ThrottlingException"}"#))
            b.delegate.set { $0.answer = { _, _ in good } }
            guard case .answered(let got, _) = await forward(a.service, needs: needs, within: 2_000) else {
                Issue.record("not answered")
                return
            }
            #expect(got.status == 200 && b.delegate.get(\.surplus) == 1)
            b.delegate.set { $0.answer = { _, _ in full } }
            guard case .answered(let refusal, _) = await forward(a.service, needs: needs, within: 2_000) else {
                Issue.record("not answered")
                return
            }
            #expect(refusal.status == 429)
            #expect(a.service.statistics.surplusOut == 1 && a.service.statistics.surplusRefused == 1)
            #expect(b.service.statistics.surplusIn == 2 && b.service.statistics.forwardsIn == 0)
        }
    }

    // While connections had only begun to be opened: 35 to 39 of 100 failed, "no answer in time".
    @Test("over a long way nothing fails, from the first request on: connections are there before they are needed")
    func far() async throws {
        let port = Atomic(0)
        let proxy = try await FarPeer.start(delay: .milliseconds(60)) { port.load(ordering: .relaxed) }
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address], advertise: proxy.address)
            port.store(b.service.port, ordering: .relaxed)
            let good = response(200, #"{"a":1}"#)
            b.delegate.set { $0.answer = { _, _ in good } }
            try await eventually("b is there") { a.service.canForward(label: "foo") }
            // a's own HSMs have had that much to do.
            let pace = Task {
                while !Task.isCancelled {
                    a.delegate.set { $0.facts.encrypts += 20 }
                    try? await Task.sleep(for: .milliseconds(100))
                }
            }
            try await eventually("connections for 200 requests a second are open", within: .seconds(30)) {
                a.service.statistics.forwardConnections >= 40
            }
            pace.cancel()
            try await eventually("the way is known") {
                a.service.members.first?.roundTrip ?? 0 >= 100_000
            }
            let failures = await withTaskGroup(of: String?.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        switch await forward(a.service, within: 350) {
                        case .answered(let got, _): got.status == 200 ? nil : "\(got.status)"
                        case .failed(let reason): reason
                        }
                    }
                    try? await Task.sleep(for: .milliseconds(10))
                }
                return await group.reduce(into: [String]()) { all, failure in
                    if let failure { all.append(failure) }
                }
            }
            #expect(failures.isEmpty)
        }
        await proxy.stop()
    }

    @Test(
        "an answer that KMS must not be given is not handed on", arguments: [(204, "{}"), (200, "{}{}"), (502, "{}")])
    func strange(status: Int, body: String) async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            let answer = response(status, body)
            b.delegate.set { $0.answer = { _, _ in answer } }
            try await eventually("b is there") { a.service.canForward(label: "foo") }
            guard case .failed(let reason) = await forward(a.service, within: 2_000) else {
                Issue.record("handed on")
                return
            }
            #expect(reason.contains("not of the form"))
        }
    }

    @Test("where a key may be offered elsewhere, a node that does not offer it is passed over for the next one")
    func unoffered() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let (absent, good) = (response(404, #"{"errorName":"KeyNotFoundException"}"#), response(200, "{}"))
            for name in ["b", "c"] {
                let node = try await cluster.start(name, seeds: [a.service.address])
                node.delegate.set { state in
                    state.facts.configuration = "of \(name)"
                    state.answer = { _, _ in name == "b" ? absent : good }
                }
            }
            try await eventually("a knows that both have another configuration") {
                a.service.agreement.others == ["b", "c"]
            }
            let needs = ForwardingNeeds(only: ["b", "c"], mayNotOffer: true)
            for _ in 0..<10 {
                guard case .answered(let got, let node) = await forward(a.service, needs: needs, within: 2_000) else {
                    Issue.record("not answered")
                    return
                }
                #expect(node == "c" && got.status == 200)
            }
            for name in ["b", "c"] { cluster.nodes[name]?.delegate.set { $0.facts.configuration = "same" } }
            try await eventually("all agree") { a.service.agreement.isWhole }
            await cluster.stop("b")
            try await eventually("b is silent, and may have changed") { a.service.agreement.silent == ["b"] }
            #expect(await a.service.forget("b", by: "me@a", unixSeconds: 1_790_000_000) == nil)
            try await eventually("b does not count any more") { a.service.agreement.isWhole }
        }
    }

    @Test("who cannot do it now is passed over for the next one; a refusal is an answer")
    func next() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let (failing, good) = (response(500, #"{"errorName":"InternalException"}"#), response(200, "{}"))
            for name in ["b", "c"] {
                let node = try await cluster.start(name, seeds: [a.service.address])
                node.delegate.set { $0.answer = { _, _ in name == "b" ? failing : good } }
            }
            try await eventually("both are there") {
                a.service.members.count(where: { $0.facts?.canServe == true }) == 2
            }
            for _ in 0..<10 {
                guard case .answered(let got, let node) = await forward(a.service, within: 2_000) else {
                    Issue.record("not answered")
                    return
                }
                #expect(node == "c" && got.status == 200)
            }
        }
    }

    @Test("nobody answers within the deadline: said so, within it")
    func late() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            _ = try await cluster.start("b", seeds: [a.service.address])
            try await eventually("b is there") { a.service.canForward(label: "foo") }
            guard case .failed(let reason) = await forward(a.service, within: 150) else {
                Issue.record("answered")
                return
            }
            #expect(reason.contains("b:") && reason.contains("in time"))
            #expect(a.service.statistics.forwardsFailed == 1)
        }
    }

    @Test("nobody is asked who has no HSM, does not serve the key, or ends")
    func nobody() async throws {
        try await withCluster { cluster in
            let a = try await cluster.start("a")
            let b = try await cluster.start("b", seeds: [a.service.address])
            try await eventually("b is there") { a.service.canForward(label: "foo") && a.service.canForwardAny }
            let changes: [(String, (inout NodeFacts) -> Void)] = [
                ("unserved", { $0.unservedKeys = ["foo"] }), ("drained", { $0.hsms[0].isDrained = true }),
                ("draining", { $0.isDraining = true }), ("without", { $0.hsms = [] }),
            ]
            for (what, change) in changes {
                let before = b.delegate.facts()
                b.delegate.set { change(&$0.facts) }
                try await eventually(what) { !a.service.canForward(label: "foo") }
                #expect(a.service.canForwardAny == (what == "unserved"))
                b.delegate.set { $0.facts = before }
                try await eventually("back after \(what)") { a.service.canForward(label: "foo") }
            }
        }
    }
}

private func clock_gettime_nsec() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
