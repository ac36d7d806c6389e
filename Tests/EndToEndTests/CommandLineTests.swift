// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension EndToEnd {
    @Suite("the other commands")
    struct OtherCommands {
        private let scratch: Scratch

        init() throws { scratch = try Scratch() }

        private func mode(_ path: String) throws -> Int {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            return attributes[.posixPermissions] as? Int ?? -1
        }

        @Test("--version and --help")
        func versionAndHelp() throws {
            let version = try ClavigerBinary.run(["--version"])
            #expect(version.isSuccess)
            #expect(version.output.hasPrefix("Claviger ") && version.output.split(separator: "\n").count == 1)
            let help = try ClavigerBinary.run(["--help"])
            #expect(help.isSuccess)
            for command in ["serve", "check", "dev", "keystore", "hsm"] {
                #expect(help.output.contains("\n  \(command) "))
                let own = try ClavigerBinary.run([command, "--help"])
                #expect(own.isSuccess && own.output.contains("USAGE: claviger \(command)"))
            }
            #expect(!help.output.contains("hsm-worker") && !help.output.contains("hsm-provision"))
            let wrong = try ClavigerBinary.run(["surve"])
            #expect(wrong.end != .exited(0) && wrong.errors.contains("Usage"))
        }

        /// The commands of 16631be took the last of the two: they looked for its node, ended with 1 or 2 where there was none,
        /// and with 0 where there was.
        @Test(
            "an option that is given twice is refused, and nothing is done",
            arguments: [
                ["block", "--key", "a", "--key", "b", "--reason", "x"],
                ["block", "--keystore", "/a", "--keystore=/b", "--reason", "x"],
                ["unblock", "--id", "aaaaaaaa", "--id", "bbbbbbbb"], ["status", "--config", "a", "-c", "b"],
                ["hsm", "drain", "a", "--state-dir", "/a", "--state-dir", "/b"],
                ["block", "--key", "a,b", "--reason", "x"],
            ])
        func repeated(arguments: [String]) throws {
            let result = try ClavigerBinary.run(arguments)
            #expect(result.end == .exited(64), "\(result.end) \(result.errors)")
            #expect(result.errors.contains("more than once") || result.errors.contains("comma"))
        }

        /// With 16631be these ended with 0 as if all had been said.
        @Test("what cannot be written is not taken for said, and what was ordered is done all the same")
        func fullDisk() throws {
            let node = try Node.dev(["--hsms", "1", "--plaintext"])
            let directory = node.state + "/node"
            func toFullDisk(_ words: String) throws -> CommandResult {
                try run(["/bin/sh", "-c", "exec \(ClavigerBinary.path) \(words) > /dev/full"])
            }
            for words in [
                "--help", "status --help", "--version", "status --state-dir \(directory)", "hsm list \(softHSMLibrary)",
            ] {
                let result = try toFullDisk(words)
                #expect(result.end == .exited(5), "\(words): \(result.end)")
                #expect(
                    result.errors == "claviger: standard output cannot be written: No space left on device\n",
                    "\(words): \(result.errors)")
            }
            #expect(try toFullDisk("block --key foo --reason drill --state-dir \(directory)").end == .exited(5))
            let blocks = try ClavigerBinary.run(["blocks", "--state-dir", directory])
            #expect(blocks.output.contains("--key foo"))
            // A status that says more stays.
            #expect(try toFullDisk("status --state-dir \(scratch.file("none"))").end == .exited(2))
        }

        /// With 16631be it ran until somebody ended it.
        @Test("--watch ends when nobody reads it any more", arguments: ["1", "3600"])
        func readerGone(seconds: String) throws {
            let node = try Node.dev(["--hsms", "1", "--plaintext"])
            for words in ["status", "cluster status", "status --json"] {
                let result = try run(
                    [
                        "/bin/bash", "-c",
                        "\(ClavigerBinary.path) \(words) --watch \(seconds) --state-dir \(node.state)/node | head -n 1; "
                            + "echo ${PIPESTATUS[0]}",
                    ], within: 20)
                #expect(result.output.split(separator: "\n").count == 2, "\(result.output)")
                #expect(result.output.hasSuffix("\n5\n"), "\(result.output)")
                #expect(result.errors.isEmpty)
            }
        }

        /// 16631be said `bind(descriptor:ptr:bytes:): Address already in use) (errno: 98)`, of the control listener without
        /// its address.
        @Test("a port that is taken is said with its setting, its address, and the mend")
        func portInUse() throws {
            let node = try Node.dev(["--hsms", "1"])
            let ports = try [node.facts.url, node.facts.control_url].map { try #require($0.split(separator: ":").last) }
            let attempts = [
                ("xks.listen", ports[0], ["--listen", "127.0.0.1:\(ports[0])", "--control", "127.0.0.1:0"]),
                ("control.listen", ports[1], ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:\(ports[1])"]),
            ]
            for (setting, port, options) in attempts {
                let second = try ClavigerBinary.run(
                    ["dev", "--hsms", "1", "--state", scratch.file("state")] + options)
                #expect(second.end == .exited(3))
                #expect(
                    second.errors.contains(
                        "claviger: \(setting): cannot listen on 127.0.0.1:\(port): another process listens there: "
                            + "`ss -lntp 'sport = :\(port)'` names it: end it, unless it is a node in service, or choose "
                            + "another port\n"), "\(second.errors)")
            }
        }

        @Test("a shell learns what can be completed", arguments: ["bash", "zsh", "fish"])
        func completion(shell: String) throws {
            let script = try ClavigerBinary.run(["--generate-completion-script", shell])
            #expect(script.isSuccess)
            // A file of --config by its extension, and a directory of --state-dir.
            #expect(script.output.contains("toml") && script.output.contains("state-dir"))
            guard shell == "bash" else { return }
            let file = scratch.file("completion")
            try Data(script.output.utf8).write(to: URL(fileURLWithPath: file))
            #expect(try run(["/bin/bash", "-n", file]).isSuccess)
        }

        @Test("hsm list shows slots and tokens, and with the PIN the keys")
        func list() throws {
            let node = try Node.dev(["--hsms", "1", "--plaintext"])
            let environment = ["SOFTHSM2_CONF": node.state + "/hsm-1/softhsm2.conf"]
            let anonymous = try ClavigerBinary.run(["hsm", "list", softHSMLibrary], environment: environment)
            #expect(anonymous.isSuccess, "\(anonymous.errors)")
            #expect(anonymous.output.contains("token \"claviger-dev-hsm-1\""))
            #expect(anonymous.output.contains("AES-GCM yes"))
            #expect(!anonymous.output.contains("encrypt_only_key"))
            let pin = node.state + "/hsm-1/pin"
            let loggedIn = try ClavigerBinary.run(
                ["hsm", "list", softHSMLibrary, "--token", "claviger-dev-hsm-1", "--pin-file", pin],
                environment: environment)
            #expect(loggedIn.isSuccess, "\(loggedIn.errors)")
            for key in node.facts.keys { #expect(loggedIn.output.contains("    \(key) ")) }
            #expect(!loggedIn.output.contains(try text(ofFile: pin)))
            #expect(try node.stop() == .exited(0))
        }

        @Test("hsm list says what is wrong with a library, and that PIN and token belong together")
        func listProblems() throws {
            let missing = try ClavigerBinary.run(["hsm", "list", "/nowhere/library.so"])
            #expect(missing.end == .exited(2))
            #expect(missing.errors.contains("/nowhere/library.so"))
            let half = try ClavigerBinary.run(["hsm", "list", softHSMLibrary, "--token", "some"])
            #expect(half.end == .exited(64))
            #expect(half.errors.contains("--pin-file"))
        }

        @Test("keystore new-credential makes what KMS asks for, in a file of its owner's alone")
        func newCredential() throws {
            let file = scratch.file("secret")
            let made = try ClavigerBinary.run(["keystore", "new-credential", "--secret-file", file])
            #expect(made.isSuccess, "\(made.errors)")
            let identifier = try #require(made.output.firstMatch(of: /access_key_id = "([A-Z2-7]{20,30})"\n/)?.1)
            #expect(made.output.contains("secret = { file = \"\(file)\" }"))
            let secret = try text(ofFile: file)
            #expect(secret.wholeMatch(of: /[A-Za-z0-9+\/=]{43,64}/) != nil)
            #expect(try mode(file) == 0o600)
            #expect(!made.output.contains(secret) && !made.errors.contains(secret))

            let again = try ClavigerBinary.run(["keystore", "new-credential", "--secret-file", file])
            #expect(again.end == .exited(3))
            #expect(again.errors.contains("exists already"))
            #expect(try text(ofFile: file) == secret, "it is not overwritten")

            let console = scratch.file("console.json")
            let arguments = [
                "keystore", "console-file", "--path-prefix", "/example/uri/path/prefix", "--access-key-id",
                String(identifier), "--secret-file", file, "--output", console,
            ]
            let wrote = try ClavigerBinary.run(arguments)
            #expect(wrote.isSuccess, "\(wrote.errors)")
            #expect(!wrote.output.contains(secret))
            #expect(try mode(console) == 0o600)
            struct ConsoleFile: Decodable, Equatable {
                struct Credential: Decodable, Equatable {
                    var AccessKeyId: String
                    var RawSecretAccessKey: String
                }
                var XksProxyUriPath: String
                var XksProxyAuthenticationCredential: Credential
            }
            let document = try JSONDecoder().decode(ConsoleFile.self, from: Data(try text(ofFile: console).utf8))
            #expect(
                document
                    == ConsoleFile(
                        XksProxyUriPath: "/example/uri/path/prefix/kms/xks/v1",
                        XksProxyAuthenticationCredential: .init(
                            AccessKeyId: String(identifier), RawSecretAccessKey: secret)))
            #expect(try ClavigerBinary.run(arguments).end == .exited(3))
        }

        @Test("keystore console-file refuses what KMS would refuse", arguments: ["no-slash", "/with space", "/ends/"])
        func consoleFilePrefix(prefix: String) throws {
            let file = try scratch.write("3bQn7mG9v1c5yR0sKxWf2LzAeUo8iTjD4pHhNqVtMgYbE6", to: "secret")
            let result = try ClavigerBinary.run([
                "keystore", "console-file", "--path-prefix", prefix, "--access-key-id", "BETWEEN2TECHNIQUE2EXTRAS",
                "--secret-file", file, "--output", scratch.file("console.json"),
            ])
            #expect(result.end == .exited(2))
            #expect(!FileManager.default.fileExists(atPath: scratch.file("console.json")))
        }
    }
}
