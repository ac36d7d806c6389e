// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    /// A library does what it likes, with a shell (`run` of FaultyPKCS11), in its worker.
    @Suite("a library in its compartment", .devTokens(2))
    struct CompartmentOfALibrary {
        private let faults: Faults
        /// Where the library may write what it has found.
        private let scratch: Scratch

        init() throws {
            faults = try Faults()
            scratch = try Scratch()
        }

        private func configuration() throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(with: faults)
            configuration.setInAll("[[hsm]]", "sessions", "1")
            return configuration
        }

        /// Has the library of hsm-1 run a script at the next start of its worker, and returns what it has printed.
        private func found(by script: String, on node: Node) throws -> Set<String> {
            let (out, partial) = (scratch.file("found"), scratch.file("found.partial"))
            unlink(out)
            let file = try scratch.write(
                "exec > \(partial) 2>/dev/null\n\(script)\nmv \(partial) \(out)\n", to: "script")
            try faults.set(["hsm-1": ["[*]", "run C_Initialize \"sh \(file)\""]])
            try Processes.kill(worker: try #require(node.workers["hsm-1"]))
            let text: String = try eventually("the library has run its script") {
                try? String(contentsOfFile: out, encoding: .utf8)
            }
            return Set(text.split(separator: "\n").map(String.init))
        }

        private func reading(_ files: [String: String]) -> String {
            files.map { "cat '\($1)' > /dev/null && echo \($0)" }.joined(separator: "\n")
        }

        /// With 16631be it lived on. Where process groups alone are ended, in a session of its own it does.
        @Test(
            "what it has started ends with its worker, whatever session that has gone to",
            arguments: ["", "setsid ", "sandbox off"])
        func helpers(flight: String) throws {
            var configuration = try configuration()
            if flight == "sandbox off" { configuration.setInAll("[[hsm]]", "sandbox", "\"off\"") }
            let file = scratch.file("helper")
            let script = try scratch.write(
                "echo $$ > \(file).new; mv \(file).new \(file); exec sleep 60\n", to: "script")
            let prefix = flight.isEmpty ? "" : "setsid "
            try faults.set(["hsm-1": ["[*]", "run C_Initialize \"\(prefix)sh \(script) &\""]])
            let node = try Node.serve(configuration, activeHSMs: 2)
            let helper: Int32 = try eventually("it has started a process") {
                (try? text(ofFile: file)).flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
            }
            #expect(Processes.isAlive(helper))
            try faults.clear()
            try Processes.kill(worker: try #require(node.workers["hsm-1"]))
            try eventually("that has ended") { !Processes.isAlive(helper) }
            #expect(try node.stop() == .exited(0))
        }

        private func compartment(_ op: Operator) throws -> StatusReport.HSM.Compartment {
            try #require(try op.status().hsm("hsm-1")?.compartment)
        }

        /// With 16631be it read the configuration, the database, PIN and secret, made a file and could signal the node.
        @Test("it reads what it always read, but nothing of the node's, makes nothing there, and signals nobody")
        func standard() throws {
            let configuration = try configuration()
            let node = try Node.serve(configuration, activeHSMs: 2)
            let op = Operator(configuration)
            let origin = configuration.origin.state
            let state = configuration.stateDirectory
            let files = [
                "configuration": op.configuration, "database": configuration.database, "pin": origin + "/hsm-1/pin",
                "other-pin": origin + "/hsm-2/pin", "secret": origin + "/secret",
                "settings": origin + "/hsm-1/softhsm2.conf", "hosts": "/etc/hosts",
                "format": state + "/ciphertext-format",
            ]
            let others = """
                echo > \(state)/mine && echo made
                rm \(state)/admin.sock && echo removed
                kill -0 \(node.pid) && echo signalled
                sleep 9 & kill $! && echo own
                """
            let found = try found(by: reading(files) + "\n" + others, on: node)
            #expect(found == ["settings", "hosts", "own"])
            let report = try compartment(op)
            let whole = StatusReport.HSM.Compartment(
                mode: "default", files: true, signals: true, calls: true, privileges: true, missing: [])
            #expect(report == whole)
            try eventually("both HSMs are active again") { try node.health().active.count == 2 }
            #expect(!node.log.contains { $0.message == "library not confined" })
            #expect(try node.stop() == .exited(0))
        }

        @Test("a strict one works with its lists, and reaches nothing else")
        func strict() throws {
            var configuration = try configuration()
            let origin = configuration.origin.state
            configuration.setInAll("[[hsm]]", "sandbox", "\"strict\"")
            let programs = ["/bin", "/usr/bin", URL(fileURLWithPath: Faults.library).deletingLastPathComponent().path]
            configuration.setInAll("[[hsm]]", "sandbox_read", "\((programs + [faults.directory]))")
            let writable = ["\(origin)/hsm-1", "\(origin)/hsm-2", scratch.path]
            configuration.setInAll("[[hsm]]", "sandbox_write", "\(writable)")
            let node = try Node.serve(configuration, activeHSMs: 2)
            let files = ["hosts": "/etc/hosts", "shadow": "/etc/shells", "pin": origin + "/hsm-1/pin"]
            let control = try #require(URL(string: node.facts.control_url)?.port)
            let connect = "bash -c 'echo > /dev/tcp/127.0.0.1/\(control)' && echo connected"
            let found = try found(by: reading(files) + "\n" + connect + "\necho ran", on: node)
            #expect(found == ["hosts", "ran"])
            #expect(try compartment(Operator(configuration)).missing.isEmpty)
            try eventually("both HSMs are active again") { try node.health().active.count == 2 }
            #expect(try XKSClient(node).encrypted([1, 2, 3]).ciphertext.isEmpty == false)
            #expect(try node.stop() == .exited(0))
        }

        @Test("none at all is said in the log and in status, and check warns")
        func off() throws {
            var configuration = try configuration()
            configuration.setInAll("[[hsm]]", "sandbox", "\"off\"")
            let node = try Node.serve(configuration, activeHSMs: 2)
            let op = Operator(configuration)
            let found = try found(by: reading(["database": configuration.database]), on: node)
            #expect(found == ["database"])
            #expect(try compartment(op).mode == "off")
            let lines = node.log.filter { $0.message == "library not confined" && $0["hsm"] == "hsm-1" }
            #expect(lines.count == 1, "said once, though its worker was started twice")
            #expect(try node.stop() == .exited(0))
            let check = try op.call("check")
            #expect(check.isSuccess && check.errors.contains(": hsm[0].sandbox: hsm-1: its library can reach all"))
        }
    }
}
