// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("three nodes as one", .devTokens(2))
    struct Cluster {
        private let trio: Trio

        init() throws { trio = try Trio(from: try sharedNode()) }

        private func health(_ name: String) throws -> String {
            try XKSClient(trio.node(name)).post(
                "\(trio.node(name).facts.prefix)/kms/xks/v1/health", Body.health
            ).text
        }

        @Test("nodes find each other, are one fleet for KMS, and know who dies, comes back and leaves")
        func life() throws {
            for name in Trio.names {
                let report = try trio.report(name)
                #expect(report.node == name && report.nodes.first?.name == name && report.nodes.count == 3)
            }
            try eventually("the fleet has three nodes") {
                try Trio.names.allSatisfy { try health($0).contains(#""xksProxyFleetSize":3"#) }
            }
            // Two tokens, though six entries of configuration name them: a serial number counts once.
            #expect(try health("node-1").components(separatedBy: #""healthStatus":"ACTIVE""#).count == 3)

            trio.node("node-3").process.kill(SIGKILL)
            for name in ["node-1", "node-2"] {
                try eventually("\(name) knows that node-3 is dead", every: 0.02) {
                    try trio.report(name).liveness(of: "node-3") == "dead"
                }
                #expect(try trio.report(name).verdict == "DEGRADED")
                #expect(try trio.report(name).reasons.contains { $0.contains("node-3") })
            }
            _ = try trio.node("node-3").process.end(within: 10)
            // A later version has run there, and made ciphertext of a later format; then it was rolled back.
            let format = { (name: String) in try trio.stateDirectory(name) + "/ciphertext-format" }
            #expect(try String(contentsOfFile: format("node-3"), encoding: .utf8) == "1\n")
            try "3\n".write(toFile: try format("node-3"), atomically: true, encoding: .utf8)
            try trio.restart("node-3")
            try trio.together()
            for name in ["node-1", "node-2"] {
                try eventually("\(name) keeps what node-3 tells") {
                    try String(contentsOfFile: format(name), encoding: .utf8) == "3\n"
                }
            }

            #expect(try trio.op("node-2").call("drain").isSuccess)
            #expect(try trio.node("node-2").process.end(within: 20) == .exited(0))
            for name in ["node-1", "node-3"] {
                try eventually("\(name) knows that node-2 has left", every: 0.02) {
                    try trio.report(name).liveness(of: "node-2") == "left"
                }
            }
            // Who is no node is dropped, counted, and disturbs nobody.
            let stranger = try run([
                "/usr/bin/env", "curl", "--silent", "--insecure", "https://\(try trio.clusterAddress("node-1"))/",
            ])
            #expect(!stranger.isSuccess)
            try eventually("the stranger is counted") {
                try trio.op("node-1").call("cluster", "status").output.contains("1 unauthenticated")
            }
            let status = try trio.op("node-1").call("cluster", "status")
            #expect(status.output.contains("node-3") && status.output.contains("left"))

            // Destroyed, it never says that it ended: orders wait for it, until an operator says so.
            trio.node("node-3").process.kill(SIGKILL)
            _ = try trio.node("node-3").process.end(within: 10)
            try eventually("node-1 knows that node-3 is dead") {
                try trio.report("node-1").liveness(of: "node-3") == "dead"
            }
            let missed = try trio.op("node-1").call(
                "block", "--key", "nobody", "--reason", "test", "--timeout", "1s")
            #expect(missed.end == .exited(6) && missed.output.contains("node-3"), "\(missed)")
            #expect(try trio.op("node-1").call("cluster", "forget", "node-1").end == .exited(1))
            #expect(try trio.op("node-1").call("cluster", "forget", "nobody").end == .exited(2))
            #expect(try trio.op("node-1").done("cluster", "forget", "node-3").contains("forgotten"))
            let whole = try trio.op("node-1").call("unblock", "--key", "nobody", "--timeout", "1s")
            #expect(whole.isSuccess, "\(whole)")
            #expect(try trio.report("node-1").liveness(of: "node-3") == "left")
        }

        /// Otherwise its peers refuse all that it says as said before, for as long as that life was. A node of 16631be,
        /// which nobody knew better here, took the incarnation of its last life once more.
        @Test("a node whose store was put back to before its last life does not take that life's incarnation again")
        func putBack() throws {
            let directory = try trio.stateDirectory("node-3")
            try end("node-3")
            let files = try Dictionary(
                uniqueKeysWithValues: FileManager.default.contentsOfDirectory(atPath: directory)
                    .filter { $0.hasPrefix("claviger.") }
                    .map { ($0, try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\($0)"))) })
            try trio.restart("node-3")
            let last = try #require(try trio.report("node-3").nodes.first).incarnation
            try end("node-3")
            for (name, content) in files { try content.write(to: URL(fileURLWithPath: "\(directory)/\(name)")) }
            // A life may use up more incarnations than seconds pass in it only when it is as short as this one.
            try eventually("the time is beyond the last incarnation", every: 0.05) {
                Int(Date().timeIntervalSince1970) > last
            }
            // Nobody informs it now what it was.
            for name in ["node-1", "node-2"] { try Processes.stop(trio.node(name).pid) }
            defer { for name in ["node-1", "node-2"] { Processes.resume(trio.node(name).pid) } }
            try trio.restart("node-3")
            #expect(try #require(try trio.report("node-3").nodes.first).incarnation > last)
            for name in ["node-1", "node-2"] { Processes.resume(trio.node(name).pid) }
            try trio.together()
        }

        private func end(_ name: String) throws {
            trio.node(name).process.kill(SIGKILL)
            _ = try trio.node(name).process.end(within: 10)
        }

        @Test("a node that has lost its HSMs has a peer answer, and both name each other in the log")
        func forwarding() throws {
            let (poor, rich) = (trio.node("node-1"), ["node-2", "node-3"])
            let client = try XKSClient(poor)
            let before = try client.encrypted([1, 2, 3])
            for hsm in ["hsm-1", "hsm-2"] { try trio.op("node-1").done("hsm", "drain", hsm) }
            let identifier = UUID().uuidString
            let answer = try client.encrypt([4, 5, 6], requestID: identifier)
            #expect(answer.status == 200, "\(answer.text)")
            #expect(try client.decrypted(try answer.decoded()) == [4, 5, 6])
            #expect(try client.decrypted(before) == [1, 2, 3])
            #expect(try client.metadata(key: "foo").text.contains("ENABLED"))
            #expect(try client.metadata(key: "no-such-key").refusal == "404 KeyNotFoundException")
            let entry = try poor.logEntry("the request") { $0["kmsRequestId"] == identifier }
            let helper = try #require(entry["forwardedTo"])
            #expect(rich.contains(helper))
            let other = try trio.node(helper).logEntry("the forwarded request") { $0["kmsRequestId"] == identifier }
            #expect(other["forwardedBy"] == "node-1" && other["hsm"] != nil)
            // What peers report of themselves may be a second old: that they did not know yet what is blocked.
            try eventually("node-1 is ready, since others answer for it", within: 5, every: 0.1) {
                try poor.control("/readyz").status == 200
            }
            for name in rich { #expect(try trio.report(name).reasons.contains { $0.contains("node-1") }) }

            // Without anybody to ask, it says so.
            for name in rich {
                for hsm in ["hsm-1", "hsm-2"] { try trio.op(name).done("hsm", "drain", hsm) }
            }
            try eventually("node-1 knows that no peer can serve") {
                try client.encrypt([1]).status == 500
            }
            try eventually("and is not ready") { try poor.control("/readyz").status == 503 }
        }

        @Test("passing requests on can be switched off")
        func notForwarding() throws {
            try trio.edit("node-1") { $0.set("forwarding", "false", in: "[cluster]") }
            #expect(try trio.node("node-1").stop() == .exited(0))
            try trio.restart("node-1")
            try trio.together()
            for hsm in ["hsm-1", "hsm-2"] { try trio.op("node-1").done("hsm", "drain", hsm) }
            let reply = try XKSClient(trio.node("node-1")).encrypt([1])
            #expect(reply.status == 500, "\(reply.text)")
            #expect(try trio.node("node-1").control("/readyz").status == 503)
        }

        @Test("a tampered request is refused by the peer as it would be here")
        func forwardedForgery() throws {
            for hsm in ["hsm-1", "hsm-2"] { try trio.op("node-1").done("hsm", "drain", hsm) }
            let client = try XKSClient(trio.node("node-1"))
            let old = Int64(Date().timeIntervalSince1970) - 3_600
            let reply = try client.post(client.target("encrypt", key: "foo"), Body.encrypt([1]), now: old)
            #expect(reply.refusal == "401 AuthenticationFailedException")
        }
    }
}
