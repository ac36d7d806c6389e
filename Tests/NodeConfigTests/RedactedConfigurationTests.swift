// SPDX-License-Identifier: Apache-2.0
import Foundation
import NodeConfig
import Testing

@Suite struct RedactedConfigurationTests {
    private func json(_ text: String) throws -> String {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("redacted-\(UUID().uuidString).toml")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try RedactedConfiguration.json(file: file.path)
    }

    @Test func whatLibrariesAndCommandsAreGivenIsNotShown() throws {
        let text = try json(
            """
            [node]
            id = "fra-1 \\"quoted\\" \\u0001"
            event_loops = 2
            [[hsm]]
            name = "a"
            env = { A = "secret-one" }
            initialize_arguments = "secret-two"
            pin = { command = ["/bin/pin", "secret-three", "secret-four"] }
            [[hsm]]
            [hsm.env]
            B = "secret-five"
            [[keystore]]
            credentials = [{ access_key_id = "ID", secret = { command = ["/bin/only"] } }]
            """)
        #expect(!text.contains("secret-"), "\(text)")
        let tree = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let node = try #require(tree["node"] as? [String: Any])
        #expect(node["id"] as? String == "fra-1 \"quoted\" \u{1}" && node["event_loops"] as? Int == 2)
        let hsms = try #require(tree["hsm"] as? [[String: Any]])
        #expect(hsms[0]["env"] as? [String: String] == ["A": "(not shown)"])
        #expect(hsms[1]["env"] as? [String: String] == ["B": "(not shown)"])
        #expect((hsms[0]["pin"] as? [String: [String]])?["command"] == ["/bin/pin", "(not shown)"])
        #expect(text.contains("\"/bin/only\"\n"), "\(text)")
    }

    @Test func whatIsNoConfigurationIsRefused() {
        #expect(throws: ConfigurationProblem.self) { try json("= broken") }
        #expect(throws: ConfigurationProblem.self) { try RedactedConfiguration.json(file: "/nowhere/x.toml") }
    }
}
