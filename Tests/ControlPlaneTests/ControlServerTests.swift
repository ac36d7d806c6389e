// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import ControlPlane
import Foundation
import Logging
import StatusVocabulary
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

@Suite struct ControlServerTests {
    private let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    private func withServer(
        _ source: StatusSource, host: String = "127.0.0.1", _ body: (ControlServer) async throws -> Void
    ) async throws {
        let server = try await ControlServer.start(host: host, port: 0, source: source, logger: logger)
        do {
            try await body(server)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    private func ask(
        _ server: ControlServer, _ path: String, method: String = "GET"
    ) async throws -> (answer: HTTPURLResponse, body: Data) {
        var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:\(server.port)\(path)")))
        request.httpMethod = method
        request.timeoutInterval = 10
        let (body, response) = try await URLSession.shared.data(for: request)
        return (try #require(response as? HTTPURLResponse), body)
    }

    private func json(_ body: Data) throws -> NSDictionary {
        try #require(try JSONSerialization.jsonObject(with: body) as? NSDictionary)
    }

    @Test func pingAndLivezLookAtNothing() async throws {
        try await withServer(StatusSource([.unavailable], draining: true)) { server in
            let ping = try await ask(server, "/ping")
            #expect(ping.answer.statusCode == 200 && String(decoding: ping.body, as: UTF8.self) == "pong\n")
            let live = try await ask(server, "/livez?verbose")
            #expect(live.answer.statusCode == 200)
            #expect(try json(live.body) == ["live": true])
        }
    }

    @Test(
        arguments: [
            ([.active, .active], false, 200, "ACTIVE"), ([.active, .degraded], false, 200, "DEGRADED"),
            ([.unavailable, .degraded], false, 200, "DEGRADED"), ([.starting, .active], false, 200, "DEGRADED"),
            ([.starting, .unavailable], false, 503, "UNAVAILABLE"), ([], false, 503, "UNAVAILABLE"),
            ([.active], true, 503, "ACTIVE"),
        ] as [([HSMState], Bool, Int, String)])
    func readinessFollowsTheHSMs(
        states: [HSMState], draining: Bool, status: Int, verdict: String
    ) async throws {
        try await withServer(StatusSource(states, draining: draining)) { server in
            let ready = try await ask(server, "/readyz")
            #expect(ready.answer.statusCode == status)
            let body = try json(ready.body)
            #expect(body["ready"] as? Bool == (status == 200) && body["draining"] as? Bool == draining)
            #expect((body["hsms"] as? [NSDictionary])?.compactMap { $0["state"] as? String } == states.map(\.rawValue))
            let health = try await ask(server, "/health")
            #expect(health.answer.statusCode == 200)
            #expect(try json(health.body)["verdict"] as? String == verdict)
        }
    }

    @Test func readinessChangesWithTheStatus() async throws {
        let source = StatusSource([.active])
        try await withServer(source) { server in
            let before = try await ask(server, "/readyz")
            #expect(before.answer.statusCode == 200)
            source.change { $0.draining = true }
            let after = try await ask(server, "/readyz")
            #expect(after.answer.statusCode == 503)
        }
    }

    @Test func healthTellsEverything() async throws {
        try await withServer(StatusSource([.degraded])) { server in
            let (answer, body) = try await ask(server, "/health")
            #expect(answer.value(forHTTPHeaderField: "Content-Type") == "application/json")
            #expect(answer.value(forHTTPHeaderField: "Cache-Control") == "no-store")
            #expect(
                try json(body) == [
                    "node": "fra-1", "version": "1.2.3", "draining": false, "ready": true, "verdict": "DEGRADED",
                    "hsms": [
                        [
                            "name": "nshield-a", "tokenLabel": "xks", "serial": "0123", "model": "nShield \"5\"",
                            "firmware": "13.4", "state": "degraded", "reason": "C_Login: CKR_PIN_INCORRECT",
                            "sinceUnixSeconds": 1_700_000_000,
                            "lanes": ["open": 16, "inUse": 3, "overdue": 1, "queued": 2],
                            "keys": 2, "tier": 1, "weight": 200, "drained": false,
                            "latencyMicroseconds": ["p50": 900, "p95": 1500, "p99": 4000],
                            "learned": ["callMicroseconds": 880, "usefulCalls": 12],
                        ] as NSDictionary
                    ],
                    "store": ["state": "ok"], "keysServed": 0, "keysExcluded": 0, "canForward": false,
                    "disagreements": 0,
                    "conditions": [
                        [
                            "code": "hsm-degraded", "severity": "warning", "node": "fra-1", "subject": "hsm nshield-a",
                            "text": "hsm nshield-a of node fra-1 is degraded: C_Login: CKR_PIN_INCORRECT",
                            "sinceUnixSeconds": 1_700_000_000,
                        ] as NSDictionary
                    ],
                ])
        }
    }

    @Test func healthCountsKeysAndNamesNone() async throws {
        let source = StatusSource([.active])
        source.change { status in
            status.store = .failing(reason: "the disk is full")
            status.hsms[0].complaints = ["\"secret-plans two\" can be no external key id"]
            status.keys = [
                KeyStatus(label: "secret-plans", canaryBy: "nshield-a", cells: ["nshield-a": .proven, "b": .absent])
            ]
        }
        try await withServer(source) { server in
            let (_, body) = try await ask(server, "/health")
            let health = try json(body)
            #expect(health["verdict"] as? String == "DEGRADED" && health["ready"] as? Bool == true)
            #expect(health["keysServed"] as? Int == 1 && health["keysExcluded"] as? Int == 1)
            #expect(health["store"] as? NSDictionary == ["state": "failing", "reason": "the disk is full"])
            #expect(!String(decoding: body, as: UTF8.self).contains("secret-plans"))
            let ready = try await ask(server, "/readyz")
            #expect(ready.answer.statusCode == 200, "a node with a full disk serves")
        }
    }

    @Test func aNodeThatPassesRequestsOnIsReady() async throws {
        let source = StatusSource([.unavailable])
        source.change { $0.canForward = true }
        try await withServer(source) { server in
            let ready = try await ask(server, "/readyz")
            #expect(ready.answer.statusCode == 200)
            #expect(try json(ready.body)["canForward"] as? Bool == true)
            let health = try json(try await ask(server, "/health").body)
            #expect(health["verdict"] as? String == "DEGRADED" && health["canForward"] as? Bool == true)
            source.change { $0.draining = true }
            let draining = try await ask(server, "/readyz")
            #expect(draining.answer.statusCode == 503)
        }
    }

    @Test func aNodeThatRefusesEverythingIsNotReady() async throws {
        let source = StatusSource([.active])
        source.change { status in
            status.blocksUnknown = "the store was lost"
            status.disagreements = ["secret-plans: iad-1 proves another key"]
        }
        try await withServer(source) { server in
            let ready = try await ask(server, "/readyz")
            #expect(ready.answer.statusCode == 503)
            #expect(try json(ready.body)["blocksUnknown"] as? String == "the store was lost")
            let (_, body) = try await ask(server, "/health")
            let health = try json(body)
            #expect(health["verdict"] as? String == "UNAVAILABLE" && health["disagreements"] as? Int == 1)
            #expect(health["blocksUnknown"] as? String == "the store was lost")
            #expect(!String(decoding: body, as: UTF8.self).contains("secret-plans"))
        }
    }

    @Test func theClusterIsToldWithoutKeysAndBlocksNames() async throws {
        let source = StatusSource([.active])
        source.change { status in
            status.keys = [
                KeyStatus(label: "secret-plans", canaryBy: "nshield-a", cells: ["nshield-a": .proven, "b": .absent])
            ]
            status.disagreements = ["secret-plans: iad-1 proves another key"]
        }
        try await withServer(source) { server in
            let (answer, body) = try await ask(server, "/cluster/health")
            #expect(answer.statusCode == 200)
            #expect(answer.value(forHTTPHeaderField: "Content-Type") == "application/json")
            let text = String(decoding: body, as: UTF8.self)
            for name in ["secret-plans", "Mr. X", "anna"] { #expect(!text.contains(name), "\(text)") }
            let health = try JSONDecoder().decode(ClusterHealth.self, from: body)
            #expect(health.schema == 1 && health.node == "fra-1" && health.verdict == .degraded)
            #expect(
                health.nodes.map(\.name) == ["fra-1", "iad-1"] && health.keysServed == 1 && health.keysExcluded == 1)
            #expect(health.blocks.blocks.map(\.target) == ["--key"])
            #expect(health.blocks.blocks.map(\.id) == ["0123456789abcdef0123456789abcdef"])
        }
    }

    @Test func theClusterIsToldWhateverItsState() async throws {
        try await withServer(StatusSource([.unavailable], draining: true)) { server in
            let (answer, body) = try await ask(server, "/cluster/health")
            #expect(answer.statusCode == 200)
            #expect(try json(body)["verdict"] as? String == "UNAVAILABLE")
        }
    }

    @Test func prometheusIsAnsweredInItsFormat() async throws {
        try await withServer(StatusSource([.active])) { server in
            let (answer, body) = try await ask(server, "/metrics")
            #expect(answer.statusCode == 200 && body == Data("claviger_ready 1\n".utf8))
            #expect(answer.value(forHTTPHeaderField: "Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
        }
    }

    @Test func onlyReadingIsAllowed() async throws {
        try await withServer(StatusSource([.active])) { server in
            for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
                let (answer, _) = try await ask(server, "/health", method: method)
                #expect(answer.statusCode == 405 && answer.value(forHTTPHeaderField: "Allow") == "GET, HEAD")
            }
            let head = try await ask(server, "/ping", method: "HEAD")
            #expect(head.answer.statusCode == 200 && head.body.isEmpty)
            #expect(head.answer.value(forHTTPHeaderField: "Content-Length") == "5")
            for path in ["/", "/pin", "/ping/", "/%70ing", "//ping", "/metrics/"] {
                let (answer, _) = try await ask(server, path)
                #expect(answer.statusCode == 404, "\(path)")
            }
        }
    }

    @Test(.enabled(if: RawConnection.hasIPv6)) func itServesIPv6() async throws {
        try await withServer(StatusSource([.active]), host: "::1") { server in
            let request = "GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            let answer = try await RawConnection.exchange(Array(request.utf8), port: server.port, isIPv6: true)
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test func anAddressInUseIsAnError() async throws {
        try await withServer(StatusSource([.active])) { server in
            await #expect(throws: (any Error).self) {
                try await ControlServer.start(port: server.port, source: StatusSource([]), logger: logger)
            }
        }
    }

    @Test func stoppingFreesThePortAndMayBeRepeated() async throws {
        let server = try await ControlServer.start(port: 0, source: StatusSource([.active]), logger: logger)
        let (answer, _) = try await ask(server, "/ping")
        #expect(answer.statusCode == 200)
        await server.stop()
        try await server.wait()
        await server.stop()
        await #expect(throws: (any Error).self) { try await ask(server, "/ping") }
        let next = try await ControlServer.start(port: server.port, source: StatusSource([.active]), logger: logger)
        #expect(next.port == server.port)
        await next.stop()
    }

    /// Neither an idle connection nor half a request holds the end up for long.
    @Test(arguments: ["", "GET /health HTTP/1.1\r\nHo"])
    func anOpenConnectionDoesNotHoldTheServerUp(rest: String) async throws {
        let server = try await ControlServer.start(port: 0, source: StatusSource([.active]), logger: logger)
        let connection = try await RawConnection.hold(
            Array("GET /ping HTTP/1.1\r\nHost: a\r\n\r\n".utf8), then: Array(rest.utf8), port: server.port)
        defer { close(connection) }
        let time = await ContinuousClock().measure { await server.stop() }
        #expect(time < .seconds(8), "\(time)")
    }
}
