// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    /// Configurations as users copy them out of the guides.
    @Suite("what the guides show")
    struct Guides {
        private static var documents: URL {
            URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appendingPathComponent("docs")
        }

        private static func blocks(of language: String, in page: URL) throws -> [String] {
            let lines = try String(contentsOf: page, encoding: .utf8).split(
                separator: "\n", omittingEmptySubsequences: false)
            var blocks: [String] = []
            var block: [Substring]?
            for line in lines {
                if let open = block {
                    if line == "```" {
                        blocks.append(open.joined(separator: "\n") + "\n")
                        block = nil
                    } else {
                        block = open + [line]
                    }
                } else if line == "```\(language)" {
                    block = []
                }
            }
            return blocks
        }

        private static func pages(_ folder: String) throws -> [URL] {
            let directory = documents.appendingPathComponent(folder)
            return try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
                .filter { $0.pathExtension == "md" }.sorted { $0.path < $1.path }
        }

        @Test("each HSM's page has a whole configuration, and check takes each one of the guides")
        func configurations() throws {
            let scratch = try Scratch()
            var whole: [String] = []
            for page in try Self.pages("guides") + Self.pages("guides/hsms") + Self.pages("reference") {
                for block in try Self.blocks(of: "toml", in: page)
                where block.contains("[xks]\n") && block.contains("[[hsm]]") && block.contains("[[keystore]]") {
                    let file = try scratch.write(block, to: "claviger.toml")
                    let result = try ClavigerBinary.run(["check", "--offline", "--strict", "--config", file])
                    #expect(result.isSuccess, "\(page.lastPathComponent): \(result.output)\(result.errors)")
                    whole.append(page.lastPathComponent)
                }
            }
            for page in try Self.pages("guides/hsms") where page.lastPathComponent != "README.md" {
                #expect(whole.contains(page.lastPathComponent), "\(page.lastPathComponent)")
            }
            #expect(whole.count >= 6, "\(whole)")
        }

        @Test("what the page on KMS says can be asked of the program")
        func explain() throws {
            let found = try ClavigerBinary.run(["explain", "XKS_PROXY_TIMED_OUT"])
            #expect(found.isSuccess && found.output.contains("where to look:"), "\(found.output)\(found.errors)")
            #expect(!found.output.contains("]("))
            let words = try ClavigerBinary.run(["explain", "denied", "access", "to", "the", "operation", "--json"])
            #expect(words.isSuccess)
            let explanation = try JSONDecoder().decode(Explanation.self, from: Data(words.output.utf8))
            #expect(explanation.found && explanation.entries.map(\.id) == ["access-denied"])
            let unknown = try ClavigerBinary.run(["explain", "XKS_PROXY_TIMEOUT"])
            #expect(unknown.end == .exited(1) && unknown.output.contains("XKS_PROXY_TIMED_OUT"), "\(unknown.output)")
            let nothing = try ClavigerBinary.run(["explain", "green cheese", "--json"])
            #expect(nothing.end == .exited(1))
            #expect(try JSONDecoder().decode(Explanation.self, from: Data(nothing.output.utf8)).entries.isEmpty)
            let event =
                #"{"errorCode": "KMSInvalidStateException", "errorMessage": "it could not authenticate AWS KMS."}"#
            let scratch = try Scratch()
            let file = try scratch.write(event, to: "event.json")
            let piped = try run(["/bin/sh", "-c", "exec \(ClavigerBinary.path) explain - < \(file)"])
            #expect(
                piped.isSuccess && piped.output.contains("could not authenticate"), "\(piped.output)\(piped.errors)")
            #expect(try ClavigerBinary.run(["explain"]).end == .exited(64))
        }

        @Test("every command that a document shows is one of the program, with its options")
        func commands() throws {
            let scratch = try Scratch()
            let help = try ClavigerBinary.run(["--experimental-dump-help"])
            #expect(help.isSuccess)
            let file = try scratch.write(help.output, to: "help.json")
            let script = Self.documents.deletingLastPathComponent().appendingPathComponent(
                "deploy/documented_commands.py")
            let result = try run(["/usr/bin/env", "python3", script.path, file])
            #expect(result.isSuccess, "\(result.output)\(result.errors)")
            let count = result.output.split(separator: "\n").last.flatMap { Int($0) } ?? 0
            #expect(count > 300, "\(result.output)")
        }

        private struct Explanation: Decodable {
            struct Entry: Decodable { var id: String }
            var found: Bool
            var entries: [Entry]
        }
    }
}
