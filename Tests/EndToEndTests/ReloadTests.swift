// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("a configuration that changes", .devTokens(3))
    struct Reload {
        @Test("HSMs and keys come and go by SIGHUP and by command, and no request fails")
        func changes() throws {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.set("request_deadline", "\"2s\"", in: "[xks]")
            configuration.set("keys", "[\"foo\"]", in: "[[keystore]]")
            let whole = configuration.lines
            configuration.removeTable("[[hsm]]", number: 2)
            let node = try Node.serve(configuration, activeHSMs: 2)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1", "hsm-2"])
            let load = Load(node, connections: 4)
            try load.more(50)

            // Another HSM, by signal.
            var more = configuration
            more.replaceLines(whole)
            try more.keepAddresses(of: configuration)
            _ = try more.write()
            kill(node.pid, SIGHUP)
            try eventually("hsm-3 is active", within: 30) { try node.health().active.count == 3 }
            try op.proven(on: ["hsm-1", "hsm-2", "hsm-3"])
            try load.more(50)

            // One goes, and a key comes, by command.
            var fewer = more
            fewer.removeTable("[[hsm]]", number: 0)
            fewer.set("keys", "[\"foo\", \"bar\"]", in: "[[keystore]]")
            _ = try fewer.write()
            #expect(try XKSClient(node).encrypt([1], key: "bar").refusal == "404 KeyNotFoundException")
            let answer = try op.done("reload")
            #expect(answer.contains("hsm-1"), "\(answer)")
            try eventually("hsm-1 has gone, and its worker", within: 30) {
                try node.health().hsm("hsm-1") == nil && node.workers["hsm-1"] == nil
            }
            try load.more(50)
            #expect(try XKSClient(node).encrypt([1], key: "bar").status == 200)

            // One gets other settings: a worker with those takes over from the old one.
            let before = node.workers["hsm-2"]
            fewer.set("sessions", "3", in: "[[hsm]]", number: 0)
            _ = try fewer.write()
            #expect(try op.done("reload").contains("hsm-2"))
            try eventually("hsm-2 has one worker, another, with 3 lanes", within: 30) {
                try node.health().hsm("hsm-2")?.lanes.open == 3 && node.workers["hsm-2"] != before
            }
            try load.more(50)

            // More requests on a lane, or fewer: that is the node's matter alone, and the worker stays.
            let worker = node.workers["hsm-2"]
            for depth in ["1", "8"] {
                fewer.set("depth", depth, in: "[[hsm]]", number: 0)
                _ = try fewer.write()
                #expect(try op.done("reload").contains("hsm-2"))
                try load.more(50)
            }
            #expect(node.workers["hsm-2"] == worker)

            let report = try load.stop()
            #expect(report.failures.isEmpty, "\(report.failures.prefix(5))")
            #expect(try node.stop() == .exited(0))
        }

        @Test("a certificate that has ended is taken, as at a start, and said")
        func ended() throws {
            let dev = try Node.dev()
            try dev.stop()
            let configuration = try ServeConfiguration(from: dev, plaintext: false)
            let node = try Node.serve(configuration)
            let op = Operator(configuration)
            let before = try op.call("reload")
            #expect(before.end == .exited(0) && !before.errors.contains("warning:"), "\(before.errors)")
            let directory = dev.facts.ca.split(separator: "/").dropLast().map { "/\($0)" }.joined()
            try BackdatedCertificate.replace(
                directory + "/server.pem", key: directory + "/server-key.pem",
                ca: (directory + "/ca.pem", directory + "/ca-key.pem"), seconds: -86_400)
            #expect(try ClavigerBinary.run(["check", "--config", op.configuration]).end == .exited(2))
            let result = try op.call("reload")
            #expect(result.end == .exited(0) && result.output.contains("has been read."), "\(result)")
            #expect(
                result.errors.hasPrefix("warning: ") && result.errors.contains("xks.certificate"), "\(result.errors)")
            #expect(try node.stop() == .exited(0))
        }

        @Test("a bad file changes nothing, and says why; so does a change that needs a restart")
        func refused() throws {
            let configuration = try ServeConfiguration(from: try sharedNode())
            let node = try Node.serve(configuration, activeHSMs: 3)
            let op = Operator(configuration)
            for (change, word) in [
                ({ (c: inout ServeConfiguration) in c.set("sessions", "\"many\"", in: "[[hsm]]") }, "sessions"),
                ({ (c: inout ServeConfiguration) in c.set("id", "\"other\"", in: "[node]") }, "node.id"),
                (
                    { (c: inout ServeConfiguration) in c.set("pin", "{ file = \"/nowhere\" }", in: "[[hsm]]") },
                    "/nowhere"
                ),
            ] {
                var bad = configuration
                change(&bad)
                _ = try bad.write()
                let result = try op.call("reload")
                #expect(!result.isSuccess && (result.errors + result.output).contains(word), "\(result.errors)")
                #expect(try XKSClient(node).encrypt([1]).status == 200)
            }
            _ = try configuration.write()
            #expect(try op.call("reload").isSuccess)
            #expect(try node.stop() == .exited(0))
        }

        /// 16631be let it go with status 0 and a notice that showed an empty prefix as nothing.
        @Test("a file that has lost a key store which was just used is refused, unless that is meant")
        func cutOff() throws {
            let configuration = try ServeConfiguration(from: try sharedNode())
            let node = try Node.serve(configuration, activeHSMs: 3)
            let op = Operator(configuration)
            #expect(try XKSClient(node).encrypt([1]).status == 200)
            var cut = configuration
            cut.set("path_prefix", "\"/another\"", in: "[[keystore]]")
            _ = try cut.write()
            let refused = try op.call("reload")
            #expect(refused.end == .exited(1))
            let text = (refused.errors + refused.output).split { $0.isWhitespace }.joined(separator: " ")
            #expect(text.contains("has lost key stores that were used in the last minute"), "\(refused)")
            #expect(text.contains("claviger reload --force"))
            #expect(try XKSClient(node).encrypt([1]).status == 200)
            kill(node.pid, SIGHUP)
            _ = try node.logEntry("the refusal of the signal") { $0.message == "configuration not reloaded" }
            #expect(try XKSClient(node).encrypt([1]).status == 200)
            #expect(try op.done("reload", "--force").contains("Key stores removed"))
            #expect(try XKSClient(node).encrypt([1]).status != 200)
            #expect(try node.stop() == .exited(0))
        }

        /// Writes a certificate of its own making, and has the configuration name it.
        private func issue(_ name: String, in files: Scratch, for configuration: inout ServeConfiguration) throws {
            let (certificate, key) = (files.file(name + ".pem"), files.file(name + "-key.pem"))
            let made = try run([
                "/usr/bin/env", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", key, "-out", certificate, "-days", "30", "-subj", "/CN=localhost", "-addext",
                "subjectAltName=DNS:localhost",
            ])
            guard made.isSuccess else { throw HarnessError(made.errors) }
            configuration.set("certificate", "\"\(certificate)\"", in: "[xks]")
            configuration.set("key", "\"\(key)\"", in: "[xks]")
        }

        @Test("another certificate serves new connections")
        func certificate() throws {
            let files = try Scratch()
            var configuration = try ServeConfiguration(from: try sharedNode(), plaintext: false)
            configuration.remove("plaintext", in: "[xks]")
            try issue("first", in: files, for: &configuration)
            let node = try Node.serve(configuration, activeHSMs: 3)
            func serial() throws -> String {
                let port = node.facts.url.split(separator: ":").last.map(String.init) ?? ""
                let command =
                    "openssl s_client -connect 127.0.0.1:\(port) </dev/null 2>/dev/null"
                    + " | openssl x509 -noout -serial"
                return try run(["/bin/sh", "-c", command]).output
            }
            let before = try serial()
            #expect(before.hasPrefix("serial="), "\(before) of \(node.facts.url)")
            try issue("second", in: files, for: &configuration)
            _ = try configuration.write()
            let reloaded = try Operator(configuration).call("reload")
            #expect(reloaded.isSuccess, "\(reloaded.errors)")
            let after = try serial()
            #expect(after.hasPrefix("serial=") && after != before)
            #expect(try node.stop() == .exited(0))
        }
    }
}
