// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import Testing

@Suite struct ControlTableTests {
    private static let files = "certificate = \"tls/control.pem\"\nkey = \"/control-key.pem\"\n"

    private func file(_ table: String) -> String { goodFile + "\n[control]\n\(table)\n" }

    @Test func aCertificateAndATokenAreRead() throws {
        let settings = try parse(file(Self.files + "token = { file = \"control.token\" }\nshow_keys = true"))
        #expect(
            settings.control.protection
                == .init(
                    certificate: "/etc/claviger/tls/control.pem", key: "/control-key.pem",
                    token: .file("/etc/claviger/control.token")))
        #expect(settings.secretSources.contains(.file("/etc/claviger/control.token")))
        let alone = try parse(file(Self.files))
        #expect(alone.control.protection?.token == nil && alone.control.protection != nil)
        #expect(try parse(file("show_keys = true")).control.protection == nil)
    }

    @Test(arguments: [
        (
            "token = { file = \"t\" }", "control.token",
            "needs certificate and key: over plain HTTP, whoever is on the way"
        ),
        ("certificate = \"/c\"", "control.key", "is missing; write key = \"/etc/claviger/tls/control-key.pem\""),
        ("key = \"/k\"", "control.certificate", "is missing; write certificate = "),
        ("certificate = 7\nkey = \"/k\"", "control.certificate", "must be a string"),
        (files + "token = \"secret-token-0123456\"", "control.token", "is a secret, and must not stand in the file"),
        (files + "token = { file = \"a\", env = \"B\" }", "control.token", "names more than one source"),
        (files + "tokens = 1", "control.tokens", "did you mean `token`?"),
    ])
    func aMistakeIsNamed(table: String, path: String, says: String) throws {
        let found = problems(file(table))
        #expect(found.map(\.path) == [path])
        let text = found.first?.rendered(file: "f") ?? ""
        #expect(text.contains(says) && !text.contains("secret-token"), "\(text)")
    }
}
