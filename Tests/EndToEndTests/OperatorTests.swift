// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("what an operator does", .devTokens(3))
    struct Operators {
        private let faults: Faults

        init() throws { faults = try Faults() }

        @Test("status and drain, of a node that runs, over a restart, and of one that has ended")
        func drainAndStatus() throws {
            var configuration = try ServeConfiguration(with: faults)
            let op = Operator(configuration)
            _ = try configuration.write()
            let nothing = try op.call("status")
            #expect(nothing.end == .exited(2))
            #expect(nothing.errors.contains("no node is running here"))
            #expect(try op.call("hsm", "drain", "hsm-1").end == .exited(1))

            var node = try Node.serve(configuration)
            try op.proven()
            let text = try op.done("status")
            #expect(text.contains("node dev") && text.contains(": ACTIVE"))
            #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
            var status = try op.status()
            #expect(status.running && status.verdict == "ACTIVE" && status.store.state == "ok")
            #expect(status.hsms.map(\.name) == ["hsm-1", "hsm-2", "hsm-3"])
            #expect(status.hsms.allSatisfy { $0.state == "active" && $0.serial?.isEmpty == false })
            #expect(status.keys.count == 5)

            #expect(try op.done("hsm", "drain", "hsm-2").contains("hsm-2 is drained"))
            try expect("hsm-2", serves: false, node)
            #expect(try op.status().hsm("hsm-2")?.drained == true)
            #expect(try node.stop() == .exited(0))

            let ended = try op.call("status")
            #expect(ended.end == .exited(1))
            #expect(ended.output.contains("node is not running; as of "))
            status = try op.status()
            #expect(!status.running && status.verdict == "UNAVAILABLE" && status.node == "dev")
            #expect(status.hsms.map(\.drained) == [false, true, false])
            #expect(status.key("foo")?.cells == ["hsm-1": "proven", "hsm-2": "proven", "hsm-3": "proven"])
            #expect(status.transitions.contains { $0.hsm == "hsm-1" && $0.to == "active" })

            try configuration.chooseAddresses()
            node = try Node.serve(configuration)
            #expect(try op.status().hsm("hsm-2")?.drained == true)
            try expect("hsm-2", serves: false, node)
            #expect(try op.done("hsm", "undrain", "hsm-2").contains("hsm-2"))
            _ = try node.encrypt(on: "hsm-2", try XKSClient(node))
            #expect(try op.status().hsm("hsm-2")?.drained == false)
            try expectUnknownNames(op)
            #expect(try node.stop() == .exited(0))
        }

        @Test("a node whose admin socket cannot be served is said to run, and why it is not asked")
        func withoutSocket() throws {
            // A file in its place, and a path that no socket can have.
            for (name, word) in [
                ("state", "is in the way and is no socket"), (String(repeating: "s", count: 120), "too long"),
            ] {
                var configuration = try ServeConfiguration(with: faults)
                let state = configuration.scratch.file(name)
                try FileManager.default.createDirectory(
                    atPath: state + "/admin.sock", withIntermediateDirectories: true)
                configuration.set("state_dir", "\"\(state)\"", in: "[node]")
                let op = Operator(configuration)
                let node = try Node.serve(configuration)
                for command in ["status", "reload"] {
                    let result = try op.call(command)
                    #expect(result.end == .exited(1), "\(result.errors)")
                    let address = node.facts.control_url.replacing("http://", with: "")
                    #expect(
                        result.errors.contains("a node answers at \(address), and its admin socket is not there:"),
                        "\(result.errors)")
                    #expect(result.errors.contains(word), "\(result.errors)")
                }
                let blind = try ClavigerBinary.run(["reload", "--state-dir", state])
                #expect(!blind.errors.contains("PathTooLong") && blind.end == .exited(1), "\(blind.errors)")
                #expect(try node.stop() == .exited(0))
                #expect(!(try op.call("status").errors.contains("a node answers at")))
            }
        }

        private func expect(_ hsm: String, serves: Bool, _ node: Node) throws {
            let client = try XKSClient(node)
            var served: Set<String> = []
            for _ in 0..<30 {
                let identifier = UUID().uuidString
                #expect(try client.encrypt([1], requestID: identifier).status == 200)
                let entry = try node.logEntry("the request") { $0["kmsRequestId"] == identifier }
                served.insert(entry["hsm"] ?? "")
            }
            #expect(served.contains(hsm) == serves)
        }

        private func expectUnknownNames(_ op: Operator) throws {
            for command in [["hsm", "drain"], ["hsm", "undrain"]] {
                let result = try op.call(command[0], command[1], "hsm-22")
                #expect(result.end == .exited(2))
                #expect(result.errors.contains("hsm-22") && result.errors.contains("did you mean hsm-2?"))
            }
            let hsm = try op.call("key", "trust", "foo", "--hsm", "nowhere")
            #expect(hsm.end == .exited(2))
            #expect(hsm.errors.contains("nowhere"))
            let key = try op.call("key", "trust", "fooo", "--hsm", "hsm-1")
            #expect(key.end == .exited(2))
            #expect(key.errors.contains("fooo") && key.errors.contains("did you mean foo?"))
            let unusable = try op.call("key", "trust", "decrypt_only_key", "--hsm", "hsm-1")
            #expect(unusable.end == .exited(1))
        }

        @Test("an HSM without AES-GCM is refused with the reason; a library that cannot lock gets one lane")
        func hardCases() throws {
            try faults.set(["hsm-2": ["vendor no-gcm"], "hsm-3": ["vendor cant-lock"]])
            let configuration = try ServeConfiguration(with: faults)
            let node = try Node.serve(configuration, activeHSMs: 2)
            let refused: NodeHealth.HSM = try eventually("hsm-2 is refused") {
                try node.health().hsm("hsm-2").flatMap { $0.state == "unavailable" ? $0 : nil }
            }
            #expect(refused.reason?.contains("has no AES-GCM") == true)
            #expect(try node.health().hsm("hsm-3")?.lanes.open == 1)
            #expect(try node.health().hsm("hsm-1")?.lanes.open ?? 0 > 1)
            let client = try XKSClient(node)
            let sealed = try node.encrypt(on: "hsm-3", client)
            #expect(try client.decrypted(sealed) == [1, 2, 3])
            let load = Load(node, connections: 8)
            try load.more(100)
            #expect(try load.stop().failures.isEmpty)
            #expect(try node.stop() == .exited(0))

            let probe = try Probe(faults).run("hsm-2")
            #expect(probe.end == .exited(2))
            #expect(probe.errors.contains("has no AES-GCM"))
            let single = try Probe(faults).run("hsm-3", json: false)
            #expect(single.isSuccess)
            #expect(single.output.contains("one at a time: the library cannot lock"))
        }
    }

    @Suite("vendors", .devTokens(3))
    struct Vendors {
        struct Vendor: Sendable, CustomTestStringConvertible {
            var faults: [String]
            var profile: String
            var wrongTag: String

            var testDescription: String { profile }
        }

        static let vendors = [
            Vendor(
                faults: ["vendor iv caller", "vendor gcm-params 40"], profile: "caller-40",
                wrongTag: "CKR_GENERAL_ERROR"),
            Vendor(
                faults: ["vendor iv buffer", "vendor gcm-params 48"], profile: "buffer", wrongTag: "CKR_FUNCTION_FAILED"
            ),
            Vendor(
                faults: ["vendor iv appended", "vendor gcm-params 40"], profile: "appended-40",
                wrongTag: "CKR_ENCRYPTED_DATA_INVALID"),
            Vendor(
                faults: ["vendor iv caller", "vendor gcm-params 48"], profile: "caller", wrongTag: "CKR_FUNCTION_FAILED"
            ),
            Vendor(
                faults: ["vendor iv buffer", "vendor gcm-params 40"], profile: "buffer-40",
                wrongTag: "CKR_GENERAL_ERROR"),
            Vendor(
                faults: ["vendor iv appended", "vendor gcm-params 48"], profile: "appended",
                wrongTag: "CKR_AEAD_DECRYPT_FAILED"),
            Vendor(faults: ["vendor message-api"], profile: "message", wrongTag: "CKR_ENCRYPTED_DATA_INVALID"),
            Vendor(faults: ["vendor iv caller"], profile: "caller", wrongTag: "CKR_GENERAL_ERROR"),
            Vendor(faults: ["vendor iv buffer"], profile: "buffer", wrongTag: "CKR_ENCRYPTED_DATA_INVALID"),
        ]

        /// Three vendors at a time, one on each HSM.
        @Test("each is found out by the probe, and what one encrypts each decrypts", arguments: [0, 3, 6])
        func vendors(first: Int) throws {
            let faults = try Faults()
            let vendors = Array(Self.vendors[first..<first + 3])
            let names = ["hsm-1", "hsm-2", "hsm-3"]
            let lines = vendors.map { $0.faults + ["vendor bad-tag \($0.wrongTag)"] }
            try faults.set(Dictionary(uniqueKeysWithValues: zip(names, lines)))
            for (name, vendor) in zip(names, vendors) {
                let result = try Probe(faults).run(name)
                #expect(result.isSuccess, "\(result.errors)")
                let found = try Probe.Outcome.read(result)
                #expect(found.profile == vendor.profile)
                #expect(found.wrongTag == vendor.wrongTag)
            }

            let configuration = try ServeConfiguration(with: faults)
            let op = Operator(configuration)
            let node = try Node.serve(configuration)
            try op.proven()
            let client = try XKSClient(node)
            let sealed = try names.map { try node.encrypt(on: $0, client) }
            for name in names {
                for other in names where other != name { try op.done("hsm", "drain", other) }
                try op.done("hsm", "undrain", name)
                for one in sealed { #expect(try client.decrypted(one) == [1, 2, 3]) }
                var forged = sealed[0]
                forged.authenticationTag = base64(randomBytes(16))
                #expect(try client.decrypt(forged).refusal == "400 InvalidCiphertextException")
            }
            #expect(try node.health().hsms.allSatisfy { $0.state == "active" })
            #expect(try node.stop() == .exited(0))
        }
    }
}

/// `claviger hsm probe` on the tokens of the suite.
private struct Probe {
    struct Outcome: Decodable {
        var profile: String?
        var wrongTag: String?

        static func read(_ result: CommandResult) throws -> Outcome {
            try JSONDecoder().decode(Outcome.self, from: Data(result.output.utf8))
        }
    }

    let faults: Faults

    init(_ faults: Faults) { self.faults = faults }

    func run(_ hsm: String, json: Bool = true) throws -> CommandResult {
        let origin = try sharedNode()
        return try ClavigerBinary.run(
            [
                "hsm", "probe", Faults.library, "--token", "claviger-dev-\(hsm)", "--pin-file",
                "\(origin.state)/\(hsm)/pin",
            ]
                + (json ? ["--json"] : []),
            environment: faults.environment(hsm, of: origin))
    }
}
