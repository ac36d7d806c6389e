// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What `claviger status --json` prints.
struct StatusReport: Decodable {
    struct HSM: Decodable {
        struct Lanes: Decodable {
            var open: Int
        }

        struct Compartment: Decodable, Equatable {
            var mode: String
            var files: Bool
            var signals: Bool
            var calls: Bool
            var privileges: Bool
            var missing: [String]
        }

        var name: String
        var state: String
        var reason: String?
        var drained: Bool
        var serial: String?
        var lanes: Lanes
        var compartment: Compartment?
    }

    struct Key: Decodable {
        var label: String
        var canaryBy: String?
        var disputed: String?
        var cells: [String: String]
    }

    struct Transition: Decodable {
        var hsm: String
        var from: String
        var to: String
    }

    struct Store: Decodable {
        var state: String
        var reason: String?
    }

    var node: String
    var running: Bool
    var verdict: String
    var hsms: [HSM]
    var keys: [Key]
    var store: Store
    var transitions: [Transition]
    /// Earlier versions do not report them.
    var conditions: [ClusterReport.Condition]?

    func hsm(_ name: String) -> HSM? { hsms.first { $0.name == name } }
    func key(_ label: String) -> Key? { keys.first { $0.label == label } }
}

/// Who works on the node with this configuration, by the commands of the program.
struct Operator {
    let configuration: String

    init(_ configuration: ServeConfiguration) { self.configuration = configuration.scratch.file("claviger.toml") }

    func call(_ arguments: String...) throws -> CommandResult {
        try ClavigerBinary.run(arguments + ["--config", configuration])
    }

    /// As `call`, for what must be done.
    @discardableResult
    func done(_ arguments: String...) throws -> String {
        let result = try ClavigerBinary.run(arguments + ["--config", configuration])
        guard result.isSuccess else { throw HarnessError("\(arguments): \(result.end): \(result.errors)") }
        return result.output
    }

    func status() throws -> StatusReport {
        let result = try call("status", "--json")
        guard let report = try? JSONDecoder().decode(StatusReport.self, from: Data(result.output.utf8)) else {
            throw HarnessError("no status: \(result.end): \(result.output) \(result.errors)")
        }
        return report
    }

    /// Waits until the matrix key × HSM has this in it.
    func verdict(_ verdict: String, of key: String, on hsm: String, within seconds: Double = 15) throws {
        try eventually("\(key) on \(hsm) is \(verdict)", within: seconds, every: 0.1) {
            try status().key(key)?.cells[hsm] == verdict
        }
    }

    /// Waits until every HSM that can prove it holds the same key.
    func proven(_ key: String = "foo", on hsms: [String] = ["hsm-1", "hsm-2", "hsm-3"]) throws {
        for hsm in hsms { try verdict("proven", of: key, on: hsm) }
    }
}

extension LoadReport {
    /// How many of the ciphertexts do not open now with what was encrypted.
    func lost(on node: Node) throws -> Int {
        let client = try XKSClient(node)
        return try made.count { try client.decrypted($0.encrypted, aad: $0.aad) != $0.plaintext }
    }
}

extension Node {
    /// Encrypts until this HSM has done it; fails when a request does.
    func encrypt(
        on hsm: String, key: String = "foo", _ client: XKSClient, plaintext: [UInt8] = [1, 2, 3]
    ) throws -> Encrypted {
        // An HSM that is just back gets its share only after ten seconds, and next to nothing while others idle.
        let patience = ContinuousClock.now + .seconds(25)
        while ContinuousClock.now < patience {
            let identifier = UUID().uuidString
            let encrypted: Encrypted = try client.encrypt(plaintext, key: key, requestID: identifier).decoded()
            // Under load the log is long, and reading all of it as JSON takes a while.
            let line = try process.errorLine("the request") { $0.contains(identifier) ? $0 : nil }
            if LogEntry(line)?["hsm"] == hsm { return encrypted }
        }
        throw HarnessError("\(hsm) encrypts nothing under \(key)")
    }
}
