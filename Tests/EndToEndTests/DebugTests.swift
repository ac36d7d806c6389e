// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("claviger debug", .devTokens(2))
    struct Debug {
        /// The members of an archive as GNU tar reads them, by the last part of their names.
        private func members(_ archive: String, _ scratch: Scratch) throws -> [String: String] {
            let folder = scratch.file("opened-\(UUID().uuidString)")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let opened = try run(["/bin/tar", "-xf", archive, "-C", folder])
            guard opened.isSuccess else { throw HarnessError("tar: \(opened)") }
            let files = try FileManager.default.subpathsOfDirectory(atPath: folder)
            return try Dictionary(
                uniqueKeysWithValues: files.filter { $0.contains("/") }.map { file in
                    (String(file.split(separator: "/").last ?? ""), try text(ofFile: "\(folder)/\(file)"))
                })
        }

        @Test("one archive has everything of a node that runs, and no secret of the run")
        func running() throws {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            configuration.set(
                "env", "{ SOFTHSM2_CONF = \"\(try sharedNode().state)/hsm-1/softhsm2.conf\", OTHER = \"env-secret\" }",
                in: "[[hsm]]")
            let pin = try text(ofFile: try sharedNode().state + "/hsm-2/pin")
            let script = try configuration.scratch.write(
                "#!/bin/sh\ncat '\(try sharedNode().state)/hsm-2/pin'\n", to: "pin.sh")
            chmod(script, 0o700)
            configuration.set("pin", "{ command = [\"\(script)\", \"word-secret\"] }", in: "[[hsm]]", number: 1)
            let node = try Node.serve(configuration, activeHSMs: 2)
            let client = try XKSClient(node)
            let plaintext = Array("plaintext of the run, 32 bytes..".utf8)
            let sealed = try client.encrypted(plaintext)
            #expect(try client.decrypted(sealed) == plaintext)
            let op = Operator(configuration)
            let file = configuration.scratch.file("bundle.tar")
            let written = try op.call("debug", "--seconds", "1", "--output", file)
            #expect(written.end == .exited(0) && written.output.contains(file), "\(written)")
            var facts = stat()
            #expect(stat(file, &facts) == 0 && facts.st_mode & 0o777 == 0o600)

            let members = try members(file, configuration.scratch)
            for name in [
                "README.txt", "configuration.json", "diagnosis.txt", "diagnosis.json", "status.json", "cluster.json",
                "log.txt", "metrics-1.txt", "metrics-2.txt", "libraries.txt", "host.txt",
            ] {
                #expect(members[name]?.isEmpty == false, "\(name)")
            }
            #expect(members["log.txt"]?.contains("\"hsm ready\"") == true)
            #expect(members["metrics-2.txt"]?.contains("claviger_requests_total{operation=\"Encrypt\"") == true)
            #expect(members["libraries.txt"]?.contains("SHA-256") == true)
            let settings = try #require(
                try JSONSerialization.jsonObject(with: Data((members["configuration.json"] ?? "").utf8))
                    as? [String: Any])
            #expect(settings.keys.contains("xks") && members["configuration.json"]?.contains("(not shown)") == true)
            let whole = try Data(contentsOf: URL(fileURLWithPath: file))
            let secrets = [
                pin, try text(ofFile: try sharedNode().state + "/hsm-1/pin"), node.facts.secret, "env-secret",
                "word-secret", "plaintext of the run", base64(plaintext), sealed.ciphertext,
            ]
            for secret in secrets {
                let bytes = Data(secret.trimmingCharacters(in: .whitespacesAndNewlines).utf8)
                #expect(!bytes.isEmpty && whole.range(of: bytes) == nil, "a secret of \(bytes.count) bytes is in it")
            }

            // What is there is not overwritten.
            let again = try op.call("debug", "--seconds", "1", "--output", file)
            #expect(again.end == .exited(3) && again.errors.contains("is there already"), "\(again)")
            #expect(try node.stop() == .exited(0))
            let later = configuration.scratch.file("later.tar")
            #expect(try op.call("debug", "--output", later).end == .exited(0))
            let rest = try self.members(later, configuration.scratch)
            #expect(rest["status.json"] == nil && rest["log.txt"] == nil && rest["diagnosis.json"] != nil)
        }
    }
}
