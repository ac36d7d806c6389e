// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("conditions, wherever one asks", .devTokens(2))
    struct Conditions {
        private let trio: Trio

        init() throws { trio = try Trio(from: try sharedNode()) }

        private func told(_ code: String, of node: String, by name: String) throws -> ClusterReport.Condition? {
            try trio.report(name).conditions?.first { $0.code == code && $0.node == node }
        }

        // 16631be: nothing was said; a certificate of another CA was taken by a reload, and the peers called each other dead.
        @Test("a certificate that ends soon is said by every node, and one of another CA is not taken")
        func certificates() throws {
            let (certificate, _, authority) = trio.identity("node-3")
            let directory = (certificate as NSString).deletingLastPathComponent
            let ca = (authority as NSString).deletingLastPathComponent
            func issue(_ ca: String, days: Int) throws {
                let command = [
                    "cluster", "issue", "node-3", "--ca", ca, "--host", "127.0.0.1", "--out", directory, "--days",
                    "\(days)", "--force",
                ]
                #expect(try ClavigerBinary.run(command).isSuccess)
            }
            let files = trio.identity("node-3")
            try BackdatedCertificate.replace(
                files.certificate, key: files.key, ca: (files.ca, ca + "/ca-key.pem"), seconds: 10 * 86_400 + 60)
            try trio.op("node-3").done("reload")
            for name in Trio.names {
                try eventually("\(name) says that it ends", within: 30, every: 0.05) {
                    try told("certificate-ending", of: "node-3", by: name) != nil
                }
                let status = try trio.op(name).call("cluster", "status").output
                #expect(status.contains("certificates: the first of all, of node node-3, ends in 10 days"), "\(status)")
            }
            let other = directory + "/other-ca"
            #expect(try ClavigerBinary.run(["cluster", "new-ca", other]).isSuccess)
            try issue(other, days: 100)
            let reload = try trio.op("node-3").call("reload")
            #expect(reload.end == .exited(1), "\(reload)")
            #expect((reload.output + reload.errors).contains("is not signed by the cluster's CA"), "\(reload)")
            let check = try ClavigerBinary.run(["check", "--config", try trio.configuration("node-3").write()])
            #expect(check.end == .exited(2) && check.errors.contains("is not signed by the cluster's CA"), "\(check)")
            #expect(try trio.report("node-1").liveness(of: "node-3") == "alive")
            try issue(ca, days: 100)
            try trio.op("node-3").done("reload")
            try eventually("nothing is wrong any more", within: 30) { try trio.report("node-1").verdict == "ACTIVE" }
        }

        // 16631be: no line, "1 of 1 nodes live", ACTIVE.
        @Test("seeds that do not answer, or have no address, are said with the reason, until they are taken out")
        func seeds() throws {
            let closed = "127.0.0.1:\(try ServeConfiguration.freePort())"
            let unknown = "nowhere.invalid:7443"
            let own = try trio.clusterAddress("node-1")
            let good = "[\"\(own)\", \"\(try trio.clusterAddress("node-2"))\"]"
            try trio.edit("node-1") { configuration in
                configuration.set("seeds", "[\"\(own)\", \"\(closed)\", \"\(unknown)\"]", in: "[cluster]")
            }
            try trio.op("node-1").done("reload")
            for (seed, reason) in [(closed, "no connection: connection refused"), (unknown, "cannot be resolved")] {
                try eventually("node-2 says that node-1 does not reach \(seed)", within: 40, every: 0.1) {
                    try trio.report("node-2").reasons.contains { $0.contains(seed) && $0.contains(reason) }
                }
            }
            #expect(try trio.op("node-1").call("status").output.contains("[seed-unreachable]"))
            try trio.edit("node-1") { $0.set("seeds", good, in: "[cluster]") }
            try trio.op("node-1").done("reload")
            try eventually("nothing is wrong any more", within: 30) { try trio.report("node-2").verdict == "ACTIVE" }
        }

        // 16631be: it never came back, and the node said ACTIVE.
        @Test("an admin socket that is removed, with its directory or alone, is put back within seconds")
        func adminSocket() throws {
            let socket = trio.configuration("node-1").stateDirectory + "/admin.sock"
            #expect(unlink(socket) == 0)
            try eventually("commands reach the node again") { try trio.op("node-1").call("status").isSuccess }
            #expect(
                trio.node("node-1").log.contains {
                    $0.message == "admin socket not served" && $0["reason"]?.contains("was removed") == true
                })
            // As long as something is in the way, it is said.
            #expect(unlink(socket) == 0 && mkdir(socket, 0o700) == 0)
            for name in ["node-1", "node-2"] {
                try eventually("\(name) says that no order reaches node-1", within: 20) {
                    try told("admin-socket-closed", of: "node-1", by: name) != nil
                }
            }
            #expect(rmdir(socket) == 0)
            try eventually("commands reach the node again") { try trio.op("node-1").call("status").isSuccess }
            try FileManager.default.removeItem(atPath: trio.configuration("node-2").stateDirectory)
            try eventually("commands reach node-2 again", within: 20) {
                try trio.op("node-2").call("status").isSuccess
            }
        }
    }

    @Suite("a clock that is an hour off", .devTokens(2))
    struct WrongClock {
        // 16631be: 401 to everything, ready, ACTIVE.
        @Test("peers say it; when KMS's signatures agree, the node is not ready, and the others go on")
        func off() throws {
            let trio = try Trio(
                from: try sharedNode(), environments: ["node-3": PreloadedFaults.clock(ahead: 3_600)])
            let others = ["node-1", "node-2"]
            try trio.begins(Trouble(.clockOff, of: "node-3", severity: .warning, by: others))
            // It refuses nothing yet that anybody has sent: it stays ready.
            #expect(try trio.node("node-3").control("/readyz").status == 200)
            let client = try XKSClient(trio.node("node-3"))
            try eventually("requests were refused, and it is not ready", within: 30, every: 0.2) {
                #expect(try client.encrypt([1]).status == 401)
                return try trio.node("node-3").control("/readyz").status == 503
            }
            try trio.begins(Trouble(.clockOff, of: "node-3", severity: .critical, by: others))
            #expect(try trio.node("node-1").control("/readyz").status == 200)
            #expect(try XKSClient(trio.node("node-1")).encrypt([1]).status == 200)
        }
    }
}
