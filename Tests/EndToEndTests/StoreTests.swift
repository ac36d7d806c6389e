// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

// The database is never on the way of a request: whatever befalls it, the node serves, and says what is wrong.

extension EndToEnd {
    @Suite("the store", .devTokens(2))
    struct Store {
        private static let hsms = ["hsm-1", "hsm-2"]
        private let faults: Faults

        init() throws { faults = try Faults() }

        private func serve(_ configuration: ServeConfiguration) throws -> Node {
            try Node.serve(configuration, activeHSMs: 2)
        }

        /// The store fails, and /health and status say so, while requests are served.
        private func expectFailing(_ node: Node, _ op: Operator?, _ load: Load, reason: String) throws {
            let store: NodeHealth.Store = try eventually("/health says that the store fails", within: 15, every: 0.05) {
                let health = try node.health()
                return health.store.state == "failing" ? health.store : nil
            }
            #expect(store.reason?.contains(reason) == true, "\(store.reason ?? "no reason")")
            #expect(try node.health().verdict == "DEGRADED")
            #expect(try node.control("/readyz").status == 200)
            if let op {
                let status = try op.status()
                #expect(status.store.state == "failing")
                #expect(try op.call("status").output.contains("[store-failing]"))
            }
            _ = try node.logEntry("the store fails") {
                $0.message == "condition began" && $0["code"] == "store-failing"
            }
            try load.more(50)
        }

        private func expectRecovered(_ node: Node, _ op: Operator, _ load: Load) throws {
            try eventually("/health says that the store works", within: 20, every: 0.05) {
                try node.health().store.state == "ok"
            }
            _ = try node.logEntry("the store works", within: 30) {
                $0.message == "condition ended" && $0["code"] == "store-failing"
            }
            #expect(try op.status().store.state == "ok")
            try load.more(50)
        }

        /// Ends node and load; the next node finds the canaries of this one.
        private func expectKept(_ node: Node, _ load: Load, _ configuration: ServeConfiguration) throws {
            let report = try load.stop()
            #expect(report.failures.isEmpty, "\(report.failures.prefix(5))")
            #expect(try node.stop() == .exited(0))
            try expectCanaries(configuration, report)
        }

        private func expectCanaries(_ configuration: ServeConfiguration, _ report: LoadReport) throws {
            var configuration = configuration
            try configuration.chooseAddresses()
            let node = try serve(configuration)
            let op = Operator(configuration)
            try op.proven(on: Self.hsms)
            for key in ["foo", "bar"] {
                #expect(!node.log.contains { $0.message == "key canary made" && $0["key"] == key })
            }
            #expect(try report.lost(on: node) == 0)
            #expect(try node.stop() == .exited(0))
        }

        @Test("a database that is deleted while the node runs is made anew, with all that was in it")
        func deleted() throws {
            let configuration = try ServeConfiguration(with: faults)
            let op = Operator(configuration)
            let node = try serve(configuration)
            try op.proven(on: Self.hsms)
            let load = Load(node, connections: 4)
            try load.more(50)
            for suffix in ["", "-wal", "-shm"] { unlink(configuration.database + suffix) }
            try eventually("there is a database again") {
                FileManager.default.fileExists(atPath: configuration.database)
            }
            try load.more(50)
            #expect(try op.status().store.state == "ok")
            try expectKept(node, load, configuration)
        }

