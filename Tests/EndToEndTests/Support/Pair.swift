// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Foundation
import Glibc

/// Two nodes of `claviger serve` on this host that are one cluster, each with a configuration and a state directory of its
/// own: other tokens than the other's, or the same ones.
final class Pair {
    static let names = ["node-1", "node-2"]
    private let scratch: Scratch
    private(set) var configurations: [ServeConfiguration]
    private(set) var nodes: [Node] = []

    /// Makes CA and certificates by the program's own commands, and starts both in the same moment.
    ///
    /// - Parameters:
    ///   - configurations: one for each node, without `[cluster]`.
    ///   - hsms: how many HSMs each node has.
    ///   - alone: what each node does before it is one of two, with the state directory that it keeps.
    init(
        _ configurations: [ServeConfiguration], hsms: Int, alone: (ServeConfiguration) throws -> Void = { _ in }
    ) throws {
        scratch = try Scratch()
        self.configurations = configurations
        let ca = scratch.file("ca")
        try Self.call("cluster", "new-ca", ca)
        let addresses = try Self.names.map { _ in "127.0.0.1:\(try ServeConfiguration.freePort())" }
        for (index, name) in Self.names.enumerated() {
            try Self.call("cluster", "issue", name, "--ca", ca, "--host", "127.0.0.1", "--out", scratch.path)
            self.configurations[index].set("id", "\"\(name)\"", in: "[node]")
            self.configurations[index].set("drain_delay", "\"0s\"", in: "[node]")
            self.configurations[index].stateDirectory = scratch.file("state-" + name)
            self.configurations[index].set("request_deadline", "\"2s\"", in: "[xks]")
            try alone(self.configurations[index])
            self.configurations[index].append(
                """
                [cluster]
                listen = "\(addresses[index])"
                advertise = "\(addresses[index])"
                seeds = [\(addresses.map { "\"\($0)\"" }.joined(separator: ", "))]
                ca = "\(ca)/ca.pem"
                certificate = "\(scratch.file(name + ".pem"))"
                key = "\(scratch.file(name + "-key.pem"))"
                """)
        }
        nodes = try Self.started(self.configurations, hsms: hsms)
        // Versions that do not know the order do not wait for it.
        _ = try op("node-1").call("cluster", "bootstrap")
        try eventually("the nodes see each other", within: 20, every: 0.05) {
            try Self.names.allSatisfy { one in
                try Self.names.allSatisfy { try report(one).liveness(of: $0) == "alive" }
            }
        }
    }

    deinit { for node in nodes { node.process.kill(SIGKILL) } }

    func node(_ name: String) -> Node { nodes[index(name)] }
    func op(_ name: String) -> Operator { Operator(configurations[index(name)]) }

    /// What shows peers that they speak with a node, and the cluster's CA with its key.
    func identity(_ name: String) -> (certificate: String, key: String, ca: (certificate: String, key: String)) {
        (
            scratch.file(name + ".pem"), scratch.file(name + "-key.pem"),
            (scratch.file("ca/ca.pem"), scratch.file("ca/ca-key.pem"))
        )
    }

    func report(_ name: String) throws -> ClusterReport {
        try JSONDecoder().decode(ClusterReport.self, from: Data(try node(name).control("/cluster/health").body))
    }

    /// Starts a node again that has ended.
    func restart(_ name: String, hsms: Int) throws {
        nodes[index(name)] = try Node.serve(configurations[index(name)], activeHSMs: hsms)
    }

    func stop() throws { for node in nodes { try node.stop() } }

    private func index(_ name: String) -> Int { Self.names.firstIndex(of: name) ?? 0 }

    private static func started(_ configurations: [ServeConfiguration], hsms: Int) throws -> [Node] {
        let results = Observed<[Result<Node, any Error>?]>(Array(repeating: nil, count: configurations.count))
        DispatchQueue.concurrentPerform(iterations: configurations.count) { index in
            let result = Result { try Node.serve(configurations[index], activeHSMs: hsms) }
            results.update { $0[index] = result }
        }
        return try results.read { $0 }.compactMap { try $0?.get() }
    }

    private static func call(_ arguments: String...) throws {
        let result = try ClavigerBinary.run(arguments)
        guard result.isSuccess else { throw HarnessError("\(arguments): \(result.errors)") }
    }
}
