// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

/// What `claviger bench --json` prints, as far as it is looked at.
private struct BenchOutput: Decodable {
    struct Finding: Decodable {
        var lostHSM: String?
        var carried: Double?
        var trials: [Trial]
    }

    struct Trial: Decodable {
        var offeredPerSecond: Double?
        var requests: Int
        var good: Int
        var shareInTime: Double
        var deadline: Double
        var p50: Double?
        var p999: Double?
        var sentBytesPerRequest: Double?
        var receivedBytesPerRequest: Double?
        var connections: Connections
        var failures: [Failure]
    }

    struct Connections: Decodable {
        var opened: Int
        var mostAtATime: Int
        var connectP50: Double?
        var handshakeP50: Double?
        var handshakeReceivedBytes: Double?
    }

    struct Failure: Decodable {
        var what: String
        var requests: Int
    }

    var mode: String
    var findings: [Finding]
    var sentences: [String]
    var wasStopped: Bool
}

extension EndToEnd {
    @Suite("bench", .devNode())
    struct Bench {
        private let scratch: Scratch
        private let node: Node
        /// Beside the node's own socket.
        private var stateDirectory: String { node.state + "/node" }

        init() throws {
            scratch = try Scratch()
            node = try sharedNode()
        }

        private func arguments(_ options: [String], key: String = "foo") throws -> [String] {
            let facts = node.facts
            let secret =
                FileManager.default.fileExists(atPath: scratch.file("secret"))
                ? scratch.file("secret") : try scratch.write(facts.secret, to: "secret")
            return [
                "bench", "--url", facts.url + facts.prefix, "--key", key, "--access-key-id", facts.access_key_id,
                "--secret-file", secret, "--ca", facts.ca, "--warm-up", "300ms",
            ] + options
        }

        private func bench(_ options: [String]) throws -> (result: CommandResult, output: BenchOutput) {
            let result = try ClavigerBinary.run(try arguments(options + ["--json"]))
            do {
                return (result, try JSONDecoder().decode(BenchOutput.self, from: Data(result.output.utf8)))
            } catch {
                throw HarnessError("no report: \(result)")
            }
        }

        private func drained() throws -> [String] {
            let status = try ClavigerBinary.run(["status", "--json", "--state-dir", stateDirectory])
            return try JSONDecoder().decode(StatusReport.self, from: Data(status.output.utf8)).hsms
                .filter(\.drained).map(\.name)
        }

        @Test("one rate in an open loop: every request is sent, signed, opened and timed, over TLS")
        func open() throws {
            let (result, output) = try bench(["--rate", "50", "--for", "1s", "--round-trip", "12ms"])
            let trial = try #require(output.findings.first?.trials.first)
            #expect(output.mode == "open" && trial.offeredPerSecond == 50 && trial.requests == 50)
            #expect(trial.good == 50 && trial.failures.isEmpty && trial.deadline == 238)
            #expect(result.isSuccess == (trial.shareInTime >= 0.999))
            // A request has a signature and metadata, an answer a ciphertext or a plaintext.
            #expect((600...1_500).contains(trial.sentBytesPerRequest ?? 0), "\(trial)")
            #expect((150...600).contains(trial.receivedBytesPerRequest ?? 0), "\(trial)")
            #expect((trial.connections.connectP50 ?? 0) > 0 && (trial.connections.handshakeP50 ?? 0) > 0)
            #expect((trial.connections.handshakeReceivedBytes ?? 0) > 500)
            #expect(!result.output.contains(node.facts.secret))
        }

        @Test("a closed loop with as many connections as it is told, and each operation there is")
        func closed() throws {
            let (result, output) = try bench([
                "--closed", "--connections", "3", "--for", "1s", "--operations",
                "encrypt,encrypt-integrity,decrypt,metadata,health",
            ])
            let trial = try #require(output.findings.first?.trials.first)
            #expect(output.mode == "closed" && trial.connections.mostAtATime == 3 && trial.offeredPerSecond == nil)
            #expect(trial.good > 20 && trial.failures.isEmpty, "\(result)")
        }

