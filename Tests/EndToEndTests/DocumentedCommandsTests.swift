// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    /// The commands of blocks for the shell in the README and the guides, run as they stand there. What a reader puts in for
    /// names, files and addresses is put in; nothing else is changed.
    @Suite("what the documents show for the shell", .devTokens(2))
    struct DocumentedCommands {
        private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
            .deletingLastPathComponent()

        /// Begins with it: why it is not run here.
        private static let notRun = [
            "claviger serve": "runs until it is ended; the node of this test is one",
            "claviger init": "asks at a terminal (InitTests)",
            "claviger keystore rotate": "waits for the reader between its steps (RotationTests)",
            "claviger drill hsm-loss": "takes half a minute, and wants traffic (DrillTests)",
            "claviger bench": "looks for the highest rate, for minutes (BenchTests)",
            "claviger certify": "sends some four hundred requests, twice (CertifyTests)",
            "claviger import": "wants another proxy's settings (ImportTests)",
            "claviger cluster forget": "wants a cluster (ClusterTests)",
        ]

        /// Begins with it: the exit status here, where it is not 0.
        private static let statuses: [(String, Int32)] = [
            // Records of other days, and of other ids.
            ("claviger audit find --request-id", 1), ("claviger audit find --key payments --outcome", 1),
            ("claviger audit find --kind order", 1),
            // The block that it lifts has another id.
            ("claviger unblock --id", 1),
        ]

        private struct Command {
            var file: String
            var text: String
        }

        /// The blocks' lines that call the program, without what the shell takes for a comment.
        private static func commands() throws -> [Command] {
            var files = [root.appending(path: "README.md"), root.appending(path: "docs/reference/commands.md")]
            let guides = root.appending(path: "docs/guides")
            files += try FileManager.default.subpathsOfDirectory(atPath: guides.path).filter { $0.hasSuffix(".md") }
                .sorted().map { guides.appending(path: $0) }
            // Its blocks stop what the others do.
            files.sort { !$0.path.hasSuffix("break-glass.md") && $1.path.hasSuffix("break-glass.md") }
            return try files.flatMap { file -> [Command] in
                let text = try String(contentsOf: file, encoding: .utf8)
                let blocks = text.components(separatedBy: "\n```").enumerated().filter { $0.offset % 2 == 1 }
                    .map(\.element).filter { $0.hasPrefix("sh\n") || $0.hasPrefix("bash\n") }
                return blocks.flatMap { block in
                    block.replacingOccurrences(of: "\\\n", with: " ").split(separator: "\n").compactMap { line in
                        let line = line.trimmingCharacters(in: .whitespaces)
                        guard line.hasPrefix("claviger ") else { return nil }
                        let words = line.components(separatedBy: " #")[0].split(separator: " ")
                        return Command(file: file.lastPathComponent, text: words.joined(separator: " "))
                    }
                }
            }
        }

        private func configuration() throws -> ServeConfiguration {
            let dev = try sharedNode()
            var configuration = try ServeConfiguration(from: dev)
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set("id", "\"fra-1\"", in: "[node]")
            configuration.set("path_prefix", "\"/bank/prod\"", in: "[[keystore]]")
            configuration.set(
                "keys", #"[{ id = "payments", label = "foo" }, { id = "test-key", label = "bar" }]"#, in: "[[keystore]]"
            )
            configuration.set("name", "\"nshield-a\"", in: "[[hsm]]")
            // A debug build on a busy machine needs more than KMS's time where HSMs are asked for a second opinion.
            configuration.set("request_deadline", "\"5s\"", in: "[xks]")
            configuration.append("[audit]\n")
            return configuration
        }

        /// What a reader puts in.
        private func values(_ configuration: ServeConfiguration, _ file: String) throws -> [(String, String)] {
            let facts = configuration.facts
            let scratch = configuration.scratch
            try scratch.write(facts.secret, to: "secret")
            chmod(scratch.file("secret"), 0o600)
            try scratch.write(
                #"{"XksProxyAuthenticationCredential":{"AccessKeyId":"\#(facts.access_key_id)","#
                    + #""RawSecretAccessKey":"\#(facts.secret)"}}"#, to: "credential.json")
            chmod(scratch.file("credential.json"), 0o600)
            let hsm = "\(facts.state_directory)/hsm-1"
            let url = facts.url + "/bank/prod"
            let ours =
                " --url \(url) --key test-key --access-key-id \(facts.access_key_id) --secret-file \(scratch.file("secret"))"
            return [
                ("/etc/claviger/claviger.toml", file), ("--config claviger.toml", "--config \(file)"),
                ("/usr/lib/vendor/libpkcs11.so", softHSMLibrary), ("/path/to/libpkcs11.so", softHSMLibrary),
                ("--token LABEL --pin-file FILE", "--token claviger-dev-hsm-1 --pin-file \(hsm)/pin"),
                ("--token LABEL", "--token claviger-dev-hsm-1 --pin-file \(hsm)/pin"),
                ("--access-key-id …", "--access-key-id FK46BZW7BK4Y5HOX5GPKZJ7HPEQ7"),
                (
                    "https://OLD/PREFIX --key KEY-ID --access-key-id ID --secret-file SECRET-FILE --region REGION",
                    String(ours.dropFirst(7))
                ),
                ("old-KEY-ID.json", "old-test-key.json"),
                ("https://xks.example.com/bank/prod", url),
                ("--credential-file console.json", "--credential-file \(scratch.file("credential.json"))"),
                ("--rate 50 --seconds 60", "--rate 50 --seconds 1"),
                ("$node", "fra-1"),
                ("/mnt/copy-of-fra-1 --heads fra-2-heads.json --ca cluster-ca.pem", scratch.file("node/audit")),
                ("/etc/bash_completion.d/claviger", "completion"),
                ("/usr/local/share/zsh/site-functions/_claviger", "completion"),
                ("~/.config/fish/completions/claviger.fish", "completion"),
            ]
        }

        /// Commands that find the node by its configuration take /etc/claviger/claviger.toml where none is named.
        private static let ofTheNode = [
            "status", "audit", "block", "blocks", "unblock", "cluster status", "cluster bootstrap", "drain", "check",
            "diagnose",
        ]

        /// Lines of what a command has printed that tell of a failure, or the last ones.
        private static func worst(_ output: String) -> String {
            let lines = output.split(separator: "\n")
            let bad = lines.indices.filter { lines[$0].contains("FAIL") }.flatMap { lines[$0...].prefix(3) }
            return (bad.isEmpty ? Array(lines.suffix(3)) : bad).joined(separator: "\n")
        }

        @Test("each of them is taken, and does what it is shown for")
        func run() throws {
            let configuration = try configuration()
            let scratch = configuration.scratch
            let file = try configuration.write()
            symlink(ClavigerBinary.path, scratch.file("claviger"))
            // Each document is read in a directory of its own; in that of the README, `init` has made it.
            for name in Set(try Self.commands().map(\.file)) { mkdir(scratch.file("at-\(name)"), 0o700) }
            try scratch.write(configuration.facts.secret, to: "at-README.md/kms.secret")
            chmod(scratch.file("at-README.md/kms.secret"), 0o600)
            let node = try Node.serve(configuration, activeHSMs: 2)
            try Operator(configuration).proven(on: ["nshield-a", "hsm-2"])
            let values = try values(configuration, file)
            let commands = try Self.commands()
            #expect(commands.count > 40)
            for command in commands where !Self.notRun.keys.contains(where: { command.text.hasPrefix($0) }) {
                var text = command.text
                for (from, to) in values { text = text.replacingOccurrences(of: from, with: to) }
                if Self.ofTheNode.contains(where: { text.hasPrefix("claviger \($0)") }), !text.contains("--config") {
                    text += " --config \(file)"
                }
                let line = "cd \(scratch.path)/at-\(command.file) && PATH=\(scratch.path):$PATH && \(text)"
                let environment = ["SOFTHSM2_CONF": "\(configuration.facts.state_directory)/hsm-1/softhsm2.conf"]
                let result = try EndToEndTests.run(["/bin/sh", "-c", line], environment: environment, within: 90)
                let status = Self.statuses.first { command.text.hasPrefix($0.0) }?.1 ?? 0
                #expect(
                    result.end == .exited(status),
                    "\(command.file): \(text): \(result.errors) \(Self.worst(result.output))")
            }
            #expect(try node.stop() == .exited(0))
        }
    }
}
