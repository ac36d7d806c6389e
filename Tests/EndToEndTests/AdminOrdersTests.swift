// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("who gives an order", .devTokens(1))
    struct WhoGivesAnOrder {
        private let faults: Faults
        private let scratch: Scratch

        init() throws {
            faults = try Faults()
            scratch = try Scratch()
        }

        private func configuration() throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.load(faults)
            configuration.stateDirectory = configuration.scratch.file("node")
            return configuration
        }

        private func orders(_ node: Node, _ order: String) -> [LogEntry] {
            node.log.filter { $0.message == "order" && $0["order"] == order }
        }

        /// With 16631be it had a key trusted, drained the HSM and ended the node; whatever it asked was done.
        @Test(
            "the processes of a library block, and are refused all else, wherever they flee",
            arguments: ["", "setsid ", "sandbox off"])
        func descendants(flight: String) throws {
            var configuration = try configuration()
            if flight == "sandbox off" { configuration.setInAll("[[hsm]]", "sandbox", "\"off\"") }
            let socket = configuration.stateDirectory + "/admin.sock"
            let out = scratch.file("answers")
            func ask(_ path: String, _ body: String? = nil, method: String = "POST") -> String {
                "curl -s -o /dev/null -w '\(path) %{http_code}\\n' -X \(method) --unix-socket \(socket) "
                    + (body.map { "-d '\($0)' " } ?? "") + "http://x\(path)"
            }
            let script = """
                exec > \(out).partial 2>/dev/null
                until test -S \(socket); do sleep 0.05; done
                \(ask("/blocks", #"{"key":"bar","reason":"r","user":"alice"}"#))
                \(ask("/blocks/lift", #"{"everything":true,"user":"alice"}"#))
                \(ask("/key/foo/trust?hsm=hsm-1"))
                \(ask("/hsm/hsm-1/drain"))
                \(ask("/reload"))
                \(ask("/status", method: "GET"))
                \(ask("/drain"))
                mv \(out).partial \(out)
                """
            let file = try scratch.write(script + "\n", to: "script")
            let prefix = flight == "setsid " ? flight : ""
            try faults.set(["hsm-1": ["[*]", "run C_Initialize \"\(prefix)sh \(file) &\""]])
            let node = try Node.serve(configuration, activeHSMs: 1)
            let text: String = try eventually("the library has its answers", within: 30) {
                try? String(contentsOfFile: out, encoding: .utf8)
            }
            #expect(
                text.split(separator: "\n") == [
                    "/blocks 200", "/blocks/lift 403", "/key/foo/trust?hsm=hsm-1 403", "/hsm/hsm-1/drain 403",
                    "/reload 403", "/status 403", "/drain 403",
                ])
            let block: LogEntry = try eventually("the block is recorded") { orders(node, "block").first }
            #expect(block["by"] == "root(claims:alice)" || geteuid() != 0)
            #expect(block["from"] == "a process of this node's own, or one that is hidden from it")
            let refused: LogEntry = try eventually("the lift is recorded") { orders(node, "unblock").first }
            #expect(refused["status"] == "403" && refused["uid"] == "\(geteuid())" && refused["pid"] != nil)
            // Who is no descendant can do it.
            try faults.clear()
            try Operator(configuration).done("unblock", "--key", "bar")
            try eventually("it is recorded") { orders(node, "unblock").last?["status"] == "200" }
            #expect(try node.stop() == .exited(0))
        }

        @Test("every order is recorded under the user that the kernel names, whoever the command says it is")
        func author() throws {
            let configuration = try configuration()
            let node = try Node.serve(configuration, activeHSMs: 1)
            let config = configuration.scratch.file("claviger.toml")
            for command in [
                ["block", "--key", "bar", "--reason", "drill"], ["unblock", "--key", "bar"], ["reload"],
                ["hsm", "drain", "hsm-1"], ["hsm", "undrain", "hsm-1"],
            ] {
                let result = try ClavigerBinary.run(
                    command + ["--config", config], environment: ["SUDO_USER": "mallory"])
                #expect(result.isSuccess, "\(command): \(result)")
            }
            for order in ["block", "unblock", "reload", "hsm drain hsm-1", "hsm undrain hsm-1"] {
                let line: LogEntry = try eventually("\(order) is recorded") { orders(node, order).first }
                #expect(line["uid"] == "\(geteuid())" && line["status"] == "200" && line["from"] == nil)
                guard geteuid() == 0 else { continue }
                // Only orders that have an author in their record carry what the command claims.
                #expect(["root", "root(claims:mallory)"].contains(line["by"]), "\(line.line)")
            }
            if geteuid() == 0 {
                let blocks = node.log.filter { $0.message == "break glass" }
                #expect(blocks.count == 2 && blocks.allSatisfy { $0["by"]?.hasPrefix("root(claims:mallory)@") == true })
            }
            #expect(try node.stop() == .exited(0))
        }

        /// A user of no name in a group: the node's own user (root, here) gives it the socket. Without the group's rights its
        /// block was not made, the socket "belongs to another user"; with a socket for everybody the stranger's was.
        @Test(
            "members of admin_group give orders, and others do not reach the socket",
            .enabled("needs root") { geteuid() == 0 })
        func group() throws {
            var configuration = try configuration()
            let name = try #require(getgrgid(1).map { String(cString: $0.pointee.gr_name) })
            configuration.set("admin_group", "\"\(name)\"", in: "[node]")
            chmod(configuration.scratch.path, 0o711)
            let node = try Node.serve(configuration, activeHSMs: 1)
            let directory = configuration.stateDirectory
            var facts = stat()
            try eventually("the socket is there") { stat(directory + "/admin.sock", &facts) == 0 }
            #expect(facts.st_mode & 0o777 == 0o660 && facts.st_gid == 1)
            #expect(stat(directory, &facts) == 0 && facts.st_mode & 0o777 == 0o710 && facts.st_gid == 1)
            func block(group: Int) throws -> CommandResult {
                try run(
                    [
                        "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--groups=\(group)", ClavigerBinary.path,
                        "block", "--key", "bar", "--reason", "drill", "--state-dir", directory,
                    ], environment: [:], within: 60)
            }
            let member = try block(group: 1)
            #expect(member.isSuccess, "\(member)")
            try eventually("it is recorded") { orders(node, "block").last?["uid"] == "65534" }
            let stranger = try block(group: 65_534)
            #expect(stranger.end == .exited(1) && stranger.errors.contains("belongs to another user"), "\(stranger)")
            #expect(try node.stop() == .exited(0))
        }

        @Test("a group that is not there is said, and the owner's orders are taken")
        func noGroup() throws {
            var configuration = try configuration()
            configuration.set("admin_group", "\"no-such-group\"", in: "[node]")
            let node = try Node.serve(configuration, activeHSMs: 1)
            try Operator(configuration).done("block", "--key", "bar", "--reason", "drill")
            let line: LogEntry = try eventually("it is said") {
                node.log.first { $0.message == "admin_group is not given the admin socket" }
            }
            #expect(line["reason"]?.contains("groupadd no-such-group") == true)
            #expect(try node.stop() == .exited(0))
        }
    }
}
