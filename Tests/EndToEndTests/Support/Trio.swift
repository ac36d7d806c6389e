// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// `/cluster/health` of the control listener, as far as these tests look at it.
struct ClusterReport: Decodable {
    struct Member: Decodable {
        var name: String
        var liveness: String
        var incarnation: Int
        var draining: Bool
        var drift: [String]
        var hsms: [HSM]
        /// Empty but for those who ask at the admin socket; earlier versions do not report it.
        var unservedKeys: [String]?
    }

    struct HSM: Decodable {
        var state: String
    }

    struct Condition: Decodable {
        var code: String
        var node: String
        var subject: String
        var severity: String
        var text: String
        var sinceUnixSeconds: Int?
    }

    var node: String
    var verdict: String
    var reasons: [String]
    /// Earlier versions do not report them.
    var conditions: [Condition]?
    var nodes: [Member]

    func liveness(of name: String) -> String? { nodes.first { $0.name == name }?.liveness }
}

/// Three nodes of `claviger serve` on this host that are one cluster. Each has a state directory of its own; the tokens
/// are those of one development node, as if three sites reached the same HSMs.
final class Trio {
    static let names = ["node-1", "node-2", "node-3"]
    private let scratch: Scratch
    private(set) var configurations: [ServeConfiguration] = []
    private(set) var nodes: [Node] = []

    private let environments: [String: [String: String]]

    /// Makes CA and certificates by the program's own commands, and starts all three.
    ///
    /// - Parameters:
    ///   - environments: by the node's name, added to this process's own.
    ///   - isBegun: without it nobody has said yet that nothing is blocked, and each node refuses everything.
    ///   - change: what is particular to a node.
    init(
        from origin: Node, hsms: Int = 2, environments: [String: [String: String]] = [:], isBegun: Bool = true,
        change: (String, inout ServeConfiguration) throws -> Void = { _, _ in }
    ) throws {
        scratch = try Scratch()
        self.environments = environments
        let ca = scratch.file("ca")
        try Self.call("cluster", "new-ca", ca)
        var ports: Set<Int> = []
        while ports.count < 3 { ports.insert(try ServeConfiguration.freePort()) }
        let addresses = ports.sorted().map { "127.0.0.1:\($0)" }
        for (name, address) in zip(Self.names, addresses) {
            try Self.call("cluster", "issue", name, "--ca", ca, "--host", "127.0.0.1", "--out", scratch.path)
            var configuration = try ServeConfiguration(from: origin)
            configuration.set("id", "\"\(name)\"", in: "[node]")
            configuration.set("state_dir", "\"\(try stateDirectory(name))\"", in: "[node]")
            configuration.set("drain_delay", "\"0s\"", in: "[node]")
            configuration.set("request_deadline", "\"2s\"", in: "[xks]")
            configuration.append(
                """
                [cluster]
                listen = "\(address)"
                advertise = "\(address)"
                seeds = [\(addresses.map { "\"\($0)\"" }.joined(separator: ", "))]
                ca = "\(ca)/ca.pem"
                certificate = "\(scratch.file(name + ".pem"))"
                key = "\(scratch.file(name + "-key.pem"))"
                """)
            try change(name, &configuration)
            configurations.append(configuration)
        }
        self.hsms = hsms
        nodes = try zip(Self.names, configurations).map {
            try Node.serve($1, activeHSMs: hsms, environment: environments[$0, default: [:]])
        }
        if isBegun { try begin() }
    }

    /// Says that nothing is blocked, and waits until all three serve.
    func begin() throws {
        let begun = try op("node-1").call("cluster", "bootstrap")
        // A version that has no such order serves without it.
        guard begun.isSuccess || begun.end == .exited(64) else { throw HarnessError("bootstrap: \(begun)") }
        try together()
    }

    private var hsms = 0

    deinit { for node in nodes { node.process.kill(SIGKILL) } }

    func stateDirectory(_ name: String) throws -> String {
        let path = scratch.file("state-" + name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    func configuration(_ name: String) -> ServeConfiguration { configurations[index(name)] }
    func node(_ name: String) -> Node { nodes[index(name)] }
    func op(_ name: String) -> Operator { Operator(configurations[index(name)]) }

    private func index(_ name: String) -> Int { Self.names.firstIndex(of: name) ?? 0 }

    /// Changes a node's configuration file where it stands; the node has not read it yet.
    func edit(_ name: String, _ change: (inout ServeConfiguration) -> Void) throws {
        change(&configurations[index(name)])
        _ = try configurations[index(name)].write()
    }

    /// Starts a node that has ended, with the configuration and the state that it had.
    func restart(_ name: String, binary: String = ClavigerBinary.path) throws {
        nodes[index(name)] = try Node.serve(
            configurations[index(name)], activeHSMs: hsms, binary: binary,
            environment: environments[name, default: [:]])
    }

    /// Where its peers reach a node.
    func clusterAddress(_ name: String) throws -> String {
        let lines = configuration(name).lines
        guard let line = lines.last(where: { $0.hasPrefix("advertise = ") }) else { throw HarnessError("no address") }
        return String(line.dropFirst("advertise = ".count)).replacing("\"", with: "")
    }

    /// What shows peers that they speak with a node: its certificate, the key of that, and the cluster's CA.
    func identity(_ name: String) -> (certificate: String, key: String, ca: String) {
        (scratch.file(name + ".pem"), scratch.file(name + "-key.pem"), scratch.file("ca/ca.pem"))
    }

    func report(_ name: String) throws -> ClusterReport {
        try JSONDecoder().decode(ClusterReport.self, from: Data(try node(name).control("/cluster/health").body))
    }

    /// Waits until every node has learnt from all three that they live and serve all their keys.
    func together() throws {
        for name in Self.names {
            try eventually("\(name) sees three nodes that serve", within: 30, every: 0.05) {
                try Self.names.allSatisfy { try report(name).liveness(of: $0) == "alive" }
                    && ownReport(name).nodes.allSatisfy { node in
                        node.unservedKeys?.isEmpty != false && node.hsms.allSatisfy { $0.state == "active" }
                    }
            }
        }
    }

    /// What the operator of a node is shown, keys' labels included. The command's status is 1 where no node serves yet.
    private func ownReport(_ name: String) throws -> ClusterReport {
        let answer = try op(name).call("cluster", "status", "--json")
        return try JSONDecoder().decode(ClusterReport.self, from: Data(answer.output.utf8))
    }

    private static func call(_ arguments: String...) throws {
        let result = try ClavigerBinary.run(arguments)
        guard result.isSuccess else { throw HarnessError("\(arguments): \(result.errors)") }
    }
}
