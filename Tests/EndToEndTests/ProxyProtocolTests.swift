// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("HAProxy before a node, telling whom it speaks for", .devNode("--hsms", "1"))
    struct ProxyProtocol {
        private static func balancer(to url: String, port: Int, in scratch: Scratch) throws -> ChildProcess {
            let file = try scratch.write(
                """
                defaults
                    mode tcp
                    timeout connect 5s
                    timeout client 10s
                    timeout server 10s
                listen xks
                    bind 127.0.0.1:\(port)
                    server node \(url.replacingOccurrences(of: "https://", with: "")) send-proxy-v2

                """, to: "haproxy.cfg")
            let path = "/usr/sbin:/usr/bin:/sbin:/bin:" + (ProcessInfo.processInfo.environment["PATH"] ?? "")
            return try ChildProcess(["/usr/bin/env", "haproxy", "-db", "-f", file], environment: ["PATH": path])
        }

        /// Where the header's address is not taken, the peer is 127.0.0.1; where a header may be missing, the direct request
        /// is answered by 200; where the balancer is not named, nothing that it passes on is answered.
        @Test("the node logs the client's address, and refuses who comes from the balancer's without saying for whom")
        func addresses() throws {
            var configuration = try ServeConfiguration(from: try sharedNode(), plaintext: false)
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("proxy_protocol_from", "[\"127.0.0.1\"]", in: "[xks]")
            let node = try Node.serve(configuration, activeHSMs: 1)
            defer { node.process.kill(SIGKILL) }
            let port = try ServeConfiguration.freePort()
            let balancer = try Self.balancer(to: node.facts.url, port: port, in: configuration.scratch)
            defer { balancer.kill(SIGKILL) }
            let curl = try Curl(node)
            let options = ["--http1.1", "--interface", "127.0.0.7"]
            try eventually("HAProxy passes requests on", within: 10, every: 0.1) {
                try curl.post("/keys/foo/metadata", "{}", options: options, base: "https://127.0.0.1:\(port)").status
                    != 0
            }
            let reply = try curl.post(
                "/keys/foo/encrypt", Body.encrypt([1, 2, 3]), options: options, base: "https://127.0.0.1:\(port)")
            #expect(reply.status == 200, "\(reply.errors)\(balancer.errors)")
            let line = try node.logEntry("the request") { $0.message == "request" && $0["operation"] == "Encrypt" }
            #expect(line["peer"]?.hasPrefix("127.0.0.7:") == true, "\(line["peer"] ?? "no peer")")
            let direct = try curl.post("/keys/foo/encrypt", Body.encrypt([1, 2, 3]))
            #expect(direct.status == 0)
            let status = try Operator(configuration).call("status", "--json").output
            #expect(status.contains("\"proxy-header-missing\""), "\(status)")
            #expect(try node.stop() == .exited(0))
        }

        /// With 16631be such a handshake failed, and nothing said why.
        @Test("the header of a balancer that is not named is refused, and the refusal says what to do")
        func notNamed() throws {
            var configuration = try ServeConfiguration(from: try sharedNode(), plaintext: false)
            configuration.stateDirectory = configuration.scratch.file("node")
            let node = try Node.serve(configuration, activeHSMs: 1)
            defer { node.process.kill(SIGKILL) }
            let port = try ServeConfiguration.freePort()
            let balancer = try Self.balancer(to: node.facts.url, port: port, in: configuration.scratch)
            defer { balancer.kill(SIGKILL) }
            let curl = try Curl(node)
            let op = Operator(configuration)
            try eventually("the header is refused", within: 10, every: 0.1) {
                _ = try curl.post("/keys/foo/metadata", "{}", options: ["--http1.1"], base: "https://127.0.0.1:\(port)")
                return try op.call("status", "--json").output.contains("\"proxy-header-unexpected\"")
            }
            let line = try node.logEntry("what to do") { $0["kind"] == "proxy-header-unexpected" }
            #expect(line["cause"]?.contains("[xks] proxy_protocol_from") == true, "\(line)")
            #expect(try node.stop() == .exited(0))
        }
    }
}
