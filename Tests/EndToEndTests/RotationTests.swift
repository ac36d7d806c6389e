// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import SecureMemory
import SigV4
import Testing
import XKSProtocol

extension EndToEnd {
    @Suite("replacing a key store's credential", .devTokens(1))
    struct Rotation {
        private struct Known: Decodable {
            var accessKeyId: String
            var firstSeenUnixSeconds: Int?
            var lastUsedUnixSeconds: Int?
            var lastUsedAt: String?
        }

        private func list(_ op: Operator) throws -> [Known] {
            try JSONDecoder().decode([Known].self, from: Data(try op.done("keystore", "list", "--json").utf8))
        }

        private func rotate(_ op: Operator, _ node: Node) throws -> (text: String, end: ProcessEnd) {
            let result = try op.call("keystore", "rotate", node.facts.prefix)
            return ((result.output + result.errors).split { $0.isWhitespace }.joined(separator: " "), result.end)
        }

        /// Adds to the key store's credentials, or leaves some out.
        private func credentials(_ configuration: inout ServeConfiguration, _ entries: [String]) throws {
            configuration.set("credentials", "[\(entries.joined(separator: ", "))]", in: "[[keystore]]")
            _ = try configuration.write()
        }

        private func entry(_ id: String, _ file: String) -> String {
            "{ access_key_id = \"\(id)\", secret = { file = \"\(file)\" } }"
        }

        /// The health of the key store, as KMS asks for it with this credential.
        private func ask(_ node: Node, _ credential: Credential) throws -> Int {
            let connection = try HTTPConnection(url: node.facts.url)
            let target = "\(node.facts.prefix)/kms/xks/v1/health"
            let body = Array(Body.health.utf8)
            let headers = try SigV4Signer(credential: credential, region: "us-east-1").sign(
                method: "POST", target: target, headers: [HeaderField(name: "host", value: connection.host)],
                body: SecretBytes(body), now: Int64(Date().timeIntervalSince1970))
            return try connection.send("POST", target, headers: headers.map { ($0.name, $0.value) }, body: body).status
        }

