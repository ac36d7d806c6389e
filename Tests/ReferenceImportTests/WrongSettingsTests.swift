// SPDX-License-Identifier: Apache-2.0
import Chance
import NodeConfig
import ReferenceImport
import Testing

@Suite struct WrongSettingsTests {
    @Test(
        "what is wrong is told with its line",
        arguments: [
            ("ip = \"0.0.0.0\"", "ip = \"300.1.1\"", "settings.toml:2: server.ip = \"300.1.1\": is not an IP address"),
            ("ip = \"0.0.0.0\"", "", "settings.toml:1: server.ip: is missing"),
            ("port = 443", "port = 70000", "settings.toml:3: server.port = 70000: must be between 1 and 65535"),
            ("port = 443", "port = \"443\"", "settings.toml:3: server.port = \"443\": must be an integer"),
            ("region = \"eu-central-1\"", "region = \"EU\"", "server.region = \"EU\": is not a region"),
            (
                "ciphertext_metadata_b64 = \"djAuMC4x\"", "ciphertext_metadata_b64 = \"Q0xWAQ==\"",
                "settings.toml:7: server.ciphertext_metadata_b64 = \"Q0xWAQ==\": is the mark of Claviger's own"
            ),
            (
                "ciphertext_metadata_b64 = \"djAuMC4x\"", "ciphertext_metadata_b64 = \"x\"",
                "server.ciphertext_metadata_b64 = \"x\": is not Base64"
            ),
            ("level = \"DEBUG\"", "level = \"LOUD\"", "tracing.level = \"LOUD\": is none of TRACE"),
            ("tls_cert_pem = \"tls/server_cert.pem\"", "tls_cert_pem = \"\"", "tls.tls_cert_pem = \"\": is empty"),
            (
                "uri_path_prefix = \"/example/uri/path/prefix\"", "uri_path_prefix = \"/a//b\"",
                "external_key_stores[1].uri_path_prefix = \"/a//b\": must not"
            ),
            (
                "user_pin = \"\(Settings.pin)\"", "user_pin = 12345",
                "pkcs11.user_pin: must be a string, and is an integer"
            ),
            (
                "sigv4_access_key_id = \"\(Settings.accessKeyID)\"", "sigv4_access_key_id = \"\(Settings.secret)\"",
                "external_key_stores[1].sigv4_access_key_id: has 46 characters, and must have 20 to 30"
            ),
            (
                "sigv4_secret_access_key = \"\(Settings.secret)\"", "sigv4_secret_access_key = \"tooShortASecret\"",
                "external_key_stores[1].sigv4_secret_access_key: has 15 bytes, and must have 43 to 64"
            ),
            ("[security]", "[security", "settings.toml:22: is not valid TOML"),
        ])
    func wrong(_ line: String, _ new: String, _ expected: String) {
        let said = Settings.problems(Settings.whole(line, instead: new))
        #expect(said.contains(expected), "\(said)")
        for secret in [Settings.secret, Settings.pin, "12345", "tooShortASecret"] { #expect(!said.contains(secret)) }
    }

    @Test("a file of something else, or with nothing to serve")
    func nothing() {
        #expect(Settings.problems("").contains("server: is missing"))
        #expect(Settings.problems("[node]\nid = \"a\"").contains("pkcs11: is missing"))
        let empty = Settings.whole("xks_key_id_set = [\"foo\", \"bar\", \"foo\"]", instead: "xks_key_id_set = []")
        #expect(Settings.problems(empty).contains("has no key store with a credential and a key"))
        let twice = Settings.whole + "[limits]\nmax_aad_in_base64 = 1\n"
        #expect(Settings.problems(twice).contains("is not valid TOML"))
    }

    @Test("one prefix for two key stores")
    func samePrefix() {
        let text = Settings.whole("uri_path_prefix = \"\"", instead: "uri_path_prefix = \"/example/uri/path/prefix\"")
            .replacing("sigv4_access_key_id = \"\"", with: "sigv4_access_key_id = \"\(Settings.accessKeyID)\"")
            .replacing("sigv4_secret_access_key = \"\"", with: "sigv4_secret_access_key = \"\(Settings.secret)\"")
        #expect(
            Settings.problems(text).contains(
                "external_key_stores[1].uri_path_prefix = \"/example/uri/path/prefix\": is the prefix of two"))
    }

    /// What comes out is a configuration, or an error; and no secret is in either.
    @Test("settings that were altered anyhow end in a configuration or an error", arguments: 0..<40 as Range<UInt64>)
    func mutated(seed: UInt64) throws {
        var random = RandomChoice(seed: seed)
        let pieces = [
            "\"", "[", "]", "\n", "=", "1", "\u{0}", "\\u0000", "true", "{", "}", "#", "\u{85}", "é", "[[", "''", "-1",
            "\\\\",
            "9999999999999999999",
        ]
        for _ in 0..<25 {
            var text = Array(Settings.whole.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let start = Int.random(in: 0..<text.count, using: &random)
                let end = min(text.count, start + Int.random(in: 0...6, using: &random))
                let piece = pieces[Int.random(in: pieces.indices, using: &random)]
                text.replaceSubrange(start..<end, with: Array(piece.utf8))
            }
            do throws(ConfigurationProblems) {
                let imported = try ImportedConfiguration.make(
                    from: text, file: "settings\n.toml",
                    options: ImportOptions(
                        nodeID: "a", tokenLabel: nil, workingDirectory: "/", secretDirectory: nil))
                #expect(!imported.text.contains("PleaseDoNotShow"))
            } catch {
                #expect(!error.problems.isEmpty && !error.description.contains("PleaseDoNotShow"), "\(error)")
            }
        }
    }
}
