// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

/// What `claviger drill hsm-loss --json` prints, as far as it is looked at.
private struct DrillOutput: Decodable {
    struct Period: Decodable {
        var seconds: Double
        var requests: Int
        var unreliable: Int
        var servedShare: Double?
        var p50: Double?
        var p99: Double?
    }

    struct Change: Decodable {
        var code: String
        var began: Double?
        var ended: Double?
    }

    var node: String
    var hsm: String
    var outSeconds: Double
    var stopped: String?
    var before: Period?
    var during: Period?
    var after: Period?
    var servesAgainAfterSeconds: Double?
    var conditions: [Change]
    var sentences: [String]
}

extension EndToEnd {
    @Suite("a drill", .devTokens(3))
    struct Drill {
        private let faults: Faults
        private let scratch: Scratch

        init() throws {
            faults = try Faults()
            scratch = try Scratch()
        }

        /// A node whose HSMs can be made to fail, and a load of 40 requests a second on it.
        private func start() throws -> (node: Node, op: Operator, load: ChildProcess) {
            try faults.clear()
            let configuration = try ServeConfiguration(with: faults)
            let node = try Node.serve(configuration)
            let op = Operator(configuration)
            try op.proven()
            let load = try ChildProcess([
                ClavigerBinary.path, "bench", "--url", node.facts.url + node.facts.prefix, "--key", "foo",
                "--access-key-id", node.facts.access_key_id, "--secret-file",
                try scratch.write(node.facts.secret, to: "secret"), "--ca", node.facts.ca, "--rate", "40", "--for",
                "10m",
                "--warm-up", "0ms",
            ])
            return (node, op, load)
        }

        private func drill(_ op: Operator, _ options: [String]) -> [String] {
            [
                ClavigerBinary.path, "drill", "hsm-loss", "--config", op.configuration, "--hsm", "hsm-2", "--before",
                "2s",
                "--after", "1s",
            ] + options
        }

        private func output(_ text: String) throws -> DrillOutput {
            do {
                return try JSONDecoder().decode(DrillOutput.self, from: Data(text.utf8))
            } catch {
                throw HarnessError("no report: \(text)")
            }
        }

        @Test(
            "under load: callers notice nothing, the HSM is out and serves again, and the report says what was noticed")
        func planned() throws {
            let (node, op, load) = try start()
            defer { load.kill(SIGKILL) }
            let file = scratch.file("report.json")
            let result = try run(drill(op, ["--for", "4s", "--report", file]), within: 40)
            #expect(result.output.contains("HSM hsm-2 of node dev was out for "))
            let report = try output(try text(ofFile: file))
            #expect(report.node == "dev" && report.hsm == "hsm-2" && report.stopped == nil && report.outSeconds >= 4)
            for period in [report.before, report.during, report.after] {
                #expect((period?.requests ?? 0) > 20, "\(report)")
            }
            // A machine that others use as well may be late with an answer, and that is told, too.
            let share = report.during?.servedShare ?? 0
            #expect(share > 0.9 && (report.during?.p50 ?? 0) > 0 && result.isSuccess == (share >= 0.999), "\(result)")
            #expect(report.conditions.contains { $0.code == "hsm-drained" && $0.began != nil && $0.ended != nil })
            #expect((report.servesAgainAfterSeconds ?? 99) < 10)
            #expect(try op.status().hsms.allSatisfy { !$0.drained })
            // Given back by its end, and not by the end of its time.
            let back = try node.logEntry("it is put back") { $0.message == "hsm undrained" }
            #expect(back["reason"] == "ordered" && back["hsm"] == "hsm-2")
            #expect(load.isRunning)
            #expect(try node.stop() == .exited(0))
        }

        @Test("the stop rule puts it back at once when the others fail")
        func stopRule() throws {
            let (node, op, load) = try start()
            defer { load.kill(SIGKILL) }
            let command = try ChildProcess(drill(op, ["--for", "5m", "--json"]))
            try eventually("the HSM is out", within: 20) { try op.status().hsm("hsm-2")?.drained == true }
            let broken = ["return CKR_DEVICE_ERROR *"]
            try faults.set(["hsm-1": broken, "hsm-3": broken])
            #expect(try command.end(within: 40) == .exited(1))
            let report = try output(command.output)
            #expect(["failing", "critical"].contains(report.stopped), "\(report)")
            #expect(report.outSeconds < 60 && report.servesAgainAfterSeconds != nil, "\(report)")
            #expect(report.sentences.first?.hasPrefix("It was stopped: ") == true)
            #expect(try op.status().hsm("hsm-2")?.drained == false)
            #expect(try node.stop() == .exited(0))
        }

        @Test("a signal puts it back, and a kill -9 has the node put it back", arguments: [SIGTERM, SIGKILL])
        func signals(signal: Int32) throws {
            let (node, op, load) = try start()
            defer { load.kill(SIGKILL) }
            let command = try ChildProcess(drill(op, ["--for", "5m", "--json"]))
            try eventually("the HSM is out", within: 20) { try op.status().hsm("hsm-2")?.drained == true }
            command.kill(signal)
            let end = try command.end(within: 20)
            if signal == SIGTERM {
                let report = try output(command.output)
                #expect(end == .exited(1) && report.stopped == "interrupted", "\(report)")
                #expect(try op.status().hsm("hsm-2")?.drained == false)
            } else {
                #expect(end == .killed(signal: SIGKILL))
                try eventually("the node takes it back", within: 20) { try op.status().hsm("hsm-2")?.drained == false }
            }
            #expect(try node.stop() == .exited(0))
        }

        @Test("an operator who puts it back, or drains it for good, has the last word")
        func operators() throws {
            let (node, op, load) = try start()
            defer { load.kill(SIGKILL) }
            for order in ["undrain", "drain"] {
                let command = try ChildProcess(drill(op, ["--for", "5m", "--json"]))
                try eventually("the HSM is out", within: 20) { try op.status().hsm("hsm-2")?.drained == true }
                try op.done("hsm", order, "hsm-2")
                #expect(try command.end(within: 30) == .exited(1))
                #expect(try op.status().hsm("hsm-2")?.drained == (order == "drain"))
            }
            // A drained one can be lost no more.
            let again = try run(drill(op, ["--for", "1s"]))
            #expect(again.end == .exited(1) && again.errors.contains("out of use already"), "\(again)")
            try op.done("hsm", "undrain", "hsm-2")
            try op.done("hsm", "drain", "hsm-1")
            try op.done("hsm", "drain", "hsm-3")
            let needed = try run(drill(op, ["--for", "1s"]))
            #expect(
                needed.end == .exited(1) && needed.errors.contains("no other HSM of node dev can serve"), "\(needed)")
            let unknown = try run([
                ClavigerBinary.path, "drill", "hsm-loss", "--config", op.configuration, "--hsm", "hsm-22",
            ])
            #expect(unknown.end == .exited(2) && unknown.errors.contains("did you mean hsm-2?"), "\(unknown)")
            #expect(try node.stop() == .exited(0))
        }
    }
}
