// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("kms-play") struct KMSPlay {
        private struct Report: Decodable {
            struct Operation: Decodable {
                struct Failure: Decodable {
                    struct View: Decodable { var exception: String }

                    var view: View
                }

                var operation: String
                var calls: Int
                var failed: Int
                var failures: [Failure]
            }

            var operations: [Operation]
        }

        private func play(_ node: Node, url: String? = nil, _ options: [String]) throws -> (end: ProcessEnd, Report) {
            let process = try ChildProcess(
                [
                    ClavigerBinary.path, "kms-play", "--json", "--url", url ?? node.facts.url + node.facts.prefix,
                    "--key", "foo", "--credential-file", node.state + "/credential.json", "--ca", node.facts.ca,
                    "--seconds", "2",
                ] + options)
            let end = try process.end(within: 60)
            let line = try #require(process.output.split(separator: "\n").first, "\(process.errors)")
            return (end, try JSONDecoder().decode(Report.self, from: Data(line.utf8)))
        }

        /// A request may take a debug build long; what this looks at is that all five are asked for, and how they end.
        @Test("KMS's calls reach a node, and their ends are told") func wholeMix() throws {
            let node = try Node.dev()
            defer { _ = try? node.stop() }
            let (_, report) = try play(
                node, ["--rate", "20", "--mix", "generate-data-key=1,decrypt=1,re-encrypt=1,create-key=1"])
            #expect(
                report.operations.map(\.operation).sorted() == [
                    "create-key", "decrypt", "generate-data-key", "health-poll", "re-encrypt",
                ])
            #expect(report.operations.map(\.calls).reduce(0, +) == 41)
            #expect(report.operations.map(\.failed).reduce(0, +) < 41)
        }

        @Test("A blocked key fails in KMS's words") func blockedKey() throws {
            let node = try Node.dev()
            defer { _ = try? node.stop() }
            let block = try run([
                ClavigerBinary.path, "block", "--state-dir", node.state + "/node", "--key", "foo", "--reason", "a test",
            ])
            #expect(block.isSuccess, "\(block.errors)")
            let (end, report) = try play(node, ["--rate", "10", "--mix", "create-key=1,generate-data-key=1"])
            #expect(end == .exited(1))
            for operation in report.operations where operation.operation != "health-poll" {
                #expect(operation.failed == operation.calls)
                let exceptions = Set(operation.failures.map(\.view.exception))
                let expected =
                    operation.operation == "create-key"
                    ? "XksKeyInvalidConfigurationException" : "KMSInvalidStateException"
                #expect(exceptions.contains(expected), "\(exceptions)")
            }
        }

        @Test("Where nothing listens, callers are told so") func nothingListens() throws {
            let node = try Node.dev(["--plaintext"])
            try node.stop()
            let (end, report) = try play(node, ["--rate", "5", "--mix", "decrypt=1"])
            #expect(end == .exited(1))
            // There is nothing to decrypt: data keys are asked for.
            let keys = try #require(report.operations.first { $0.operation == "generate-data-key" })
            #expect(keys.calls == 10 && keys.failed == 10)
            #expect(keys.failures.map(\.view.exception) == ["KMSInvalidStateException"])
        }
    }
}
