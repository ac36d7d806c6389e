// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

// What a collector sees of requests during which an HSM fails.

extension EndToEnd {
    @Suite(
        "traces of HSMs that fail", .devTokens(3),
        .enabled(if: Collector.isThere, "deploy/setup.sh test fetches opentelemetry-proto from PyPI"))
    struct TracingFaults {
        /// Encrypts until a span of an HSM's call is as it is looked for, and returns it, its request, and all calls of that.
        private func request(
            _ collector: Collector, _ client: XKSClient, where isWanted: (Collector.Span) -> Bool
        ) throws -> (request: Collector.Span, call: Collector.Span, all: [Collector.Span]) {
            try eventually("such a call", within: 40, every: 0.2) {
                let reply = try client.encrypt([1])
                #expect(reply.status == 200, "\(reply.text)")
                let spans = try collector.spans()
                guard let call = spans.first(where: isWanted),
                    let request = spans.first(where: { $0.span == call.parent })
                else { return nil }
                return (request, call, spans.filter { $0.parent == request.span })
            }
        }

        @Test(
            "each call has a span: the one that failed, the one that was not waited for, and the one whose worker died")
        func calls() throws {
            let faults = try Faults()
            let collector = try Collector()
            var configuration = try ServeConfiguration(with: faults)
            configuration.append("[tracing]\nendpoint = \"http://127.0.0.1:\(collector.port)\"\nsample = \"100%\"")
            let node = try Node.serve(configuration)
            try Operator(configuration).proven()
            let client = try XKSClient(node)

            // The others serve: no request fails.
            func atOne(_ line: String) throws { try faults.set(["hsm-1": [line]]) }
            try atOne("return CKR_DEVICE_MEMORY C_Encrypt every 3")
            let failed = try request(collector, client) { $0["claviger.outcome"] == "C_Encrypt: CKR_DEVICE_MEMORY" }
            #expect(failed.call.status == 2 && failed.all.contains { $0["claviger.outcome"] == "ok" })
            #expect(failed.request.status == 0 && failed.request["claviger.failovers"] != "0")

            try atOne("hang C_Encrypt every 5")
            let late = try request(collector, client) { $0["claviger.outcome"] == "not waited for" }
            #expect(late.call.status == 0 && late.call.end <= late.request.end + 100_000_000)
            #expect(
                late.all.contains { $0["claviger.outcome"] == "ok" && $0["claviger.hsm"] != late.call["claviger.hsm"] })

            try atOne("crash C_Encrypt every 5")
            let lost = try request(collector, client) { $0["claviger.outcome"] == "its lane has closed" }
            #expect(lost.call.status == 2 && lost.request.status == 0)
            #expect(
                lost.all.contains { $0["claviger.outcome"] == "ok" && $0["claviger.hsm"] != lost.call["claviger.hsm"] })
            try faults.clear()
            #expect(try node.stop() == .exited(0))
        }
    }
}
