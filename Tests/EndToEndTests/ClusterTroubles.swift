// SPDX-License-Identifier: Apache-2.0
import Conditions
import Foundation
import Glibc
import Testing

/// What nodes see of each other. Three nodes, one of them far away, and a fourth whose certificate node-1 refuses: it knows
/// of that from the others alone.
struct ClusterTroubles {
    private let trio: Trio
    private let scratch: Scratch
    private let stranger: Node
    /// What was so before anybody had said that nothing is blocked.
    private let first: [Trouble]
    private static let mostTold = ["node-1", "node-3"]

    init() throws {
        let files = try Scratch()
        var serial = ""
        trio = try Trio(from: try sharedNode(), hsms: 1, isBegun: false) { name, configuration in
            for _ in 1...2 { configuration.removeTable("[[hsm]]", number: 1) }
            switch name {
            case "node-1":
                serial = try Self.issue("node-4", configuration, files)
                configuration.set("refused", "[\"\(serial)\"]", in: "[cluster]")
            case "node-2": configuration.set("drain_delay", "\"4s\"", in: "[node]")
            default: configuration.set("site", "\"far\"", in: "[node]")
            }
        }
        scratch = files
        var troubles = [Trouble(.blocksUnknown, of: "node-1", by: ["node-3"])]
        for name in Self.mostTold {
            troubles += [Trouble(.noNodeServes, by: [name]), Trouble(.refusedCertificatesDiffer, by: [name])]
        }
        for trouble in troubles { try trio.begins(trouble) }
        first = troubles
        try trio.begin()
        stranger = try Self.serve("node-4", beside: trio, files)
    }

    /// Makes a certificate with the cluster's CA; returns its serial number.
    private static func issue(_ name: String, _ configuration: ServeConfiguration, _ files: Scratch) throws -> String {
        let line = configuration.lines.last { $0.hasPrefix("ca = ") } ?? ""
        let ca = URL(fileURLWithPath: line.dropFirst("ca = ".count).trimmingCharacters(in: ["\""]))
        let issued = try ClavigerBinary.run([
            "cluster", "issue", name, "--ca", ca.deletingLastPathComponent().path, "--host", "127.0.0.1", "--out",
            files.path,
        ])
        let serial = try ClavigerBinary.run(["cluster", "serial", files.file(name + ".pem")])
        guard issued.isSuccess, let first = serial.output.split(separator: "\n").first else {
            throw HarnessError("no certificate: \(issued) \(serial)")
        }
        return String(first)
    }

    private static func serve(_ name: String, beside trio: Trio, _ files: Scratch) throws -> Node {
        var configuration = try ServeConfiguration(from: try sharedNode())
        configuration.replaceLines(trio.configuration("node-2").lines)
        try configuration.chooseAddresses()
        configuration.set("id", "\"\(name)\"", in: "[node]")
        configuration.set("site", "\"far\"", in: "[node]")
        configuration.stateDirectory = files.file("state")
        let address = try ServeConfiguration.freeAddress()
        for setting in ["listen", "advertise"] { configuration.set(setting, "\"\(address)\"", in: "[cluster]") }
        configuration.set("certificate", "\"\(files.file(name + ".pem"))\"", in: "[cluster]")
        configuration.set("key", "\"\(files.file(name + "-key.pem"))\"", in: "[cluster]")
        return try Node.serve(configuration, activeHSMs: 1)
    }

    func run() throws {
        let troubles = try first + refused() + ending() + silent()
        try trio.end(troubles)
    }

    /// What node-1 hears of the fourth for half a minute, it says. The two others, which vouch for the fourth, must not be
    /// disturbed meanwhile.
    private func refused() throws -> [Trouble] {
        defer { stranger.process.kill(SIGKILL) }
        let unconfirmed = Trouble(.nodeUnconfirmed, by: ["node-1"])
        try trio.begins(unconfirmed, within: 60)
        try trio.edit("node-1") { $0.remove("refused", in: "[cluster]") }
        try trio.op("node-1").done("reload")
        try eventually("node-1 knows the fourth") { try trio.report("node-1").liveness(of: "node-4") == "alive" }
        #expect(try stranger.stop() == .exited(0))
        return [unconfirmed]
    }

    /// node-2 ends, and comes back where nobody reaches it, as behind a firewall; then where it was.
    private func ending() throws -> [Trouble] {
        trio.node("node-2").process.kill(SIGTERM)
        let endings = Self.mostTold.map { Trouble(.nodeEnding, by: [$0]) }
        for trouble in endings { try trio.begins(trouble) }
        #expect(try trio.node("node-2").process.end(within: 30) == .exited(0))
        let own = try trio.clusterAddress("node-2")
        try trio.edit("node-2") { $0.set("drain_delay", "\"0s\"", in: "[node]") }
        try listen("node-2", at: ["listen", "advertise"].map { ($0, try ServeConfiguration.freeAddress()) })
        // Also who cannot reach it says so, and not its peers alone.
        let unreachable = Trouble(.nodeUnreachable, of: "node-1", "node node-2", by: Self.mostTold)
        try trio.begins(unreachable, within: 40)
        #expect(try trio.node("node-2").stop() == .exited(0))
        try listen("node-2", at: [("listen", own), ("advertise", own)])
        try trio.together()
        return endings + [unreachable]
    }

    private func listen(_ name: String, at addresses: [(setting: String, address: String)]) throws {
        try trio.edit(name) { configuration in
            for (setting, address) in addresses { configuration.set(setting, "\"\(address)\"", in: "[cluster]") }
        }
        try trio.restart(name)
    }

    /// node-3 stands still, and is given up; somebody with its certificate speaks for it, as one of a later version; and it
    /// goes on.
    private func silent() throws -> [Trouble] {
        let others = ["node-1", "node-2"]
        let thief = try Thief(of: "node-3", in: trio)
        let node = trio.node("node-3")
        try Processes.stop(node.pid)
        defer { Processes.resume(node.pid) }
        let order = try trio.op("node-1").call("block", "--key", "nobody", "--reason", "test", "--timeout", "1s")
        #expect(order.end == .exited(6), "\(order)")
        var troubles = others.map { Trouble(.blocksDiffer, by: [$0]) }
        troubles += [
            Trouble(.nodeSuspect, of: "node-3", by: others), Trouble(.nodeDead, of: "node-3", by: others),
        ]
        troubles += others.map { Trouble(.blocksInForce, by: [$0]) }
        for trouble in troubles {
            let isBrief = trouble.code == .blocksDiffer || trouble.code == .nodeSuspect
            try trio.begins(trouble, isBrief: isBrief, within: 40)
        }
        try trio.op("node-1").done("cluster", "forget", "node-3")
        let forgotten = Trouble(.nodeForgotten, of: "node-3", by: others)
        try trio.begins(forgotten)
        for name in others { try thief.gossip(to: name, updates: []) }
        let versions = others.map { Trouble(.versionsDiffer, by: [$0]) }
        for trouble in versions { try trio.begins(trouble, isBrief: true) }
        Processes.resume(node.pid)
        try trio.together()
        // Whoever is just back may confirm it later.
        let unblock = try trio.op("node-1").call("unblock", "--key", "nobody")
        #expect([.exited(0), .exited(6)].contains(unblock.end), "\(unblock)")
        return troubles + [forgotten] + versions
    }
}
