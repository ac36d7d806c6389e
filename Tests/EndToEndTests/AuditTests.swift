// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("the audit log", .devTokens(1))
    struct AuditLogs {
        /// The drill asks for more (`make audit-drill`).
        private static func number(_ name: String, standard: Int) -> Int {
            ProcessInfo.processInfo.environment[name].flatMap(Int.init) ?? standard
        }

        private func configuration(_ keys: [String: String] = [:]) throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("drain_delay", "\"0s\"", in: "[node]")
            configuration.set("request_deadline", "\"2s\"", in: "[xks]")
            configuration.append("[audit]")
            for (key, value) in keys { configuration.set(key, value, in: "[audit]") }
            return configuration
        }

        // MARK: What is recorded

        @Test(
            "has who asked for what and who ordered what, each once, and nothing secret; its files are the owner's alone"
        )
        func recorded() throws {
            let configuration = try configuration()
            let node = try Node.serve(configuration, activeHSMs: 1)
            let (op, client) = (Operator(configuration), try XKSClient(node))
            try op.proven(on: ["hsm-1"])
            let plaintext = Array("a secret of the bank's".utf8)
            let made: Encrypted = try client.encrypt(plaintext, requestID: "request-1").decoded()
            try op.done("block", "--key", "foo", "--reason", "lost laptop")
            #expect(try client.encrypt(plaintext, requestID: "request-2").status == 400)
            try op.done("unblock", "--key", "foo")
            #expect(try client.decrypt(made).status == 200)
            try op.done("reload")
            let log = AuditLog(configuration)
            let found = try log.find("--request-id", "request-1")
            let record = try #require(found.first)
            #expect(found.count == 1 && record["kind"] == "request" && record["operation"] == "Encrypt")
            #expect(record["outcome"] == "ok" && record["hsm"] == "hsm-1" && record["externalKeyId"] == "foo")
            #expect(record["client"]?.hasPrefix("127.0.0.1:") == true && record["region"] == "us-east-1")
            #expect(record["accessKeyId"] == node.facts.access_key_id && record["kmsViaService"] == "ebs")
            let refused = try #require(try log.find("--request-id", "request-2").first)
            #expect(refused["outcome"] == "InvalidStateException" && refused["block"]?.isEmpty == false)
            let orders = try log.find("--kind", "order")
            #expect(orders.map { $0["order"] } == ["block", "unblock", "reload"])
            #expect(orders[0]["target"] == "--key foo" && orders[0]["reason"] == "lost laptop")
            #expect(orders.allSatisfy { $0["uid"] == "\(getuid())" && $0["status"] == "200" && $0["by"] != nil })
            #expect(try node.stop() == .exited(0))

            let verified = try log.verify()
            #expect(verified.end == .exited(0) && verified.output.hasSuffix("All of it holds.\n"), "\(verified)")
            #expect(verified.output.contains("heads agree, the last with record"), "\(verified.output)")
            let text = try log.text()
            for secret in [
                String(decoding: plaintext, as: UTF8.self), base64(plaintext), made.ciphertext, node.facts.secret,
            ] {
                #expect(!text.contains(secret))
            }
            let policy = """
                {"Statement": [{"Sid": "Opens", "Effect": "Allow", "Principal": "*", "Action": "xks:Decrypt",
                                "Resource": "*", "Condition": {"StringEquals": {"kmsViaService": "ebs"}}}]}
                """
            let tried = try ClavigerBinary.run(
                ["policy", "try", try configuration.scratch.write(policy, to: "policy.json"), "--audit", log.directory])
            #expect(tried.end == .exited(1), "\(tried)")
            #expect(
                tried.output.hasPrefix("Of 3 requests, 3 were let through: 2 of these would be denied.\n"), "\(tried)")
            #expect(tried.output.contains("2 of xks:Encrypt on foo by "), "\(tried.output)")
            var facts = stat()
            #expect(stat(log.directory, &facts) == 0 && facts.st_mode & 0o777 == 0o700)
            for file in try log.files() { #expect(stat(file, &facts) == 0 && facts.st_mode & 0o077 == 0, "\(file)") }
        }

        @Test("has no successes of a key store that says so, and no requests of strangers")
        func failures() throws {
            var configuration = try configuration()
            configuration.set("audit", "\"failures\"", in: "[[keystore]]")
            let node = try Node.serve(configuration, activeHSMs: 1)
            try Operator(configuration).proven(on: ["hsm-1"])
            let client = try XKSClient(node)
            #expect(try client.encrypt([1], requestID: "success").status == 200)
            #expect(try client.encrypt([1], key: "nobody", requestID: "failure").status == 404)
            let unsigned = try client.connection.send(
                "POST", client.target("encrypt", key: "foo"), headers: [("Host", client.connection.host)],
                body: Array(Body.encrypt([1], requestID: "stranger").utf8))
            #expect(unsigned.status == 401)
            #expect(try node.stop() == .exited(0))
            let log = AuditLog(configuration)
            #expect(try log.find("--kind", "request").map { $0["kmsRequestId"] } == ["failure"])
        }

        /// The one at the first node counts.
        @Test("of a request that was passed on has a record at each of the two nodes, and counts it once")
        func forwarded() throws {
            let pair = try Pair([try configuration(), try configuration()], hsms: 1)
            for name in Pair.names { try pair.op(name).proven(on: ["hsm-1"]) }
            try pair.op("node-1").done("hsm", "drain", "hsm-1")
            let client = try XKSClient(pair.node("node-1"))
            try eventually("node 2 helps", within: 20, every: 0.1) {
                try client.encrypt([1], requestID: "passed-on").status == 200
            }
            let logs = pair.configurations.map(AuditLog.init)
            let first = try logs[0].find("--request-id", "passed-on", "--outcome", "ok")
            let second = try logs[1].find("--request-id", "passed-on", "--outcome", "ok")
            #expect(first.map { $0["forwardedTo"] } == ["node-2"] && second.map { $0["forwardedBy"] } == ["node-1"])
            try pair.stop()
            #expect(try logs[1].verify().output.contains(" 0 requests (0 failed), 1 of other nodes"))
        }

        // MARK: What was done to it

        @Test("finds each kind of tampering, and says where")
        func tampered() throws {
            let requests = Self.number("CLAVIGER_AUDIT_REQUESTS", standard: 600)
            let configuration = try configuration(["segment_bytes": "\(max(65_536, requests * 100))"])
            let node = try Node.serve(configuration, activeHSMs: 1)
            try Operator(configuration).proven(on: ["hsm-1"])
            let load = Load(node, connections: 8)
            try load.more(requests, within: 300)
            #expect(try load.stop().failures.isEmpty)
            #expect(try node.stop() == .exited(0))
            let log = AuditLog(configuration)
            let whole = try log.verify()
            #expect(whole.end == .exited(0), "\(whole)")
            #expect(try log.files().count >= 3)
            for tampering in Tampering.allCases {
                let copy = try log.copy()
                let expected = try tampering.apply(to: copy.directory)
                let found = try log.verify(copy.directory)
                #expect(
                    found.end == .exited(1) && found.output.hasSuffix("IT DOES NOT HOLD.\n"), "\(tampering): \(found)")
                #expect(found.output.contains(expected), "\(tampering): \(expected): \(found.output)")
                #expect(found.output.split(separator: "\n").count == 3, "one finding: \(found.output)")
            }
        }

        @Test(
            "rewritten as a whole by who has the node's key, is known by another node; a shorter one is reported there")
        func rewritten() throws {
            let pair = try Pair([try configuration(), try configuration()], hsms: 1)
            try pair.op("node-1").proven(on: ["hsm-1"])
            let client = try XKSClient(pair.node("node-1"))
            for number in 0..<30 { #expect(try client.encrypt([1], requestID: "number-\(number)").status == 200) }
            let log = AuditLog(pair.configurations[0])
            try pair.node("node-1").stop()
            let end = try log.lastSeq()
            try eventually("node-2 has the head of all of it", within: 10, every: 0.1) {
                try pair.op("node-2").done("audit", "heads", "--node", "node-1").contains("\"seq\" : \(end),")
            }
            let other = pair.configurations[1].stateDirectory
            #expect(try log.verify("--heads-from", other).end == .exited(0))

            let copy = try log.copy()
            try Forger(key: pair.identity("node-1").key).rewrite(copy.directory, "number-7", as: "number-x")
            let alone = try ClavigerBinary.run(["audit", "verify", copy.directory, "--state-dir", copy.scratch.path])
            #expect(alone.end == .exited(0) && alone.output.contains("no head is known"), "\(alone)")
            let known = try ClavigerBinary.run(
                ["audit", "verify", copy.directory, "--state-dir", copy.scratch.path, "--heads-from", other])
            #expect(known.end == .exited(1) && known.output.contains("is another than node-2 has it"), "\(known)")
            // The same from a file, which another host may have written.
            let file = try copy.scratch.write(
                try pair.op("node-2").done("audit", "heads", "--node", "node-1"), to: "heads.json")
            let byFile = try ClavigerBinary.run(
                [
                    "audit", "verify", copy.directory, "--state-dir", copy.scratch.path, "--heads", file, "--ca",
                    pair.identity("node-1").ca.certificate,
                ])
            #expect(byFile.end == .exited(1) && byFile.output.contains("is another than node-2 has it"), "\(byFile)")

            // Cut, and started again.
            try Tampering.cut(10, log.directory)
            try pair.restart("node-1", hsms: 1)
            let trouble = Trouble(.auditContradicted, of: "node-2", "node node-1", by: ["node-1"])
            try pair.begins(trouble)
            try pair.stop()
        }

        @Test("of a node that has got another name is one log: an end that was cut off after that is known")
        func renamed() throws {
            var configuration = try configuration()
            let log = AuditLog(configuration)
            for (number, name) in ["first", "second", "second"].enumerated() {
                configuration.set("id", "\"\(name)\"", in: "[node]")
                let node = try Node.serve(configuration, activeHSMs: 1)
                if number == 0 { try Operator(configuration).proven(on: ["hsm-1"]) }
                #expect(try XKSClient(node).encrypt([1]).status == 200)
                #expect(try node.stop() == .exited(0))
            }
            let file = try configuration.write()
            func verify() throws -> CommandResult { try ClavigerBinary.run(["audit", "verify", "--config", file]) }
            let whole = try verify()
            #expect(whole.end == .exited(0) && whole.output.contains("second, chain 1"), "\(whole)")
            for segment in try log.files().dropFirst().reversed() {
                unlink(segment)
                let cut = try verify()
                #expect(cut.end == .exited(1) && cut.output.contains("the end was cut off"), "\(cut)")
            }
        }

        // MARK: What nobody may lose

        @Test("has every answered request after kill -9 under load, and its chain holds")
        func killed() throws {
            let configuration = try configuration(["segment_bytes": "131072"])
            let log = AuditLog(configuration)
            let answered = Observed<[String]>([])
            for round in 0..<Self.number("CLAVIGER_AUDIT_KILLS", standard: 3) {
                let node = try Node.serve(configuration, activeHSMs: 1)
                if round == 0 { try Operator(configuration).proven(on: ["hsm-1"]) }
                let running = Observed(6)
                for thread in 0..<6 {
                    Thread.detachNewThread {
                        do {
                            let client = try XKSClient(node)
                            for number in 0... {
                                let id = "round-\(round)-\(thread)-\(number)"
                                if try client.encrypt([1], requestID: id).status == 200 {
                                    answered.update { $0.append(id) }
                                }
                            }
                        } catch {}
                        running.update { $0 -= 1 }
                    }
                }
                let goal = answered.read(\.count) + 150 + Int.random(in: 0...100)
                #expect(answered.wait(atMost: 60) { $0.count >= goal ? true : nil } == true)
                node.process.kill(SIGKILL)
                _ = try node.process.end(within: 10)
                #expect(running.wait(atMost: 60) { $0 == 0 ? true : nil } == true)
            }
            // Once more, so that the next start has had to do with what was left.
            let last = try Node.serve(configuration, activeHSMs: 1)
            #expect(try last.stop() == .exited(0))
            let verified = try log.verify()
            #expect(verified.end == .exited(0), "\(verified)")
            let recorded = Set(try log.find("--kind", "request", "--outcome", "ok").compactMap { $0["kmsRequestId"] })
            let missing = answered.read { $0 }.filter { !recorded.contains($0) }
            #expect(missing.isEmpty, "\(missing.count) of \(answered.read(\.count)): \(missing.prefix(3))")
        }

        @Test(
            "on a full disk goes on, keeps what it can and says so in a gap record",
            .enabled("mounting a file system needs privileges") { TinyDisk.isPossible })
        func fullAndGoingOn() throws {
            let disk = try TinyDisk()
            let configuration = try configuration(["directory": "\"\(disk.path)/audit\"", "segment_bytes": "65536"])
            let node = try Node.serve(configuration, activeHSMs: 1)
            let (op, client, log) = (Operator(configuration), try XKSClient(node), AuditLog(configuration))
            try op.proven(on: ["hsm-1"])
            #expect(try client.encrypt([1], requestID: "before").status == 200)
            try disk.fill()
            // What fits the last page of the file is written still.
            for number in 0..<40 { #expect(try client.encrypt([1], requestID: "full-\(number)").status == 200) }
            try eventually("the status says it", within: 10, every: 0.1) {
                try op.status().conditions?.contains { $0.code == "audit-failing" } == true
            }
            try op.done("block", "--key", "foo", "--reason", "disk")
            try op.done("unblock", "--key", "foo")
            disk.makeRoom()
            try eventually("the status says no more", within: 10, every: 0.1) {
                try op.status().conditions?.contains { $0.code == "audit-failing" } == false
            }
            #expect(try client.encrypt([1], requestID: "after").status == 200)
            let metrics = String(decoding: try node.control("/metrics").body, as: UTF8.self)
            #expect(
                metrics.contains("claviger_audit_writable 1\n") && metrics.contains("claviger_audit_gaps_total 1\n"))
            #expect(try node.stop() == .exited(0))
            let verified = try log.verify()
            #expect(verified.end == .exited(0), "\(verified)")
            let gap = try #require(try log.find("--kind", "gap").first)
            #expect(gap["lost"] == "0" && gap["refused"] == "0" && gap["cause"]?.contains("No space left") == true)
            #expect(Int(gap["late"] ?? "") ?? 0 > 0 && gap["signature"]?.isEmpty == false)
            let ids = try log.find("--kind", "request").compactMap { $0["kmsRequestId"] }
            for number in 0..<40 { #expect(ids.contains("full-\(number)")) }
        }

        @Test(
            "a journal keeps the room that it has, also where nothing else has any",
            .enabled("mounting a file system needs privileges") { TinyDisk.isPossible })
        func journalsRoom() throws {
            let disk = try TinyDisk()
            let configuration = try configuration(["journal_dir": "\"\(disk.path)/journal\""])
            let node = try Node.serve(configuration, activeHSMs: 1)
            let (op, client, log) = (Operator(configuration), try XKSClient(node), AuditLog(configuration))
            try op.proven(on: ["hsm-1"])
            #expect(try client.encrypt([1], requestID: "before").status == 200)
            // The room that it has is its own, whatever else fills the disk.
            try disk.fill()
            for number in 0..<100 {
                #expect(try client.encrypt([1], requestID: "more-\(number)").status == 200)
            }
            #expect(try op.status().conditions?.contains { $0.code == "audit-failing" } == false)
            #expect(try node.stop() == .exited(0))
            let recorded = Set(try log.find("--kind", "request", "--outcome", "ok").compactMap { $0["kmsRequestId"] })
            #expect(recorded.isSuperset(of: (0..<100).map { "more-\($0)" } + ["before"]))
        }

        @Test(
            "where there is no room for a journal is a full disk, too, until there is",
            .enabled("mounting a file system needs privileges") { TinyDisk.isPossible },
            arguments: ["continue", "refuse"])
        func noJournal(rule: String) throws {
            let disk = try TinyDisk()
            let configuration = try configuration(["journal_dir": "\"\(disk.path)/journal\"", "on_full": "\"\(rule)\""])
            mkdir(disk.path + "/journal", 0o700)
            try disk.fill()
            let node = try Node.serve(configuration, activeHSMs: 1)
            let (op, client, log) = (Operator(configuration), try XKSClient(node), AuditLog(configuration))
            try op.proven(on: ["hsm-1"])
            let statuses = try (0..<40).map { try client.encrypt([1], requestID: "full-\($0)").status }
            #expect(statuses.contains(500) == (rule == "refuse"))
            try eventually("the status says it", within: 10, every: 0.1) {
                let told = try op.status().conditions?.first { $0.code == "audit-failing" }
                return told?.text.contains(disk.path) == true
            }
            disk.makeRoom()
            try eventually("the status says no more", within: 10, every: 0.1) {
                try op.status().conditions?.contains { $0.code == "audit-failing" } == false
            }
            #expect(try client.encrypt([1], requestID: "after").status == 200)
            #expect(try node.stop() == .exited(0))
            let verified = try log.verify()
            #expect(verified.end == .exited(0), "\(verified)")
            let recorded = Set(try log.find("--kind", "request", "--outcome", "ok").compactMap { $0["kmsRequestId"] })
            let answered = (0..<40).filter { statuses[$0] == 200 }.map { "full-\($0)" } + ["after"]
            #expect(recorded.isSuperset(of: answered))
            #expect(try log.find("--kind", "gap").isEmpty == false)
        }

        @Test(
            "on a full disk refuses requests and orders that weaken where it is told to; a block proceeds",
            .enabled("mounting a file system needs privileges") { TinyDisk.isPossible })
        func fullAndRefusing() throws {
            let disk = try TinyDisk()
            let configuration = try configuration([
                "directory": "\"\(disk.path)/audit\"", "on_full": "\"refuse\"",
            ])
            let node = try Node.serve(configuration, activeHSMs: 1)
            let (op, client, log) = (Operator(configuration), try XKSClient(node), AuditLog(configuration))
            try op.proven(on: ["hsm-1"])
            #expect(try client.encrypt([1]).status == 200)
            try disk.fill()
            var refusals = 0
            for _ in 0..<40 {
                let reply = try client.encrypt([1])
                if reply.status != 200 {
                    #expect(reply.refusal == "500 InternalException" && !reply.text.contains("ciphertext"))
                    refusals += 1
                }
            }
            #expect(refusals > 10)
            try op.done("block", "--key", "foo", "--reason", "disk")
            let lifted = try op.call("unblock", "--key", "foo")
            #expect(lifted.end == .exited(1) && lifted.errors.contains("no audit record"), "\(lifted)")
            disk.makeRoom()
            try eventually("it answers again", within: 10, every: 0.1) {
                try client.encrypt([1]).refusal == "400 InvalidStateException"
            }
            try op.done("unblock", "--key", "foo")
            try eventually("it encrypts again", within: 10, every: 0.1) { try client.encrypt([1]).status == 200 }
            #expect(try node.stop() == .exited(0))
            let verified = try log.verify()
            #expect(verified.end == .exited(0), "\(verified)")
            let gap = try #require(try log.find("--kind", "gap").first)
            #expect(gap["lost"] == "0" && Int(gap["refused"] ?? "") ?? 0 >= refusals)
            #expect(try log.find("--kind", "order").map { $0["order"] }.contains("block"))
        }

        private func check(_ configuration: ServeConfiguration) throws -> CommandResult {
            try ClavigerBinary.run(["check", "--config", try configuration.write()])
        }

        @Test("check and the node say what is wrong with the signing key, and that it is another")
        func key() throws {
            let configuration = try configuration()
            let op = Operator(configuration)
            #expect(try Node.serve(configuration, activeHSMs: 1).stop() == .exited(0))
            let file = configuration.stateDirectory + "/audit.key"
            #expect(chmod(file, 0o666) == 0)
            let open = try op.call("check")
            #expect(open.errors.contains("audit.key is open to others") && open.errors.contains("chmod 600 \(file)"))
            var node = try Node.serve(configuration, activeHSMs: 1)
            var facts = stat()
            #expect(stat(file, &facts) == 0 && facts.st_mode & 0o777 == 0o600)
            let messages = { node.log.map(\.message).filter { $0.contains("signing key") } }
            #expect(messages() == ["the audit log's signing key was open to others than its owner"])
            #expect(try node.stop() == .exited(0))

            try Data("garbage".utf8).write(to: URL(fileURLWithPath: file))
            let garbage = try op.call("check")
            #expect(garbage.errors.contains("the audit log would not be signed: \(file) holds no private key"))
            unlink(file)
            #expect(try op.call("check").errors.contains("audit.key") == false)
            node = try Node.serve(configuration, activeHSMs: 1)
            #expect(messages() == ["the audit log's signing key is another than before"])
            #expect(try node.stop() == .exited(0))
        }

        @Test(
            "check names the mend of each flaw of the directory, also of one that is yet to be made",
            .enabled("mounting a file system needs privileges") { TinyDisk.isPossible })
        func checked() throws {
            let disk = try TinyDisk()
            var configuration = try configuration()
            configuration.stateDirectory = disk.path + "/node"
            try disk.fill()
            let full = try check(configuration)
            #expect(
                full.end == .exited(2) && full.errors.contains("audit.directory: \(disk.path)/node/audit could not"))
            #expect(full.errors.contains("make room on its disk"), "\(full.errors)")
            disk.makeRoom()
            mkdir(disk.path + "/open", 0o755)
            configuration.set("directory", "\"\(disk.path)/open\"", in: "[audit]")
            let open = try check(configuration)
            #expect(open.end == .exited(2) && open.errors.contains("mode 755"), "\(open.errors)")
            #expect(open.errors.contains("chmod go= \(disk.path)/open") && !open.errors.contains("directory above"))
        }

        @Test("that is removed while its node runs says so, refuses by the rule, and goes on where that is possible")
        func removed() throws {
            let scratch = try Scratch()
            let directory = scratch.file("audit")
            let configuration = try configuration([
                "directory": "\"\(directory)\"", "journal_dir": "\"\(scratch.file("journal"))\"",
                "on_full": "\"refuse\"",
            ])
            let node = try Node.serve(configuration, activeHSMs: 1)
            let (op, client, log) = (Operator(configuration), try XKSClient(node), AuditLog(configuration))
            try op.proven(on: ["hsm-1"])
            #expect(try client.encrypt([1], requestID: "before").status == 200)
            try FileManager.default.removeItem(atPath: directory)
            try scratch.write("", to: "audit")
            try eventually("the status says it", within: 10, every: 0.1) {
                let told = try op.status().conditions?.first { $0.code == "audit-failing" }
                return told?.text.contains("has been removed") == true && told?.text.contains(directory) == true
            }
            #expect(try client.encrypt([1]).status == 500)
            unlink(directory)
            try eventually("it answers again", within: 10, every: 0.1) { try client.encrypt([1]).status == 200 }
            try FileManager.default.removeItem(atPath: scratch.file("journal"))
            try eventually("the log says that the journal is made anew", within: 10, every: 0.1) {
                node.log.contains { $0.message.hasPrefix("files of the audit log's journal were removed") }
            }
            #expect(try client.encrypt([1], requestID: "after").status == 200)
            #expect(try node.stop() == .exited(0))
            let verified = try log.verify()
            #expect(verified.end == .exited(1) && verified.output.contains("missing"), "\(verified)")
            let gap = try #require(try log.find("--kind", "gap").first)
            #expect(gap["cause"]?.contains("has been removed") == true && gap["refused"] != "0")
            #expect(try log.find("--kind", "request", "--request-id", "after").count == 1)
        }

        @Test("that cannot be written is a condition of its node, which others see, until it can")
        func failing() throws {
            let scratch = try Scratch()
            let blocked = try scratch.write("", to: "blocked")
            let configurations = [try configuration(["directory": "\"\(blocked)\""]), try configuration()]
            let pair = try Pair(configurations, hsms: 1)
            #expect(try XKSClient(pair.node("node-1")).encrypt([1]).status == 200)
            let check = try pair.op("node-1").call("check")
            #expect(check.end == .exited(2) && check.errors.contains("audit.directory"), "\(check.errors)")
            let trouble = Trouble(.auditFailing, of: "node-1", by: ["node-2"])
            try pair.begins(trouble)
            unlink(blocked)
            try pair.end([trouble])
            try pair.stop()
            withExtendedLifetime(scratch) {}
        }
    }
}
