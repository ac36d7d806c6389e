// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("claviger init")
    struct Init {
        private let scratch: Scratch
        private let token: SoftToken

        init() throws {
            scratch = try Scratch()
            token = try SoftToken(in: scratch)
        }

        private var directory: String { scratch.file("conf") }

        /// All options but those that are left out; on free ports.
        private func options(without: Set<String> = [], _ more: [String] = []) throws -> [String] {
            let options = [
                ("--directory", directory), ("--node-id", "n-1"), ("--state-dir", scratch.file("state")),
                ("--module", softHSMLibrary), ("--token", "xks"), ("--pin-file", token.pinFile), ("--keys", "orders"),
                ("--listen", try ServeConfiguration.freeAddress()), ("--control", try ServeConfiguration.freeAddress()),
                ("--endpoint", "xks.example.com"), ("--certificate", "self-signed"), ("--path-prefix", "/bank"),
            ]
            return ["init"] + options.filter { !without.contains($0.0) }.flatMap { [$0.0, $0.1] } + more
        }

        private func run(_ arguments: [String]) throws -> CommandResult {
            try ClavigerBinary.run(arguments, environment: token.environment)
        }

        private func mode(_ path: String) throws -> Int {
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int ?? -1
        }

        private func isThere(_ name: String) -> Bool {
            FileManager.default.fileExists(atPath: directory + "/" + name)
        }

        @Test("from a token to a request that is served, with one command each")
        func serves() throws {
            try token.makeKey("orders")
            let made = try run(try options())
            #expect(made.isSuccess, "\(made)")
            #expect(made.output.contains("\(directory)/claviger.toml: good"), "\(made)")
            #expect(made.output.contains("claviger serve --config \(directory)/claviger.toml"))
            #expect(made.output.contains("docs/guides/register-with-kms.md"))
            for (file, wanted) in [
                ("claviger.toml", 0o600), ("kms.secret", 0o600), ("tls/key.pem", 0o600), ("tls/cert.pem", 0o644),
            ] { #expect(try mode(directory + "/" + file) == wanted, "\(file)") }
            let text = try EndToEndTests.text(ofFile: directory + "/claviger.toml")
            let secret = try EndToEndTests.text(ofFile: directory + "/kms.secret")
            for said in [text, made.output, made.errors] {
                #expect(!said.contains(secret) && !said.contains(token.pin))
            }
            // Of the surroundings of this command, what the library needs; a worker has nothing else.
            #expect(text.contains("env = { SOFTHSM2_CONF = \"\(token.configuration)\" }"))
            try serve(text, secret: secret)
        }

        /// Starts the node, and has it encrypt.
        private func serve(_ text: String, secret: String) throws {
            let quoted = text.split(separator: "\n").first { $0.hasPrefix("credentials = ") }?.split(separator: "\"")
            let id = try #require(quoted?.dropFirst().first.map(String.init))
            let listen = try #require(text.split(separator: "\n").first { $0.hasPrefix("listen = ") })
            let port = try #require(listen.split(separator: ":").last?.dropLast())
            let node = try ChildProcess([ClavigerBinary.path, "serve", "--config", directory + "/claviger.toml"])
            let file = try scratch.write(
                """
                url = "https://xks.example.com:\(port)/bank/kms/xks/v1/keys/orders/encrypt"
                resolve = "xks.example.com:\(port):127.0.0.1"
                cacert = "\(directory)/tls/cert.pem"
                aws-sigv4 = "aws:amz:us-east-1:kms-xks-proxy"
                user = "\(id):\(secret)"
                header = "Content-Type: application/json"
                data = "{\\"requestMetadata\\":{\\"awsPrincipalArn\\":\\"arn:aws:iam::123456789012:user/Alice\\",\\"kmsOperation\\":\\"Encrypt\\",\\"kmsRequestId\\":\\"4112f4d6-db54-4af4-ae30-c55a22a8dfae\\",\\"kmsKeyArn\\":\\"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\\"},\\"plaintext\\":\\"SGVsbG8=\\",\\"encryptionAlgorithm\\":\\"AES_GCM\\"}"
                silent
                show-error
                write-out = " %{http_code}"

                """, to: "curl.conf")
            try eventually("the node encrypts", within: 60) {
                let reply = try EndToEndTests.run(["/usr/bin/curl", "--config", file])
                return reply.output.contains("\"authenticationTag\"") && reply.output.hasSuffix(" 200")
                    || !node.isRunning
            }
            #expect(node.isRunning, "\(node.errors)")
            node.kill(SIGTERM)
            #expect(try node.end(within: 60) == .exited(0))
        }

        @Test("what is missing or wrong is named with its option, and nothing is left behind")
        func failures() throws {
            try token.makeKey("orders")
            let bare = try run(["init", "--yes"])
            #expect(bare.end == .exited(2), "\(bare)")
            for option in ["--pin-file", "--endpoint"] {
                #expect(bare.errors.contains("\(option): is missing"), "\(bare)")
            }
            for (option, value, words) in [
                ("--keys", "absent", "there is no AES-256 key of this label on the token"),
                ("--keys", "absent", "--make-key absent"), ("--keys", "absent", "pkcs11-tool --module"),
                ("--token", "other", "is no token of the library, which shows \"xks\""),
                ("--module", "/nonexistent.so", "--module \"/nonexistent.so\""),
                ("--pin-file", "/nonexistent", "does not exist"),
                ("--listen", "192.0.2.77:443", "cannot be listened at"),
                ("--endpoint", "https://xks.example.com", "is a URL"),
                ("--certificate", "/nonexistent.pem", "does not exist"),
            ] {
                var more = [option, value]
                if option == "--certificate" { more += ["--certificate-key", "/nonexistent.key"] }
                let result = try run(try options(without: [option], more))
                #expect(result.end == .exited(2) && result.errors.contains(words), "\(option): \(result)")
                #expect(!FileManager.default.fileExists(atPath: directory), "\(option)")
            }
        }

        @Test("a PIN that the token refused is not tried again")
        func refusedPIN() throws {
            try token.makeKey("orders")
            let wrong = try scratch.write("never-to-be-shown", to: "wrong.pin")
            let arguments = try options(without: ["--pin-file"], ["--pin-file", wrong])
            let first = try run(arguments)
            #expect(first.end == .exited(2) && first.errors.contains("refused the PIN"), "\(first)")
            let second = try run(arguments)
            #expect(second.end == .exited(2) && second.errors.contains("no login was tried"), "\(second)")
            for result in [first, second] { #expect(!(result.output + result.errors).contains("never-to-be-shown")) }
            #expect(try run(try options()).isSuccess)
        }

        @Test("a file that is there stays; --force replaces, and what fails in the middle leaves everything as it was")
        func existing() throws {
            try token.makeKey("orders")
            #expect(try run(try options()).isSuccess)
            let before = try EndToEndTests.text(ofFile: directory + "/claviger.toml")
            let again = try run(try options())
            #expect(again.end == .exited(2) && again.errors.contains("there is already"), "\(again)")
            #expect(try EndToEndTests.text(ofFile: directory + "/claviger.toml") == before)
            let forced = try run(try options(["--force"]))
            #expect(forced.isSuccess, "\(forced)")
            #expect(try EndToEndTests.text(ofFile: directory + "/claviger.toml") != before)
            let names = try FileManager.default.subpathsOfDirectory(atPath: directory).sorted()
            #expect(names == ["claviger.toml", "kms.secret", "tls", "tls/cert.pem", "tls/key.pem"], "\(names)")
            // A directory in the place of a file is not replaced; others have been put in their places before it.
            try FileManager.default.removeItem(atPath: directory + "/tls/cert.pem")
            try FileManager.default.createDirectory(
                atPath: directory + "/tls/cert.pem/x", withIntermediateDirectories: true)
            let key = try EndToEndTests.text(ofFile: directory + "/tls/key.pem")
            let blocked = try run(try options(["--force"]))
            #expect(blocked.end == .exited(3) && blocked.errors.contains("nothing was written"), "\(blocked)")
            #expect(try EndToEndTests.text(ofFile: directory + "/tls/key.pem") == key)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory + "/tls").count == 2)
        }

        @Test("--dry-run prints the configuration and writes nothing; a key is made, once, when it is asked for")
        func dryRunAndKey() throws {
            let arguments = try options(without: ["--keys", "--certificate"], ["--yes", "--make-key", "fresh"])
            let shown = try run(arguments + ["--dry-run"])
            #expect(shown.isSuccess && shown.output.contains("keys = [\"fresh\"]"), "\(shown)")
            #expect(!FileManager.default.fileExists(atPath: directory))
            #expect(try !token.objects().contains("fresh"))
            let made = try run(arguments)
            #expect(made.isSuccess && made.errors.contains("made the AES-256 key fresh"), "\(made)")
            let again = try run(arguments + ["--force"])
            #expect(again.isSuccess && !again.errors.contains("made the AES-256 key"), "\(again)")
            #expect(try token.objects().components(separatedBy: "fresh").count == 2)
        }

        @Test("a request for a CA comes with a self-signed certificate of the same key, and OpenSSL takes it")
        func request() throws {
            try token.makeKey("orders")
            let made = try run(try options(without: ["--certificate"], ["--certificate", "request"]))
            #expect(made.isSuccess && made.output.contains("\(directory)/tls/request.csr"), "\(made)")
            func openssl(_ words: String...) throws -> String {
                let result = try EndToEndTests.run(["/usr/bin/env", "openssl"] + words)
                #expect(result.isSuccess, "\(result)")
                return result.output
            }
            let request = directory + "/tls/request.csr"
            let text = try openssl("req", "-in", request, "-noout", "-verify", "-text")
            #expect(text.contains("CN = xks.example.com") && text.contains("DNS:xks.example.com"), "\(text)")
            let key = try openssl("req", "-in", request, "-noout", "-pubkey")
            #expect(try openssl("x509", "-in", directory + "/tls/cert.pem", "-noout", "-pubkey") == key)
            #expect(try openssl("pkey", "-in", directory + "/tls/key.pem", "-pubout") == key)
        }

        @Test(
            "as root for the node's user: files that its group reads, the PIN as systemd hands it over",
            .enabled(if: geteuid() == 0))
        func owner() throws {
            try token.makeKey("orders")
            try token.give(to: "nobody")
            chmod(scratch.path, 0o755)
            mkdir(directory, 0o755)
            mkdir(directory + "/pins", 0o700)
            let pin = directory + "/pins/hsm-a"
            try FileManager.default.copyItem(atPath: token.pinFile, toPath: pin)
            let made = try run(
                try options(without: ["--pin-file"], ["--pin-file", pin, "--owner", "nobody"]))
            #expect(made.isSuccess && made.output.contains("claviger.toml: good"), "\(made)")
            let text = try EndToEndTests.text(ofFile: directory + "/claviger.toml")
            #expect(text.contains("pin = { credential = \"pin_hsm-a\" }"))
            let nobody = try #require(getpwnam("nobody")?.pointee)
            for file in ["claviger.toml", "kms.secret", "tls/key.pem"] {
                var facts = stat()
                #expect(stat(directory + "/" + file, &facts) == 0)
                #expect(facts.st_uid == 0 && facts.st_gid == nobody.pw_gid && facts.st_mode & 0o777 == 0o640, "\(file)")
            }
            var facts = stat()
            #expect(stat(scratch.file("state"), &facts) == 0 && facts.st_uid == nobody.pw_uid)
            let left = try FileManager.default.contentsOfDirectory(atPath: "/dev/shm")
            #expect(!left.contains { $0.hasPrefix("claviger-init-") })
            // The token is out of another user's reach, and root's own is not what counts.
            let other = try run(try options(["--owner", "daemon", "--force"]))
            #expect(other.end == .exited(2), "\(other)")
        }

        // MARK: - At a terminal

        /// Types each answer when its question has come, and returns the end and all that the terminal showed.
        private func type(_ arguments: [String], _ steps: [[String]]) throws -> CommandResult {
            let script = try scratch.write(
                """
                import json, os, pty, select, sys, time
                steps, command = json.loads(sys.argv[1]), sys.argv[2:]
                process, terminal = pty.fork()
                if process == 0:
                    os.execv(command[0], command)
                shown, seen, end = "", 0, time.monotonic() + 60
                def more():
                    global shown
                    ready = select.select([terminal], [], [], max(0, end - time.monotonic()))[0]
                    try:
                        data = os.read(terminal, 65536) if ready else b""
                    except OSError:
                        data = b""
                    shown += data.decode("utf-8", "replace")
                    return bool(data)
                for question, answer in steps:
                    while question not in shown[seen:] and more():
                        pass
                    seen = shown.index(question, seen) + len(question)
                    os.write(terminal, (answer + "\\n").encode())
                while more():
                    pass
                sys.stdout.write(shown)
                sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) % 256)

                """, to: "type.py")
            let json = String(decoding: try JSONEncoder().encode(steps), as: UTF8.self)
            return try EndToEndTests.run(
                ["/usr/bin/env", "python3", script, json, ClavigerBinary.path] + arguments,
                environment: token.environment, within: 90)
        }

        @Test("a person is asked, sees what there is, may correct an answer, and never sees the PIN")
        func terminal() throws {
            try token.makeKey("orders")
            let asked = try type(
                ["init"],
                [
                    ["files beside it [", directory], ["Name of this node [", "fra 1"],
                    ["--node-id \"fra 1\": must be", "fra-1"], ["what the node keeps [", scratch.file("state")],
                    ["PKCS#11 library", softHSMLibrary], ["its label [xks]: ", ""], ["is not shown): ", "wrong-one"],
                    ["One more try", "wrong-one"], ["it is not tried again", token.pin],
                    ["commas between [orders]: ", ""], ["listen at for KMS [", try ServeConfiguration.freeAddress()],
                    ["status page [", try ServeConfiguration.freeAddress()],
                    ["reaches the endpoint: ", "xks.example.com"],
                    ["that you have [self-signed]: ", ""], ["key store [/claviger]: ", "/bank"],
                ])
            #expect(asked.end == .exited(0), "\(asked)")
            #expect(asked.output.contains("1  \"xks\", serial "), "\(asked)")
            #expect(!asked.output.contains(token.pin) && !asked.output.contains("wrong-one"), "\(asked)")
            #expect(try EndToEndTests.text(ofFile: directory + "/hsm-a.pin") == token.pin + "\n")
            #expect(try mode(directory + "/hsm-a.pin") == 0o600)
            let checked = try run(["check", "--config", directory + "/claviger.toml"])
            #expect(checked.isSuccess, "\(checked)")
        }

        @Test("an interrupted PIN ends the command, and two that were refused are enough")
        func refusedAtTerminal() throws {
            let arguments = try options(without: ["--pin-file"])
            let interrupted = try type(arguments, [["is not shown): ", "12\u{03}"]])
            #expect(interrupted.end == .exited(254), "\(interrupted)")
            let refused = try type(
                arguments, [["is not shown): ", "first-wrong"], ["is not shown): ", "second-wrong"]])
            #expect(refused.end == .exited(2) && refused.output.contains("look the PIN up"), "\(refused)")
            #expect(!isThere("claviger.toml"))
        }
    }
}

/// A SoftHSM token of its own, `xks`.
private struct SoftToken {
    let configuration: String
    let pin = "user-pin-4711"
    let pinFile: String
    private let tokens: String

    var environment: [String: String] { ["SOFTHSM2_CONF": configuration] }

    init(in scratch: Scratch) throws {
        tokens = scratch.file("tokens")
        try FileManager.default.createDirectory(atPath: tokens, withIntermediateDirectories: false)
        configuration = try scratch.write("directories.tokendir = \(tokens)\n", to: "softhsm2.conf")
        pinFile = try scratch.write(pin + "\n", to: "pin")
        try tool([
            "softhsm2-util", "--init-token", "--free", "--label", "xks", "--so-pin", "so-pin-4711", "--pin", pin,
        ])
    }

    func makeKey(_ label: String) throws {
        try tool([
            "pkcs11-tool", "--module", softHSMLibrary, "--token-label", "xks", "--login", "--pin", pin, "--keygen",
            "--key-type", "AES:32", "--label", label,
        ])
    }

    func objects() throws -> String {
        try tool([
            "pkcs11-tool", "--module", softHSMLibrary, "--token-label", "xks", "--login", "--pin", pin,
            "--list-objects",
        ])
    }

    func give(to user: String) throws {
        try tool(["chown", "-R", "\(user):", tokens, configuration])
        chmod(configuration, 0o644)
    }

    @discardableResult
    private func tool(_ words: [String]) throws -> String {
        let result = try run(["/usr/bin/env"] + words, environment: environment)
        guard result.isSuccess else { throw HarnessError("\(words[0]): \(result.errors)") }
        return result.output
    }
}
