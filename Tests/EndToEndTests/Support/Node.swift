// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import SecureMemory
import SigV4

/// The first line that `claviger dev --json` writes.
struct NodeFacts: Decodable, Sendable {
    var url: String
    var prefix: String
    var access_key_id: String
    var secret: String
    var ca: String
    var client_certificate: String
    var client_key: String
    var keys: [String]
    var worker_pids: [Int32]
    var state_directory: String
    var control_url: String
}

/// A running node: `claviger dev` or `claviger serve`. It ends with the value at the latest.
final class Node: Sendable {
    /// The node of the suite that is running (`SuiteTrait.devNode`).
    @TaskLocal static var shared: Node?

    let process: ChildProcess
    let facts: NodeFacts
    /// Directories that must be there as long as the node.
    private let directories: [Scratch]

    var pid: Int32 { process.pid }
    var state: String { facts.state_directory }

    private init(process: ChildProcess, facts: NodeFacts, directories: [Scratch]) {
        self.process = process
        self.facts = facts
        self.directories = directories
    }

    /// Starts a development node, and returns when it is ready.
    ///
    /// - Parameter state: its state directory; by default one that goes away with the node.
    static func dev(_ options: [String] = [], state: String? = nil) throws -> Node {
        let scratch = try Scratch()
        let directory = state ?? scratch.file("state")
        let process = try ChildProcess(
            [ClavigerBinary.path, "dev", "--json", "--listen", "127.0.0.1:0", "--state", directory] + options)
        let first = try process.outputLines(1, within: 60)[0]
        let facts = try JSONDecoder().decode(NodeFacts.self, from: Data(first.utf8))
        guard try process.outputLines(2, within: 60)[1] == "ready" else {
            throw HarnessError("the second line is not 'ready'")
        }
        return Node(process: process, facts: facts, directories: [scratch])
    }

    /// Starts `claviger serve`, and returns when so many HSMs are active (`nil`: when it listens). `facts` are those of the development node that
    /// the configuration comes from, with other addresses.
    ///
    /// - Parameters:
    ///   - environment: added to this process's own.
    ///   - limit: a line of the shell that comes before, for example `ulimit -n 256`.
    static func serve(
        _ configuration: ServeConfiguration, activeHSMs: Int? = 3, binary: String = ClavigerBinary.path,
        environment: [String: String] = [:], limit: String? = nil
    ) throws -> Node {
        var configuration = configuration
        for _ in 0..<3 {
            let command = [binary, "serve", "--config", try configuration.write()]
            let process = try ChildProcess(
                limit.map { ["/bin/sh", "-c", "\($0); exec \"$@\"", "sh"] + command } ?? command,
                environment: environment)
            let node = Node(
                process: process, facts: configuration.facts,
                directories: configuration.origin.directories + [configuration.scratch])
            do {
                try eventually(activeHSMs.map { "\($0) HSMs are active" } ?? "it listens", within: 60) {
                    // Refused as long as it does not listen.
                    let active = (try? node.health())?.active.count
                    return !process.isRunning || active != nil && (activeHSMs == nil || active == activeHSMs)
                }
            } catch {
                throw HarnessError(
                    "\(error); the node's last lines:\n" + process.errorLines.suffix(8).joined(separator: "\n"))
            }
            if process.isRunning { return node }
            guard try process.end(within: 1) == .exited(3) else {
                throw HarnessError("the node ended: \(process.errors)")
            }
            // Somebody has taken a port between its choice and its use.
            try configuration.chooseAddresses()
        }
        throw HarnessError("the node cannot listen")
    }

    /// Ends the node as a supervisor does. Does nothing when it has ended.
    @discardableResult
    func stop() throws -> ProcessEnd {
        process.kill(SIGTERM)
        return try process.end(within: 30)
    }

    // MARK: What the node says of itself

    /// The workers by the name of their HSM.
    var workers: [String: Int32] { Processes.workers(of: pid) }

    /// One path of the control listener.
    func control(_ path: String) throws -> HTTPReply {
        let connection = try HTTPConnection(url: facts.control_url)
        return try connection.send("GET", path, headers: [("Host", connection.host)], body: [])
    }

    func health() throws -> NodeHealth {
        try JSONDecoder().decode(NodeHealth.self, from: Data(try control("/health").body))
    }

    /// The log's lines so far, those aside that are no JSON objects.
    var log: [LogEntry] { process.errorLines.compactMap(LogEntry.init) }

    /// Waits for a line of the log.
    func logEntry(
        _ what: String, within seconds: Double = 15, where matches: @escaping (LogEntry) -> Bool
    ) throws -> LogEntry {
        try process.errorLine(what, within: seconds) { line in
            LogEntry(line).flatMap { matches($0) ? $0 : nil }
        }
    }

    func credential() throws -> Credential {
        try Credential(accessKeyID: facts.access_key_id, secret: SecretBytes(facts.secret.utf8))
    }
}

/// `/health` of the control listener.
struct NodeHealth: Decodable {
    struct HSM: Decodable {
        var name: String
        var state: String
        var reason: String?
        var lanes: Lanes
    }

    struct Store: Decodable {
        var state: String
        var reason: String?
    }

    struct Lanes: Decodable {
        var open: Int
        var inUse: Int
        var overdue: Int
        var queued: Int
    }

    var ready: Bool
    var verdict: String
    var hsms: [HSM]
    var store: Store
    var keysExcluded: Int

    /// Names of the HSMs that are active.
    var active: [String] { hsms.filter { $0.state == "active" }.map(\.name) }

    func hsm(_ name: String) -> HSM? { hsms.first { $0.name == name } }
}

/// One line of the log, which is a JSON object whose values are texts and numbers.
struct LogEntry {
    let line: String
    private let fields: [String: Any]

    init?(_ line: String) {
        guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)),
            let fields = object as? [String: Any]
        else { return nil }
        self.line = line
        self.fields = fields
    }

    var names: Set<String> { Set(fields.keys) }
    var message: String { self["message"] ?? "" }

    subscript(name: String) -> String? { fields[name] as? String }
    subscript(number name: String) -> Int? { fields[name] as? Int }
}