        /// As to a node behind its balancer: nothing listens at the URL's own port.
        @Test("it connects to the address that it is told, in the name of the URL")
        func connect() throws {
            var arguments = try arguments(["--rate", "20", "--for", "500ms", "--json"])
            let place = try #require(arguments.firstIndex(of: "--url"))
            let (own, port) = (arguments[place + 1], URL(string: node.facts.url)?.port ?? 0)
            arguments[place + 1] = own.replacing("127.0.0.1:\(port)", with: "localhost:1")
            let nobody = try ClavigerBinary.run(arguments)
            #expect(nobody.end == .exited(1) && nobody.errors.contains("no TCP connection"), "\(nobody)")
            let result = try ClavigerBinary.run(arguments + ["--connect", "127.0.0.1:\(port)"])
            #expect(result.output.contains("\"good\":10,"), "\(result)")
        }

        @Test(
            "the search finds a rate, and another with one HSM lost, which it gives back; it ends with what to ask for")
        func search() throws {
            let chart = scratch.file("chart.svg")
            let result = try ClavigerBinary.run(
                try arguments([
                    "--from", "10", "--most", "20", "--for", "500ms", "--state-dir", stateDirectory, "--hsm", "hsm-2",
                    "--chart", chart,
                ]))
            #expect(result.isSuccess, "\(result)")
            #expect(result.output.contains("With all HSMs:") && result.output.contains("With HSM hsm-2 lost:"))
            let last = result.output.split(separator: "\n").last ?? ""
            #expect(
                last.hasPrefix("Carries ") && last.contains("/s with one HSM lost; ask AWS for quota 1"), "\(result)")
            #expect(try text(ofFile: chart).contains("/s, hsm-2 lost"))
            #expect(!result.errors.contains("\u{1B}"), "no progress bar where there is no terminal")
            #expect(try drained() == [])
            let drain = try node.logEntry("the drain") { $0["order"] == "hsm drain hsm-2 for 15 s" }
            #expect(drain["status"] == "200")
            _ = try node.logEntry("the order to put it back") { $0["order"] == "hsm undrain hsm-2" }
        }

        @Test(
            "an HSM is given back where bench is told to end, and where it is killed",
            arguments: [SIGTERM, SIGINT, SIGKILL])
        func ended(signal: Int32) throws {
            let command = try ChildProcess(
                [ClavigerBinary.path]
                    + arguments(["--rate", "20", "--for", "4s", "--state-dir", stateDirectory, "--hsm", "hsm-1"]))
            // In its second half: with a rate, one trial and another with the HSM lost.
            try eventually("the HSM is out", within: 20) { (try? drained()) == ["hsm-1"] }
            command.kill(signal)
            let end = try command.end(within: 20)
            if signal == SIGKILL {
                #expect(end == .killed(signal: SIGKILL))
                // Nobody prolongs it any more: the node has it back within 15 s.
                try eventually("the node takes it back", within: 20) { (try? drained()) == [] }
                _ = try node.logEntry("it says so") {
                    $0.message == "hsm undrained" && $0["reason"]?.hasPrefix("its time is over") == true
                }
            } else {
                #expect(
                    end == .exited(1) && command.output.contains("It was stopped before its time"), "\(command.output)")
                #expect(try drained() == [])
            }
        }

        @Test("what cannot be measured is said, and nothing is drained for it")
        func refused() throws {
            let cases: [(options: [String], end: Int32, says: String)] = [
                (["--key", "nobody"], 1, "404, KeyNotFoundException"),
                (["--secret-file", "/nowhere"], 2, "/nowhere"), (["--url", "ftp://x"], 2, "https://"),
                (["--url", "https://127.0.0.1:1"], 1, "no TCP connection"), (["--hsm", "hsm-9"], 2, "did you mean"),
                (["--ca", node.facts.client_certificate], 1, "no TLS handshake"),
                (["--closed"], 64, "--closed"), (["--rate", "0"], 64, "--rate"), (["--for", "10"], 64, "--for"),
                (["--operations", "encrypt,sign"], 64, "--operations"),
                (["--round-trip", "250ms"], 64, "--round-trip"),
                (["--chart", scratch.path], 3, "exists already"),
            ]
            for (options, end, says) in cases {
                var arguments = try arguments(["--state-dir", stateDirectory, "--for", "500ms", "--rate", "5"])
                if options == ["--closed"] { arguments.removeLast(2) }
                // An option that is given twice would be refused for that.
                for index in stride(from: 0, to: options.count, by: 2) {
                    if let place = arguments.firstIndex(of: options[index]) {
                        arguments.removeSubrange(place...(place + 1))
                    }
                }
                let result = try ClavigerBinary.run(arguments + options)
                #expect(result.end == .exited(end) && result.errors.contains(says), "\(options): \(result)")
            }
            #expect(try drained() == [])
        }
    }
}
