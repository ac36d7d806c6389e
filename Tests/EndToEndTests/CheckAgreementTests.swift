// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    /// What `check`, `check --offline` and `serve` make of one file: status 0 of `check` means that a node serves with it.
    @Suite("check says 0 where a node serves, and nowhere else", .devTokens(2))
    struct CheckAgreement {
        enum Served: Equatable {
            /// `foo` is encrypted.
            case yes
            /// The node runs, says this condition, and serves not.
            case no(condition: String)
            /// The node ends with this status.
            case ends(Int32)
        }

        struct Row: CustomTestStringConvertible {
            let testDescription: String
            var check: Int32 = 0
            var offline: Int32 = 0
            /// Part of what `check` prints on standard error; nothing is printed where it is empty.
            var says = ""
            var served = Served.yes
            let change: @Sendable (inout ServeConfiguration, Scratch) throws -> Void

            init(
                _ name: String, check: Int32 = 0, offline: Int32 = 0, says: String = "", served: Served = .yes,
                change: @escaping @Sendable (inout ServeConfiguration, Scratch) throws -> Void
            ) {
                testDescription = name
                (self.check, self.offline, self.says, self.served) = (check, offline, says, served)
                self.change = change
            }
        }

        static let rows: [Row] = [
            Row("a good file") { _, _ in },
            // A documented difference: the proof of a key compares HSMs, and a check proves none.
            Row("HSMs that hold different keys of one label", served: .no(condition: "no-key-served")) {
                configuration, _ in
                for hsm in ["hsm-1", "hsm-2"] {
                    try TokenTool(facts: configuration.facts, hsm: hsm).makeKey("differs")
                }
                configuration.set("keys", "[\"differs\"]", in: "[[keystore]]")
            },
            // 16631be: check 0, and every request was refused.
            Row(
                "a state directory that cannot be made", check: 2, says: "/proc/nowhere/x cannot be made: ",
                served: .no(condition: "blocks-unknown")
            ) { configuration, _ in configuration.stateDirectory = "/proc/nowhere/x" },
            Row(
                "a state directory that is a file", check: 2, says: "cannot be",
                served: .no(condition: "blocks-unknown")
            ) { configuration, scratch in configuration.stateDirectory = try scratch.write("", to: "file") },
            Row(
                "a list of blocks that is lost", check: 2, says: "it does not know what is blocked",
                served: .no(condition: "blocks-unknown")
            ) { configuration, _ in
                try makeStateDirectory(configuration)
                try "there was one\n".write(
                    toFile: configuration.database + ".made", atomically: false, encoding: .utf8)
            },
            Row("a state directory that others may write to", check: 2, says: "chmod o-w", served: .ends(2)) {
                configuration, _ in
                try FileManager.default.createDirectory(
                    atPath: configuration.stateDirectory, withIntermediateDirectories: true)
                chmod(configuration.stateDirectory, 0o777)
            },
            Row("a state directory of too long a name", check: 2, says: "too many for the admin socket") {
                configuration, scratch in
                configuration.stateDirectory = scratch.file(String(repeating: "n", count: 100))
            },
            // 16631be: check 0, this and the next two.
            Row(
                "an address of another host", check: 2, says: "xks.listen: cannot listen on 203.0.113.9:",
                served: .ends(3)
            ) { configuration, _ in
                configuration.set("listen", "\"203.0.113.9:\(try ServeConfiguration.freePort())\"", in: "[xks]")
            },
            Row("a port that is taken", check: 2, says: "control.listen: cannot listen on", served: .ends(3)) {
                configuration, _ in
                configuration.set("listen", "\"127.0.0.1:\(try TakenPort.shared.get().port)\"", in: "[control]")
            },
            Row("one token by its label and by its serial number", says: "hsm-2 is the token of hsm \"hsm-1\"") {
                configuration, _ in
                try configuration.nameTokenOfFirstHSMAgain()
            },
            Row("one token twice by its label", check: 2, offline: 2, says: "is the token of hsm", served: .ends(2)) {
                configuration, _ in
                for key in ["token", "env", "pin"] {
                    configuration.set(key, try configuration.value(of: key, in: "[[hsm]]"), in: "[[hsm]]", number: 1)
                }
            },
            Row("a deadline that KMS does not wait for", says: "xks.request_deadline: 300ms is more than") {
                configuration, _ in configuration.set("request_deadline", "\"300ms\"", in: "[xks]")
            },
            // 16631be: check 2, though the other HSM serves; this and the next three.
            Row("one HSM of two without its token", says: "hsm[1]: ") { configuration, _ in
                configuration.set("token", "{ label = \"nowhere\" }", in: "[[hsm]]", number: 1)
            },
            Row("one HSM of two without its library", says: "hsm[1]: ") { configuration, _ in
                configuration.set("module", "\"/nowhere/libpkcs11.so\"", in: "[[hsm]]", number: 1)
            },
            Row("one PIN of two that is wrong", says: "hsm[1]: ") { configuration, scratch in
                let pin = try scratch.write("not-the-pin\n", to: "pin")
                configuration.set("pin", "{ file = \"\(pin)\" }", in: "[[hsm]]", number: 1)
            },
            Row("a key of 128 bits that no key store offers", says: "note: hsm[0]: hsm-1: key \"short\"") {
                configuration, _ in
                try TokenTool(facts: configuration.facts, hsm: "hsm-1").makeKey("short", bytes: 16)
            },
            Row(
                "no HSM with its token", check: 2, says: "hsm[0]: ", served: .no(condition: "no-node-serves")
            ) { configuration, _ in
                configuration.setInAll("[[hsm]]", "token", "{ label = \"nowhere\" }")
                configuration.removeTable("[[hsm]]", number: 1)
            },
            Row("a pattern that no key fits yet", says: "fits \"none-*\" yet") { configuration, _ in
                configuration.set("keys", "[\"foo\", \"none-*\"]", in: "[[keystore]]")
            },
            // The one difference: a node serves the other keys, and says key-unserved.
            Row("a key that is nowhere", check: 2, says: "no AES-256 key of label \"nowhere\" on hsm-1 and hsm-2") {
                configuration, _ in configuration.set("keys", "[\"foo\", \"nowhere\"]", in: "[[keystore]]")
            },
            Row(
                "no key but one that is nowhere", check: 2, says: "no AES-256 key of label \"nowhere\"",
                served: .no(condition: "no-key-served")
            ) { configuration, _ in configuration.set("keys", "[\"nowhere\"]", in: "[[keystore]]") },
            Row("two keys of one label", says: "twice", served: .no(condition: "no-key-served")) { configuration, _ in
                for hsm in ["hsm-1", "hsm-2"] {
                    for _ in 1...2 { try TokenTool(facts: configuration.facts, hsm: hsm).makeKey("twice") }
                }
                configuration.set("keys", "[\"twice\"]", in: "[[keystore]]")
            },
            Row("a library that everybody may replace", says: "can be written by every user of this host") {
                configuration, scratch in
                let module = scratch.file("library.so")
                let library = URL(fileURLWithPath: softHSMLibrary).resolvingSymlinksInPath().path
                try FileManager.default.copyItem(atPath: library, toPath: module)
                chmod(module, 0o666)
                configuration.set("module", "\"\(module)\"", in: "[[hsm]]", number: 1)
            },
            Row("a policy that everybody may replace", says: "policy.json can be written by every user of this host") {
                configuration, scratch in
                let policy = try scratch.write(
                    #"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}"#,
                    to: "policy.json")
                chmod(policy, 0o666)
                configuration.set("policy", "\"\(policy)\"", in: "[[keystore]]")
            },
            Row("a state directory that a group may write to", says: "whose members could take away or replace") {
                configuration, _ in
                try makeStateDirectory(configuration)
                chmod(configuration.stateDirectory, 0o770)
            },
            Row(
                "a directory in place of the database", check: 2,
                says: "claviger.sqlite is a directory, where a file of the node's belongs: move it away",
                served: .no(condition: "blocks-unknown")
            ) { configuration, _ in
                try FileManager.default.createDirectory(
                    atPath: configuration.database, withIntermediateDirectories: true)
                chmod(configuration.stateDirectory, 0o700)
            },
            Row("a directory in place of the admin socket's lock", check: 2, says: "admin.lock is a directory") {
                configuration, _ in
                let lock = configuration.stateDirectory + "/admin.lock"
                try FileManager.default.createDirectory(atPath: lock, withIntermediateDirectories: true)
                chmod(configuration.stateDirectory, 0o700)
            },
            Row(
                "one HSM of two with another one's profile",
                says: "does not work by the profile that is configured (IV by the caller, parameters of 40 bytes)"
            ) { configuration, _ in configuration.set("profile", "\"luna\"", in: "[[hsm]]", number: 1) },
            Row("sessions that leave none for requests", check: 2, offline: 2, says: "session_limit", served: .ends(2))
            {
                configuration, _ in configuration.set("session_limit", "2", in: "[[hsm]]")
            },
            Row("a group of operators that is not there", says: "node.admin_group: there is no group nobodies: ") {
                configuration, _ in configuration.set("admin_group", "\"nobodies\"", in: "[node]")
            },
            Row("a file of the ciphertext's format that holds none", says: "it does not hold a number") {
                configuration, _ in
                try makeStateDirectory(configuration)
                try "x".write(
                    toFile: configuration.stateDirectory + "/ciphertext-format", atomically: false, encoding: .utf8)
            },
            Row(
                "a link that leads nowhere", check: 2, says: "is a symbolic link to nowhere; remove it",
                served: .no(condition: "blocks-unknown")
            ) { configuration, scratch in
                configuration.stateDirectory = scratch.file("link")
                try FileManager.default.createSymbolicLink(
                    atPath: configuration.stateDirectory, withDestinationPath: scratch.file("nowhere"))
            },
            Row(
                "HSMs that are all drained", check: 2, says: "hsm-1: it was taken out of use by `claviger hsm drain`",
                served: .no(condition: "no-node-serves")
            ) { configuration, _ in
                let node = try Node.serve(configuration, activeHSMs: nil)
                for hsm in ["hsm-1", "hsm-2"] { try Operator(configuration).done("hsm", "drain", hsm) }
                #expect(try node.stop() == .exited(0))
            },
            Row("one HSM of two that is drained", says: "hsm-2: it was taken out of use") { configuration, _ in
                let node = try Node.serve(configuration, activeHSMs: nil)
                try Operator(configuration).done("hsm", "drain", "hsm-2")
                #expect(try node.stop() == .exited(0))
            },
            Row("a PIN that is not there", check: 2, says: "/nowhere/pin", served: .ends(2)) { configuration, _ in
                configuration.set("pin", "{ file = \"/nowhere/pin\" }", in: "[[hsm]]", number: 1)
            },
            Row("an unknown key", check: 2, offline: 2, says: "xks.lissten", served: .ends(2)) { configuration, _ in
                configuration.set("lissten", "\"127.0.0.1:1\"", in: "[xks]")
            },
            Row("a label that can be no external key id", check: 2, offline: 2, says: "\"a b\"", served: .ends(2)) {
                configuration, _ in configuration.set("keys", "[\"foo\", \"a b\"]", in: "[[keystore]]")
            },
            Row(
                "an access key id of a wrong form", check: 2, offline: 2, says: "access_key_id: must be 20 to 30",
                served: .ends(2)
            ) {
                configuration, _ in
                let secret = configuration.origin.state + "/secret"
                configuration.set(
                    "credentials", "[{ access_key_id = \"short\", secret = { file = \"\(secret)\" } }]",
                    in: "[[keystore]]")
            },
        ]

        private static func makeStateDirectory(_ configuration: ServeConfiguration) throws {
            try FileManager.default.createDirectory(
                atPath: configuration.stateDirectory, withIntermediateDirectories: true)
            chmod(configuration.stateDirectory, 0o700)
        }

        @Test(arguments: rows)
        func row(_ row: Row) throws {
            let scratch = try Scratch()
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = scratch.file("node")
            try row.change(&configuration, scratch)
            let file = try configuration.write()
            let offline = try ClavigerBinary.run(["check", "--offline", "--config", file])
            #expect(offline.end == .exited(row.offline), "\(offline)")
            var check = try ClavigerBinary.run(["check", "--config", file])
            // SoftHSM, when two processes open one token's files at the same time, may show one of them no token.
            for _ in 0..<5 where check.errors.contains("no token has serial") {
                check = try ClavigerBinary.run(["check", "--config", file])
            }
            #expect(check.end == .exited(row.check), "\(check)")
            #expect(row.says.isEmpty ? check.errors.isEmpty : check.errors.contains(row.says), "\(check)")
            if row.check == 0 {
                let strict = try ClavigerBinary.run(["check", "--strict", "--config", file])
                let isWarned = check.errors.contains("warning: ")
                #expect(strict.end == .exited(isWarned ? 2 : 0), "\(strict)")
            }
            try expect(row.served, of: configuration)
        }

        private func expect(_ served: Served, of configuration: ServeConfiguration) throws {
            switch served {
            case .ends(let status):
                let process = try ChildProcess([ClavigerBinary.path, "serve", "--config", try configuration.write()])
                #expect(try process.end(within: 30) == .exited(status), "\(process.errors)")
            case .yes, .no:
                let node = try Node.serve(configuration, activeHSMs: nil)
                if case .no(let code) = served {
                    _ = try node.logEntry("condition \(code)") {
                        $0["message"] == "condition began" && $0["code"] == code
                    }
                    #expect(try XKSClient(node).encrypt([1]).status != 200, "\(node.process.errors)")
                    #expect(try node.control("/readyz").status == 503)
                } else {
                    // Its worker has to begin.
                    try eventually("foo is encrypted", within: 20) { try XKSClient(node).encrypt([1]).status == 200 }
                }
                #expect(try node.stop() == .exited(0))
            }
        }
    }
}

/// A TCP port of the loopback address on which this process listens, to its end.
private struct TakenPort {
    static let shared = Result { try TakenPort() }

    let port: Int

    private init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        port = try ServeConfiguration.freePort()
        var address = loopback(port: port)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeBytes(of: &address) { bytes in
            bytes.baseAddress.map { bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self), length) } ?? -1
        }
        guard result == 0, listen(descriptor, 1) == 0 else { throw HarnessError("port \(port) cannot be taken") }
    }
}
