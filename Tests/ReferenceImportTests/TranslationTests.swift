// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import ReferenceImport
import SecureMemory
import Testing

@Suite struct TranslationTests {
    @Test("the settings with every table become this configuration")
    func whole() throws {
        let settings = try Settings.configuration(Settings.whole)
        #expect(settings.node.id == "fra-1")
        let xks = settings.xks
        #expect("\(xks.listen)" == "0.0.0.0:443")
        #expect(
            xks.protection
                == .tls(
                    certificate: "/opt/xks/tls/server_cert.pem", key: "/etc/xks/server_key.pem",
                    clients: XKSSettings.ClientVerification(
                        ca: "/etc/xks/client_ca.pem", names: ["cks.kms.eu-central-1.amazonaws.com"])))
        #expect(xks.maxPlaintextBytes == 12_288 && xks.maxAADBytes == 16_384)
        #expect(xks.keepalive == XKSSettings.Keepalive(idle: .seconds(60), interval: .seconds(2), count: 4))
        #expect(settings.hsms.count == 1)
        let hsm = try #require(settings.hsms.first)
        #expect(hsm.name == "hsm-1" && hsm.module == "/usr/lib/softhsm/libsofthsm2.so")
        #expect(hsm.token == .label("xks") && hsm.sessions == 30 && hsm.profile == "auto")
        #expect(hsm.pin == .file("/etc/claviger/hsm-1.pin"))
        #expect(settings.keyStores.count == 1)
        let store = try #require(settings.keyStores.first)
        #expect(store.pathPrefix == "/example/uri/path/prefix" && store.keys == [.label("foo"), .label("bar")])
        #expect(
            store.credentials == [
                KeyStoreSettings.Credential(
                    accessKeyID: Settings.accessKeyID, secret: .file("/etc/claviger/keystore-2.secret"))
            ])
        #expect(store.aad == .digest && store.regions == ["eu-central-1"] && store.policy == "/x/policy.json")
    }

    @Test("secrets are in files of their own, and nowhere else")
    func secrets() throws {
        let imported = try Settings.imported(Settings.whole)
        let secrets = imported.secrets.map { secret in
            (secret.name, secret.content.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
        }
        #expect(secrets.map(\.0) == ["hsm-1.pin", "keystore-2.secret"])
        #expect(Set(secrets.map(\.1)) == [Settings.secret + "\n", Settings.pin + "\n"])
        let said = imported.text + imported.notes.map { $0.rendered(file: "settings.toml") }.joined()
        #expect(!said.contains(Settings.secret) && !said.contains(Settings.pin))
        let beside = try Settings.imported(Settings.whole, secretDirectory: nil)
        #expect(beside.text.contains("pin = { file = \"hsm-1.pin\" }"))
    }

    /// A line of the settings, the line in its place, what stands in the configuration and what is said of it.
    struct Case: CustomTestStringConvertible {
        var line: String
        var new: String
        var expected: String
        var note = ""
        var testDescription: String { new }
    }

    static let cases = [
        Case(line: "ip = \"0.0.0.0\"", new: "ip = \"::\"", expected: "\nlisten = \"[::]:443\"\n"),
        Case(line: "port_http_ping = 80", new: "", expected: "", note: "server.port_http_ping: the load balancer's"),
        Case(
            line: "port_http_ping = 80", new: "port_http_ping = 81", expected: "",
            note: "settings.toml:4: server.port_http_ping = 81: the load balancer's check has to be changed"),
        Case(
            line: "service = \"kms-xks-proxy\"", new: "service = \"other\"", expected: "",
            note: "settings.toml:6: server.service = \"other\": left out"),
        Case(line: "level = \"DEBUG\"", new: "level = \"INFO\"", expected: "\nlog_level = \"info\"\n"),
        Case(
            line: "level = \"DEBUG\"", new: "level = \"ERROR\"", expected: "\nlog_level = \"notice\"\n",
            note: "tracing.level = \"ERROR\": taken as log_level"),
        Case(
            line: "is_mtls_enabled = true", new: "is_mtls_enabled = false", expected: "",
            note: "tls.mtls_client_ca_pem = \"/etc/xks/client_ca.pem\": left out"),
        Case(
            line: "is_tls_enabled = true", new: "is_tls_enabled = false", expected: "\nplaintext = true\n",
            note: "security.is_tls_enabled = false: carried over as plaintext"),
        Case(
            line: "is_sigv4_auth_enabled = true", new: "is_sigv4_auth_enabled = false", expected: "",
            note: "security.is_sigv4_auth_enabled = false: left out"),
        Case(
            line: "mtls_client_dns_name = \"cks.kms.eu-central-1.amazonaws.com\"",
            new: "mtls_client_dns_name = \"a.example\"", expected: "\nclient_name = \"a.example\"\n",
            note: "tls.mtls_client_dns_name = \"a.example\": KMS shows"),
        Case(
            line: "tcp_keepalive_secs = 60", new: "tcp_keepalive_secs = 7200", expected: "idle = \"3600s\"",
            note: "tcp_keepalive_secs = 7200: taken as 3600"),
        Case(
            line: "tcp_keepalive_secs = 60", new: "", expected: "{ interval = \"2s\", count = 4 }",
            note: "tcp_keepalive_secs: without it"),
        Case(
            line: "session_pool_max_size = 30", new: "session_pool_max_size = 2000", expected: "\nsessions = 1024\n",
            note: "pkcs11.session_pool_max_size = 2000: taken as 1024"),
        Case(
            line: "user_pin = \"\(Settings.pin)\"", new: "user_pin = \"\"", expected: "",
            note: "pkcs11.user_pin: is empty, so nothing logs in"),
        Case(
            line: "PKCS11_HSM_MODULE = \"/usr/lib/softhsm/libsofthsm2.so\"", new: "PKCS11_HSM_MODULE = \"lib/p11.so\"",
            expected: "\nmodule = \"/opt/xks/lib/p11.so\"\n", note: "begins where the reference proxy is started"),
        Case(
            line: "max_plaintext_in_base64 = 16384", new: "max_plaintext_in_base64 = 8192", expected: "",
            note: "max_plaintext_bytes = 8192, in bytes before Base64; the setting is 6144"),
        Case(
            line: "max_aad_in_base64 = 16384", new: "max_aad_in_base64 = 87380", expected: "\nmax_aad_bytes = 65535\n"),
        Case(
            line: "can_generate_iv = false", new: "can_generate_iv = true", expected: "",
            note: "profile = \"appended\""),
        Case(
            line: "is_zero_iv_required = false", new: "is_zero_iv_required = false\nnew = \"x\"", expected: "",
            note: "settings.toml:64: hsm_capabilities.new: left out: it is no setting"),
        Case(
            line: "xks_key_id_set = [\"foo\", \"bar\", \"foo\"]", new: "xks_key_id_set = [\"foo\", \"a b*\"]",
            expected: "\nkeys = [\"foo\"]\n", note: "external_key_stores[1].xks_key_id_set[1] = \"a b*\": left out"),
    ]

    @Test("each setting", arguments: cases)
    func each(_ example: Case) throws {
        let imported = try Settings.imported(Settings.whole(example.line, instead: example.new))
        #expect(imported.text.contains(example.expected) || example.expected.isEmpty, "\(imported.text)")
        let notes = imported.notes.map { $0.rendered(file: "settings.toml") }
        #expect(example.note.isEmpty || notes.contains { $0.contains(example.note) }, "\(notes)")
        // Each note stands in the file, too.
        let comments = imported.text.split(separator: "\n").filter { $0.hasPrefix("#") }.map { $0.dropFirst(2) }
        let words = comments.joined(separator: " ").split(separator: " ").joined(separator: " ")
        for note in imported.notes { #expect(words.contains(note.text), "\(note)") }
    }

    @Test("without a token the first slot is taken, and a person is told to look")
    func token() throws {
        let imported = try Settings.imported(Settings.whole, token: nil)
        #expect(imported.text.contains("\ntoken = { slot = 0 }\n"))
        #expect(imported.notes.contains { $0.kind == .toDo && $0.text.contains("first slot") })
        let named = try Settings.imported(Settings.whole)
        #expect(!named.notes.contains { $0.text.contains("first slot") })
    }

    @Test("the logger before the library is left out")
    func logger() throws {
        let module = "PKCS11_HSM_MODULE = \"/usr/lib/softhsm/libsofthsm2.so\""
        let text = Settings.whole(module, instead: "PKCS11_HSM_MODULE = \"/opt/pkcs11-logger-x64.so\"")
        #expect(Settings.problems(text).contains("there is no table pkcs11_logger"))
        let whole =
            text + "[pkcs11_logger]\nPKCS11_LOGGER_LIBRARY_PATH = \"/opt/hsm.so\"\nPKCS11_LOGGER_FLAGS = \"0\"\n"
        #expect(try Settings.configuration(whole).hsms.first?.module == "/opt/hsm.so")
    }

    @Test("rules of Oso become a policy that has to be written; without them there is none")
    func policy() throws {
        let imported = try Settings.imported(Settings.whole)
        #expect(imported.notes.first { $0.setting == "security.secondary_auth" }?.kind == .toDo)
        let without = try Settings.configuration(Settings.whole("secondary_auth = \"Oso\"", instead: ""))
        #expect(without.keyStores.first?.policy == nil)
    }

    @Test("where the reference proxy is started")
    func workingDirectory() {
        #expect(ImportOptions.workingDirectory(ofSettings: "/a/configuration/settings.toml") == "/a")
        #expect(ImportOptions.workingDirectory(ofSettings: "/a/.secret/settings.toml") == "/a/.secret")
        #expect(ImportOptions.workingDirectory(ofSettings: "/settings.toml") == "/")
    }
}
