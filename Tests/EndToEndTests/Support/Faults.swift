// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What the fault-injecting PKCS#11 library does to the tokens of a node (TestSupport/FaultyPKCS11/README.md).
final class Faults: Sendable {
    /// The library, which the build puts beside the program.
    static let library = URL(fileURLWithPath: ClavigerBinary.path).deletingLastPathComponent()
        .appendingPathComponent("libFaultyPKCS11.so").path

    private static let hsms = ["hsm-1", "hsm-2", "hsm-3"]
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// Takes the place of all that was said before, and holds from the next call of each worker on.
    ///
    /// - Parameter faults: lines of the control file by HSM (`hsm-1`, …). Each HSM has a file of its own, because some
    ///   lines mean the whole library.
    func set(_ faults: [String: [String]]) throws {
        for hsm in Self.hsms {
            let lines = ["[claviger-dev-\(hsm)]"] + faults[hsm, default: []]
            try scratch.write(lines.joined(separator: "\n") + "\n", to: "control.new")
            guard rename(scratch.file("control.new"), scratch.file(hsm)) == 0 else {
                throw HarnessError("cannot replace the control file of \(hsm)")
            }
        }
    }

    /// Where the control files are.
    var directory: String { scratch.path }

    func clear() throws { try set([:]) }

    /// What the environment of a process must hold that loads the library for this HSM of a development node.
    func environment(_ hsm: String, of origin: Node) -> [String: String] {
        [
            "SOFTHSM2_CONF": "\(origin.state)/\(hsm)/softhsm2.conf", "FAULTY_PKCS11_MODULE": softHSMLibrary,
            "FAULTY_PKCS11_CONTROL": scratch.file(hsm), "FAULTY_PKCS11_INTERVAL": "0",
        ]
    }
}

extension ServeConfiguration {
    /// A node over the tokens of this suite (`.devTokens`), with the fault-injecting library before them and a state
    /// directory of its own. Requests have as much time as a debug build may need on a machine that others use as well.
    init(with faults: Faults) throws {
        try self.init(from: try sharedNode())
        set("request_deadline", "\"5s\"", in: "[xks]")
        setInAll("[[hsm]]", "catalogue_interval", "\"1s\"")
        setInAll("[[hsm]]", "probe_interval", "\"500ms\"")
        // A development node has one lane for each HSM, with several requests on it; HSMs in the field have several.
        setInAll("[[hsm]]", "sessions", "4")
        setInAll("[[hsm]]", "depth", "1")
        // More than one, whatever this machine has: a request's lane may be another loop's.
        set("event_loops", "2", in: "[node]")
        load(faults)
        stateDirectory = scratch.file("node")
    }

    /// Puts the fault-injecting library before the tokens.
    mutating func load(_ faults: Faults) {
        setInAll("[[hsm]]", "module", "\"\(Faults.library)\"")
        for number in lines.indices.filter({ lines[$0] == "[[hsm]]" }).indices {
            let values = faults.environment("hsm-\(number + 1)", of: origin).sorted { $0.key < $1.key }
            set(
                "env", "{ " + values.map { "\($0) = \"\($1)\"" }.joined(separator: ", ") + " }", in: "[[hsm]]",
                number: number)
        }
    }

    /// What the node remembers is kept here.
    var stateDirectory: String {
        get {
            let line = lines.first { $0.hasPrefix("state_dir = ") } ?? ""
            return line.dropFirst("state_dir = ".count).trimmingCharacters(in: ["\""])
        }
        set { set("state_dir", "\"\(newValue)\"", in: "[node]") }
    }

    var database: String { stateDirectory + "/claviger.sqlite" }
}

/// Tokens of a development node that has ended, for the nodes that the tests of a suite start; `sharedNode()` has made
/// them.
struct DevTokensTrait: SuiteTrait, TestScoping {
    let count: Int

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let node = try Node.dev(["--plaintext", "--hsms", "\(count)"])
        try node.stop()
        try await Node.$shared.withValue(node) { try await function() }
    }
}

extension SuiteTrait where Self == DevTokensTrait {
    static func devTokens(_ count: Int) -> Self { DevTokensTrait(count: count) }
}
