// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("a library that prints, or ends the process", .devTokens(1))
    struct LibraryOutput {
        private let faults: Faults

        init() throws { faults = try Faults() }

        private func run(_ arguments: [String], _ faultLines: String...) throws -> CommandResult {
            let node = try sharedNode()
            try faults.set(["hsm-1": ["[*]"] + faultLines])
            return try ClavigerBinary.run(
                ["hsm"] + arguments, environment: faults.environment("hsm-1", of: node))
        }

        private var probe: [String] {
            get throws {
                let pin = try sharedNode().state + "/hsm-1/pin"
                return ["probe", Faults.library, "--token", "claviger-dev-hsm-1", "--pin-file", pin, "--json"]
            }
        }

        /// With 16631be "hello from lib" stood before the JSON, on standard output.
        @Test("nothing of it stands in what a command gives")
        func prints() throws {
            let line = "print C_GetInfo \"hello \u{1B}[2Jfrom lib\""
            let list = try run(["list", Faults.library], line)
            #expect(list.isSuccess && list.output.contains("claviger-dev-hsm-1"))
            #expect(!list.output.contains("hello") && list.errors.contains("prints: hello \u{FFFD}[2Jfrom lib"))
            let probe = try run(try probe, line)
            #expect(probe.isSuccess && probe.errors.contains("prints: hello \u{FFFD}[2Jfrom lib"))
            #expect((try? JSONSerialization.jsonObject(with: Data(probe.output.utf8))) is [String: Any])
        }

        @Test("a PIN that a library prints is not shown")
        func pin() throws {
            let pin = try text(ofFile: sharedNode().state + "/hsm-1/pin")
            let result = try run(try probe, "print C_GetInfo \"the PIN is \(pin)\"")
            #expect(result.isSuccess && result.errors.contains("the PIN is "), "shown up to the PIN")
            #expect(!result.errors.contains(pin))
        }

        /// With 16631be `hsm list` ended with status 0 and printed nothing.
        @Test(
            "a command does not end as if it were done",
            arguments: [
                ("exit C_GetSlotList 0", "with status 0 in C_GetSlotList"),
                ("exit C_GetInfo 3", "with status 3 in C_GetInfo"),
                ("crash C_GetSlotList", "by signal 11 (SIGSEGV) in C_GetSlotList"),
                ("run C_GetSlotList \"kill -9 $PPID\"", "by signal 9 (SIGKILL)"),
            ])
        func ends(line: String, words: String) throws {
            for arguments in [["list", Faults.library], try probe] {
                let result = try run(arguments, line)
                #expect(result.end == .exited(2), "\(result)")
                #expect(result.output == "" && result.errors.contains("its process ended \(words)"), "\(result)")
            }
        }

        @Test("a failure keeps its words and status")
        func failure() throws {
            let result = try run(["list", "/nowhere.so"])
            #expect(result.end == .exited(2) && result.output == "")
            #expect(result.errors.contains("/nowhere.so") && !result.errors.contains("come to its end"))
            #expect(!result.errors.contains("the library prints"), "it is the command that says it: \(result.errors)")
            #expect(try run(["list"]).end == .exited(64))
        }

        @Test("a node's log has what it printed, under the HSM's name, and how it ended, in which call")
        func node() throws {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.load(faults)
            configuration.stateDirectory = configuration.scratch.file("node")
            try faults.set(["hsm-1": ["[*]", "print C_Initialize \"hello \u{1B}[2J\""]])
            let node = try Node.serve(configuration, activeHSMs: 1)
            for stream in ["stdout", "stderr"] {
                try eventually("the library's \(stream) is in the log") {
                    node.log.contains {
                        $0.message == "library output" && $0["hsm"] == "hsm-1" && $0["stream"] == stream
                            && $0["text"] == "hello \u{FFFD}[2J"
                    }
                }
            }
            try faults.set(["hsm-1": ["exit C_Encrypt 7"]])
            _ = try XKSClient(node).encrypt([1])
            try eventually("the end is in the log, with the call") {
                node.log.contains {
                    $0.message == "worker ended" && $0["reason"]?.contains("with status 7 in C_Encrypt") == true
                }
            }
            try faults.clear()
            try eventually("the HSM is active again") { try node.health().active.count == 1 }
            // Every line is one of the log.
            #expect(node.process.errors.split(separator: "\n").allSatisfy { $0.hasPrefix("{") })
            #expect(try node.stop() == .exited(0))
        }

        @Test("check shows what it prints beside what it has to say itself")
        func check() throws {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.load(faults)
            try faults.set(["hsm-1": ["[*]", "print C_Initialize hello"]])
            _ = try configuration.write()
            let check = try Operator(configuration).call("check")
            #expect(check.isSuccess && check.errors.contains("hsm hsm-1: its library prints: hello"), "\(check)")
            #expect(!check.output.contains("hello"))
        }
    }
}
