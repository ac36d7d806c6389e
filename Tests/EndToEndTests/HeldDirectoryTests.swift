// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

// A store that cannot be opened when a node starts: what it holds is read all the same, and adopted when it can be.

extension EndToEnd {
    @Suite("a store that cannot be opened at the start", .devTokens(1))
    struct ClosedStore {
        private static let blocked = "400 InvalidStateException"

        private func answer(_ node: Node, key: String) throws -> String {
            let reply = try XKSClient(node).encrypt([1], key: key)
            return reply.status == 200 ? "200" : reply.refusal
        }

        /// A node of this directory has run, and `bar` is blocked.
        private func configuration(_ directory: String) throws -> ServeConfiguration {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = directory
            let node = try Node.serve(configuration, activeHSMs: 1)
            try Operator(configuration).done("block", "--key", "bar", "--reason", "drill")
            #expect(try node.stop() == .exited(0))
            try configuration.chooseAddresses()
            return configuration
        }

        private func expectWhole(_ node: Node, _ configuration: ServeConfiguration) throws {
            try eventually("the store works", within: 20) { try node.health().store.state == "ok" }
            try eventually("what is not blocked is served") { try answer(node, key: "foo") == "200" }
            #expect(try answer(node, key: "bar") == Self.blocked)
            #expect(try node.stop() == .exited(0))
        }

        /// A node of 16631be refused everything for good, or, where somebody had vouched, served `bar`, though its block was
        /// on the disk.
        @Test(
            "the state directory is held while the node starts, then let go, whether somebody has vouched or not",
            arguments: [false, true])
        func held(isVouchedFor: Bool) throws {
            let scratch = try Scratch()
            let configuration = try configuration(scratch.file("node"))
            let holder = open(configuration.stateDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            defer { close(holder) }
            try #require(flock(holder, LOCK_EX) == 0)
            let node = try Node.serve(configuration, activeHSMs: 1)
            if isVouchedFor { _ = try Operator(configuration).call("unblock", "--confirm-unknown") }
            try #require(flock(holder, LOCK_UN) == 0)
            try expectWhole(node, configuration)
        }

        /// A node of 16631be refused everything, as if it had lost the list.
        @Test(
            "the disk is full, or cannot be written, while the node starts: it serves, and what is blocked stays so",
            .enabled("mounting a file system needs privileges") { TinyDisk.isPossible }, arguments: [false, true])
        func disk(isReadOnly: Bool) throws {
            let disk = try TinyDisk()
            let configuration = try configuration(disk.path + "/node")
            if isReadOnly { try disk.set(readOnly: true) } else { try disk.fill() }
            let node = try Node.serve(configuration, activeHSMs: 1)
            try eventually("what is not blocked is served") { try answer(node, key: "foo") == "200" }
            #expect(try answer(node, key: "bar") == Self.blocked)
            let reason = try #require(try node.health().store.reason)
            #expect(reason.contains(isReadOnly ? "read-only" : "full"), "\(reason)")
            if isReadOnly { try disk.set(readOnly: false) } else { disk.makeRoom() }
            try expectWhole(node, configuration)
        }

        /// A node of 16631be refused everything: it "has lost" a list that it never had.
        @Test(
            "a new node on a full disk has not lost a list",
            .enabled("mounting a file system needs privileges") { TinyDisk.isPossible })
        func newOnFullDisk() throws {
            let disk = try TinyDisk()
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = disk.path + "/node"
            try FileManager.default.createDirectory(
                atPath: configuration.stateDirectory, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            try disk.fill()
            let node = try Node.serve(configuration, activeHSMs: 1)
            try eventually("it serves") { try answer(node, key: "foo") == "200" }
            #expect(try node.health().store.reason?.contains("full") == true)
            #expect(try node.stop() == .exited(0))
        }
    }
}
