// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("claviger dev")
    struct DevCommand {
        @Test("the printed curl command encrypts, and a second start with the same state decrypts")
        func printedCommandWorks() throws {
            let scratch = try Scratch()
            let state = scratch.file("state")
            let first = try ChildProcess([
                ClavigerBinary.path, "dev", "--listen", "127.0.0.1:0", "--state", state, "--hsms", "2",
            ])
            let text = try first.output(with: "Ctrl-C stops the node.", within: 60)
            let command = try #require(Self.command(in: text))
            #expect(command.contains("https://127.0.0.1:"))
            let curl = try run(["/bin/sh", "-c", command])
            try #require(curl.isSuccess, "\(curl.errors)")
            let encrypted = try JSONDecoder().decode(Encrypted.self, from: Data(curl.output.utf8))
            #expect(try bytes(ofBase64: encrypted.ciphertext).count == "Hello, Claviger".utf8.count)
            first.kill(SIGINT)
            #expect(try first.end(within: 30) == .exited(0))

            let second = try Node.dev(["--hsms", "2"], state: state)
            let reply = try Curl(second).post("/keys/foo/decrypt", Body.decrypt(encrypted))
            #expect(reply.body == #"{"plaintext":"SGVsbG8sIENsYXZpZ2Vy"}"#)
            #expect(try second.stop() == .exited(0))
        }

        @Test("a second node on the same state directory is refused, and says what to do")
        func secondNodeIsRefused() throws {
            let node = try Node.dev(["--hsms", "1", "--plaintext"])
            let second = try ClavigerBinary.run(["dev", "--listen", "127.0.0.1:0", "--state", node.state])
            #expect(second.end == .exited(3))
            #expect(second.output.isEmpty)
            #expect(second.errors.contains("Another development node uses this state directory"))
            #expect(second.errors.contains("--state"))
            // The first one is not disturbed.
            let reply = try XKSClient(node).encrypt([1, 2, 3])
            #expect(reply.status == 200, "\(reply.text)")
            #expect(try node.stop() == .exited(0))
        }

        /// From the line that begins with curl to the empty line after it.
        private static func command(in text: String) -> String? {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            guard let start = lines.firstIndex(where: { $0.hasPrefix("curl ") }),
                let end = lines[start...].firstIndex(of: "")
            else { return nil }
            return lines[start..<end].joined(separator: "\n")
        }
    }
}
