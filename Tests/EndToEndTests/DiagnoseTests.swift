// SPDX-License-Identifier: Apache-2.0
import Conditions
import Foundation
import Glibc
import StatusVocabulary
import Testing

/// `claviger diagnose --json`
private struct Report: Decodable {
    struct Finding: Decodable {
        var group: String
        var subject: String
        var state: String
        var text: String
        var advice: String?
    }

    var node: String
    var state: String
    var findings: [Finding]

    func first(_ group: String, _ subject: String) -> Finding? {
        findings.first { $0.group == group && $0.subject.hasPrefix(subject) }
    }

    static func of(_ configuration: ServeConfiguration) throws -> (Report, CommandResult) {
        let result = try ClavigerBinary.run(["diagnose", "--json", "--config", try configuration.write()])
        guard let report = try? JSONDecoder().decode(Report.self, from: Data(result.output.utf8)) else {
            throw HarnessError("no report: \(result)")
        }
        return (report, result)
    }
}

extension EndToEnd {
    @Suite("claviger diagnose", .devTokens(2))
    struct Diagnose {
        @Test("a node that runs: its host, what clients are shown, its HSMs, and a real encryption")
        func running() throws {
            let dev = try Node.dev(["--hsms", "2"])
            try dev.stop()
            var configuration = try ServeConfiguration(from: dev, plaintext: false)
            configuration.stateDirectory = configuration.scratch.file("node")
            // One request, and the quota is used up for a while.
            configuration.set("requests_per_second", "1", in: "[[keystore]]")
            configuration.set("burst", "1", in: "[[keystore]]")
            let node = try Node.serve(configuration, activeHSMs: 2)
            let op = Operator(configuration)
            try op.proven(on: ["hsm-1", "hsm-2"])
            func requests() throws -> [Substring] {
                let lines = try node.control("/metrics").text.split(separator: "\n")
                return lines.filter { $0.hasPrefix("claviger_requests_total{") }
            }
            let counted = try requests()
            let (report, result) = try Report.of(configuration)
            #expect(result.end == .exited(0) && report.state != "failure", "\(result)")
            #expect(try requests() == counted, "nothing of a diagnosis is KMS's")
            for subject in ["open files", "processors", "disk"] {
                #expect(report.first("host", subject)?.state == "ok", "\(subject): \(result)")
            }
            #expect(report.first("host", "disk")?.text.contains("MiB free, and a write that lasts takes") == true)
            #expect(report.first("listeners", "TLS")?.state == "ok", "\(result)")
            #expect(report.first("listeners", "certificate")?.text.contains("localhost, issued by") == true)
            let trust = report.first("listeners", "trust")
            #expect(trust?.state == "skipped" && trust?.text.contains("none of them has signed it") == true)
            #expect(report.findings.count { $0.group == "HSMs" && $0.state == "ok" } == 2)
            let request = try #require(report.first("requests", "key store"))
            #expect(request.state == "ok" && request.text.contains("encrypted in"), "\(request)")
            // Beside the node no other session was opened, and its log has the requests.
            _ = try node.logEntry("the encryption") {
                $0["kmsRequestId"]?.hasPrefix("diagnose-") == true && $0["operation"] == "Decrypt"
            }
            // The listener has turned nobody away for it.
            let status = try op.call("status", "--json").output
            #expect(status.contains("\"refusals\":[]"), "\(status)")
            // What bars the requests is said, and an HSM that is taken out.
            try op.done("block", "--all", "--reason", "drill")
            try op.done("hsm", "drain", "hsm-1")
            let (barred, end) = try Report.of(configuration)
            #expect(end.end == .exited(0) && barred.first("HSMs", "hsm hsm-1")?.state == "warning", "\(end)")
            #expect(barred.first("HSMs", "hsm hsm-1")?.advice?.contains("claviger hsm undrain hsm-1") == true)
            let refusal = barred.first("requests", "key store")
            #expect(refusal?.state == "warning" && refusal?.advice?.contains("claviger blocks") == true, "\(end)")
            #expect(barred.first("node", "blocks-in-force") == nil && barred.first("node", "hsm-drained") == nil)
            let text = try op.call("diagnose").output
            #expect(text.contains("HSMs\n  warn  hsm hsm-1: active, drained"), "\(text)")
            #expect(try node.stop() == .exited(0))
        }

        @Test("no node: HSMs are looked at, what is wrong has its advice, and the status is 1")
        func notRunning() throws {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            let (good, result) = try Report.of(configuration)
            #expect(result.end == .exited(0), "\(result)")
            #expect(good.first("configuration", "hsm hsm-2")?.text.contains("5 keys") == true)
            #expect(good.first("requests", "node")?.state == "skipped")
            #expect(access(configuration.stateDirectory, F_OK) != 0, "nothing is left behind")
            configuration.setInAll("[[hsm]]", "token", "{ label = \"nowhere\" }")
            configuration.removeTable("[[hsm]]", number: 1)
            configuration.set("listen", "\"203.0.113.9:1\"", in: "[control]")
            let (bad, failed) = try Report.of(configuration)
            #expect(failed.end == .exited(1) && bad.state == "failure", "\(failed)")
            for subject in ["hsm[0]", "control.listen"] {
                let finding = bad.first("configuration", subject)
                #expect(finding?.state == "failure" && finding?.advice?.isEmpty == false, "\(subject): \(failed)")
            }
            configuration.set("lissten", "1", in: "[control]")
            let (broken, unread) = try Report.of(configuration)
            #expect(unread.end == .exited(2) && broken.state == "failure", "\(unread)")
            #expect(broken.first("configuration", "control.lissten")?.advice?.contains("listen") == true, "\(unread)")
        }

        @Test("peers: who is there and how far, whose clock is how far off, and who cannot be reached")
        func peers() throws {
            let trio = try Trio(from: try sharedNode())
            // A key that may neither encrypt nor decrypt: only `check` said so.
            try trio.begins(Trouble(.keyOdd, of: "node-1", "usage", severity: .note, by: ["node-2"]))
            #expect(
                try trio.op("node-1").call("status").output.contains(
                    "impotent_key: CKA_ENCRYPT and CKA_DECRYPT are false"))
            let (report, result) = try Report.of(trio.configuration("node-1"))
            #expect(result.end == .exited(0), "\(result)")
            for name in ["node-2", "node-3"] {
                let address = try trio.clusterAddress(name)
                let finding = report.first("peers", address)
                #expect(
                    finding?.state == "ok" && finding?.text.hasPrefix("node \(name), connected") == true, "\(result)")
                try eventually("the clock of \(name) is known", within: 20, every: 0.2) {
                    try Report.of(trio.configuration("node-1")).0.first("peers", "clock of \(name)")?.state == "ok"
                }
            }
            #expect(try trio.node("node-2").stop() == .exited(0))
            let (left, good) = try Report.of(trio.configuration("node-1"))
            let gone = left.first("peers", try trio.clusterAddress("node-2"))
            #expect(good.end == .exited(0) && gone?.state == "skipped", "\(good)")
            #expect(gone?.text == "node node-2 has left in good order", "\(good)")
            trio.node("node-3").process.kill(SIGKILL)
            _ = try trio.node("node-3").process.end(within: 10)
            let (without, failed) = try Report.of(trio.configuration("node-1"))
            let finding = without.first("peers", try trio.clusterAddress("node-3"))
            #expect(failed.end == .exited(1) && finding?.state == "failure" && finding?.advice != nil, "\(failed)")
        }
    }
}