        @Test("a file that is no database is set aside")
        func garbage() throws {
            let configuration = try ServeConfiguration(with: faults)
            try FileManager.default.createDirectory(
                atPath: configuration.stateDirectory, withIntermediateDirectories: true)
            let garbage = Data(randomBytes(20_000))
            try garbage.write(to: URL(fileURLWithPath: configuration.database))
            let op = Operator(configuration)
            let node = try serve(configuration)
            try op.proven(on: Self.hsms)
            #expect(try node.health().store.state == "ok")
            let names = try FileManager.default.contentsOfDirectory(atPath: configuration.stateDirectory)
            let aside = try #require(names.first { $0.hasPrefix("claviger.sqlite.corrupt-") })
            #expect(try Data(contentsOf: URL(fileURLWithPath: "\(configuration.stateDirectory)/\(aside)")) == garbage)
            // Whoever was blocked may have stood in what is lost: nothing is served on a guess.
            #expect(try XKSClient(node).encrypt([1]).refusal == "400 InvalidStateException")
            try op.done("unblock", "--confirm-unknown")
            let load = Load(node, connections: 4)
            try load.more(50)
            try expectKept(node, load, configuration)
        }

        @Test("a database that another process has locked")
        func locked() throws {
            let configuration = try ServeConfiguration(with: faults)
            let op = Operator(configuration)
            let node = try serve(configuration)
            try op.proven(on: Self.hsms)
            let load = Load(node, connections: 4)
            try load.more(50)
            let held = try HeldDatabase(configuration.database)
            try expectFailing(node, op, load, reason: "locked")
            try held.release()
            try expectRecovered(node, op, load)
            try expectKept(node, load, configuration)
        }

        @Test("a state directory that is gone, with a file in its place")
        func noDirectory() throws {
            let configuration = try ServeConfiguration(with: faults)
            let op = Operator(configuration)
            let node = try serve(configuration)
            try op.proven(on: Self.hsms)
            let load = Load(node, connections: 4)
            try load.more(50)
            let directory = configuration.stateDirectory
            #expect(rename(directory, directory + ".away") == 0)
            try Data("in the way".utf8).write(to: URL(fileURLWithPath: directory))
            // The admin socket is away, too.
            try expectFailing(node, nil, load, reason: directory)
            #expect(unlink(directory) == 0)
            #expect(rename(directory + ".away", directory) == 0)
            try expectRecovered(node, op, load)
            try expectKept(node, load, configuration)
        }

        @Test("a disk that is full", .enabled("mounting a file system needs privileges") { TinyDisk.isPossible })
        func full() throws {
            let disk = try TinyDisk()
            var configuration = try ServeConfiguration(with: faults)
            configuration.stateDirectory = disk.path + "/node"
            let op = Operator(configuration)
            let node = try serve(configuration)
            try op.proven(on: Self.hsms)
            let load = Load(node, connections: 4)
            try load.more(50)
            // What is written again and again finds room for some time in a log that is there already: the disk is
            // filled until it does not.
            try eventually("the store fails", within: 60, every: 0.2) {
                try disk.fill()
                return try node.health().store.state == "failing"
            }
            try expectFailing(node, op, load, reason: "full")
            disk.makeRoom()
            try expectRecovered(node, op, load)
            try expectKept(node, load, configuration)
        }

        @Test("a node that is killed 20 times in the midst of its work finds its canaries each time")
        func killed() throws {
            var configuration = try ServeConfiguration(with: faults)
            let op = Operator(configuration)
            var kept = LoadReport()
            for round in 0..<20 {
                try configuration.chooseAddresses()
                let node = try serve(configuration)
                #expect(try node.health().store.state == "ok")
                if round == 0 {
                    try op.proven(on: Self.hsms)
                    try op.proven("bar", on: Self.hsms)
                    try op.done("hsm", "drain", "hsm-1")
                    try op.done("hsm", "undrain", "hsm-1")
                } else {
                    #expect(!node.log.contains { $0.message == "key canary made" && $0["key"] == "foo" })
                }
                let load = Load(node, connections: 4)
                try load.more(Int.random(in: 1...60))
                node.process.kill(SIGKILL)
                #expect(try node.process.end(within: 5) == .killed(signal: SIGKILL))
                kept.made += try load.stop().made.suffix(5)
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: configuration.stateDirectory)
            #expect(!names.contains { $0.contains("corrupt") })
            try expectCanaries(configuration, kept)
        }
    }
}
