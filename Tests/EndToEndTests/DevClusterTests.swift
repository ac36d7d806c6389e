// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("claviger dev --nodes")
    struct DevCluster {
        private struct Announcement: Decodable {
            struct Member: Decodable {
                var name: String
                var pid: Int32
                var url: String
                var control_url: String
            }

            var nodes: [Member]
            var url: String
            var haproxy_pid: Int32?
        }

        private func report(_ controlURL: String) throws -> ClusterReport {
            let connection = try HTTPConnection(url: controlURL)
            let health = try connection.send("GET", "/cluster/health", headers: [("Host", connection.host)], body: [])
            return try JSONDecoder().decode(ClusterReport.self, from: Data(health.body))
        }

        @Test("three nodes behind HAProxy hold the same keys, see each other, and end together")
        func threeNodes() throws {
            let node = try Node.dev(["--nodes", "3", "--hsms", "1"])
            let line = try node.process.outputLines(1, within: 1)[0]
            let cluster = try JSONDecoder().decode(Announcement.self, from: Data(line.utf8))
            #expect(cluster.nodes.map(\.name) == ["node-1", "node-2", "node-3"])
            let balancer = try #require(cluster.haproxy_pid)
            let curl = try Curl(node)
            let encrypted = try JSONDecoder().decode(
                Encrypted.self, from: Data(try curl.post("/keys/foo/encrypt", Body.encrypt([1, 2, 3])).body.utf8))
            for member in cluster.nodes {
                let reply = try curl.post("/keys/foo/decrypt", Body.decrypt(encrypted), base: member.url)
                #expect(reply.body == #"{"plaintext":"AQID"}"#, "\(member.name): \(reply.body)")
                try eventually("\(member.name) finds nothing wrong") {
                    let report = try report(member.control_url)
                    return report.verdict == "ACTIVE" && report.nodes.count { $0.liveness == "alive" } == 3
                }
            }
            #expect(try node.stop() == .exited(0))
            for pid in cluster.nodes.map(\.pid) + [balancer] {
                try eventually("process \(pid) has ended") { kill(pid, 0) != 0 && errno == ESRCH }
            }
        }

        /// 16631be asked whoever answered at the ports, which were the first cluster's nodes: it said that its own was ready,
        /// and ended with 0.
        @Test("a second cluster on the ports of a first one is none, and says so")
        func ports() throws {
            let scratch = try Scratch()
            let listen = 20_000 + Int(getpid()) % 200 * 50
            func arguments(_ state: String) -> [String] {
                [
                    ClavigerBinary.path, "dev", "--json", "--nodes", "2", "--hsms", "1", "--state", scratch.file(state),
                    "--listen", "127.0.0.1:\(listen)", "--control", "127.0.0.1:\(listen + 10)",
                ]
            }
            let first = try ChildProcess(arguments("first"))
            #expect(try first.outputLines(2, within: 60)[1] == "ready")
            let second = try run(arguments("second"), within: 60)
            #expect(second.end == .exited(3) && second.output.isEmpty, "\(second.output)")
            #expect(second.errors.contains("ended before the cluster was ready"), "\(second.errors)")
            first.kill(SIGTERM)
            #expect(try first.end(within: 30) == .exited(0))
        }
    }
}