        @Test("two nodes are led through all steps, and no reload takes away what KMS still signs with at either")
        func steps() throws {
            let first = try ServeConfiguration(from: try sharedNode())
            var second = try ServeConfiguration(from: try sharedNode())
            second.useCredential(of: first)
            let pair = try Pair([first, second], hsms: 1)
            var configurations = pair.configurations
            let (one, two) = (pair.op("node-1"), pair.op("node-2"))
            let old = try pair.node("node-1").credential()
            let secrets = configurations[0].scratch
            try secrets.write(pair.node("node-1").facts.secret, to: "old.secret")
            for index in configurations.indices {
                try credentials(&configurations[index], [entry(old.accessKeyID, secrets.file("old.secret"))])
            }
            chmod(secrets.file("old.secret"), 0o600)
            try one.done("reload")
            try two.done("reload")

            // Used at the other node only: this one learns of it.
            #expect(try ask(pair.node("node-2"), old) == 200)
            try eventually("node-1 knows of the use at node-2", within: 40, every: 0.2) {
                let known = try list(one).first
                return known?.lastUsedAt == "node-2" && known?.lastUsedUnixSeconds.map { $0 % 60 == 0 } == true
            }
            #expect(try list(one).map(\.accessKeyId) == [old.accessKeyID])
            #expect(try list(one).first?.firstSeenUnixSeconds != nil)

            // Step 1, twice: the same credential.
            let made = try rotate(one, pair.node("node-1"))
            #expect(made.end == .exited(0) && made.text.contains("Step 1 of 4") && made.text.contains("Made now"))
            #expect(try rotate(one, pair.node("node-1")).text.contains("Made before"))
            let names = try FileManager.default.contentsOfDirectory(atPath: secrets.path).filter {
                $0.hasSuffix(".secret") && $0 != "old.secret"
            }
            let id = try #require(names.first.map { String($0.dropLast(".secret".count)) })
            #expect(names.count == 1 && made.text.contains("access_key_id = \"\(id)\""))
            let text = try EndToEndTests.text(ofFile: secrets.file("\(id).secret"))
            #expect(!made.text.contains(text))
            let new = try Credential(accessKeyID: id, secret: SecretBytes(text.utf8))

            // Step 2 is not taken before all nodes have it.
            let both = [entry(old.accessKeyID, secrets.file("old.secret")), entry(id, secrets.file("\(id).secret"))]
            try credentials(&configurations[0], both)
            let early = try rotate(one, pair.node("node-1"))
            #expect(early.end == .exited(1) && early.text.contains("node-2 works by another configuration"), "\(early)")
            try credentials(&configurations[1], both)
            try eventually("step 2", within: 20, every: 0.2) {
                try rotate(two, pair.node("node-2")).text.contains("Step 2 of 4")
            }
            let told = try rotate(one, pair.node("node-1"))
            #expect(told.end == .exited(0) && told.text.contains("aws kms update-custom-key-store"), "\(told)")
            #expect(told.text.contains("file://\(secrets.file("\(id).json"))") && !told.text.contains(text))
            let document = try EndToEndTests.text(ofFile: secrets.file("\(id).json"))
            #expect(document.contains(id) && document.contains(text))

            // Step 3: KMS signs with the new one; the old one may not go.
            #expect(try ask(pair.node("node-2"), new) == 200 && ask(pair.node("node-2"), old) == 200)
            try eventually("step 3", within: 40, every: 0.2) {
                try rotate(one, pair.node("node-1")).text.contains("Step 3 of 4: KMS signs with \(id)")
            }
            try credentials(&configurations[0], [both[1]])
            let refused = try one.call("reload")
            let words = (refused.errors + refused.output).split { $0.isWhitespace }.joined(separator: " ")
            #expect(refused.end == .exited(1) && words.contains("the file has lost credentials"), "\(words)")
            #expect(words.contains(old.accessKeyID) && words.contains("at node-2") && words.contains("--force"))
            kill(pair.node("node-1").pid, SIGHUP)
            _ = try pair.node("node-1").logEntry("the refusal of the signal") {
                $0.message == "configuration not reloaded" && $0["reason"]?.contains(old.accessKeyID) == true
            }
            #expect(try ask(pair.node("node-1"), old) == 200)
            #expect(try one.done("reload", "--force").contains("Key stores changed"))
            #expect(try ask(pair.node("node-1"), old) == 401 && ask(pair.node("node-1"), new) == 200)
            for name in Pair.names { #expect(try pair.node(name).stop() == .exited(0)) }
        }

        @Test("when a credential was used is known after a restart, and then, too, it does not go")
        func restarted() throws {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("node")
            let node = try Node.serve(configuration, activeHSMs: 1)
            let op = Operator(configuration)
            #expect(try ask(node, node.credential()) == 200)
            try eventually("it is known", within: 10, every: 0.1) { try list(op).first?.lastUsedUnixSeconds != nil }
            let before = try #require(try list(op).first)
            #expect(try node.stop() == .exited(0))
            let again = try Node.serve(configuration, activeHSMs: 1)
            let after = try #require(try list(op).first)
            #expect(after.lastUsedUnixSeconds == before.lastUsedUnixSeconds && after.lastUsedAt == before.lastUsedAt)
            #expect(after.firstSeenUnixSeconds == before.firstSeenUnixSeconds)
            try configuration.scratch.write(String(repeating: "s", count: 43), to: "other.secret")
            chmod(configuration.scratch.file("other.secret"), 0o600)
            try credentials(
                &configuration, [entry("AAAABBBBCCCCDDDD2222", configuration.scratch.file("other.secret"))])
            let refused = try op.call("reload")
            #expect(refused.end == .exited(1) && (refused.errors + refused.output).contains(before.accessKeyId))
            #expect(try again.stop() == .exited(0))
        }
    }
}
