// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import SetupPlan
import Testing

@Suite struct SetupInterviewTests {
    private let host = SetupHost(
        name: "fra-1.example.com", isService: true, home: "/root", workingDirectory: "/root",
        modules: ["/usr/lib/softhsm/libsofthsm2.so"])

    /// Everything by what is proposed, and the two answers that cannot be.
    private func interview(
        _ answers: [SetupQuestion: String] = [:], keys: [SetupTokenKey] = [SetupTokenKey(label: "orders")]
    ) throws -> SetupInterview {
        var interview = SetupInterview(host: host)
        while let question = interview.next {
            if question == .token { interview.learn(tokens: [SetupToken(slot: 1, label: "xks", serial: "9")]) }
            if question == .pin {
                interview.takePIN()
                interview.learn(keys: keys)
                continue
            }
            let proposed = answers[question] ?? interview.standard(for: question)
            let needed = question == .endpoint ? "xks.example.com" : nil
            try interview.take(#require(proposed ?? needed, "\(question)"), for: question)
        }
        return interview
    }

    @Test("with what is proposed, only PIN and endpoint are a person's")
    func proposals() throws {
        let answers = try interview().answers
        #expect(answers.directory == "/etc/claviger" && answers.stateDirectory == "/var/lib/claviger")
        #expect(answers.nodeID == "fra-1" && answers.token == .label("xks") && answers.keys == [.label("orders")])
        #expect(answers.certificate == .selfSigned && answers.pathPrefix == "/claviger")
        var person = SetupInterview(
            host: SetupHost(name: "läptop", isService: false, home: "/home/anna", workingDirectory: "/", modules: []))
        #expect(person.standard(for: .directory) == "/home/anna/.config/claviger")
        #expect(person.standard(for: .nodeID) == "l--ptop")
        #expect(person.standard(for: .module) == nil)
        try person.take("n", for: .nodeID)
        #expect(person.standard(for: .stateDirectory) == "/home/anna/.local/state/claviger/n")
    }

    @Test("no login is tried where one more wrong PIN locks the token")
    func finalTry() throws {
        var interview = SetupInterview(host: host)
        interview.learn(tokens: [
            SetupToken(slot: 1, label: "last", serial: "1", isAtFinalTry: true),
            SetupToken(slot: 2, label: "b", serial: "2"),
        ])
        try interview.take("last", for: .token)
        #expect(
            interview.flawOfLogin(retriesRefused: false)?.description.contains("\"last\": one more wrong PIN") == true)
        #expect(interview.flawOfLogin(retriesRefused: true) == nil)
        try interview.take("b", for: .token)
        #expect(interview.flawOfLogin(retriesRefused: false) == nil)
    }

    @Test("keys that KMS could not use, or ask for, are not proposed")
    func proposedKeys() throws {
        let keys = [
            SetupTokenKey(label: "a"), SetupTokenKey(label: "b", bits: 128),
            SetupTokenKey(label: "c", mayDecrypt: false),
            SetupTokenKey(label: "my key"), SetupTokenKey(label: nil), SetupTokenKey(label: "twin"),
            SetupTokenKey(label: "twin"), SetupTokenKey(label: "d", bits: nil),
        ]
        var interview = SetupInterview(host: host)
        interview.learn(keys: keys)
        #expect(interview.standard(for: .keys) == "a,d")
        interview.learn(keys: [])
        #expect(interview.standard(for: .keys) == nil)
        #expect(SetupInterview(host: host, newKey: "new").standard(for: .keys) == "new")
    }

    @Test("a key that is missing or unfit is named, with the command that makes one")
    func flaws() throws {
        let interview = try interview(keys: [
            SetupTokenKey(label: "orders"), SetupTokenKey(label: "small", bits: 128), SetupTokenKey(label: "twin"),
            SetupTokenKey(label: "twin"),
        ])
        func flaw(_ key: SetupKey) -> String {
            interview.flaws(ofKeys: [key], module: "/usr/lib/v.so").map(\.description).joined()
        }
        #expect(flaw(.label("orders")).isEmpty && flaw(.label("prod-*")).isEmpty)
        #expect(flaw(.label("small")).contains("is an AES-128 key"))
        #expect(flaw(.label("twin")).contains("the label of 2 keys"))
        let missing = flaw(.named(id: "x", label: "it's"))
        #expect(
            missing.contains(
                "pkcs11-tool --module /usr/lib/v.so --token-label xks --login --keygen --key-type AES:32 --sensitive "
                    + "--label 'it'\\''s'"), "\(missing)")
        #expect(missing.contains("--make-key it's") && missing.contains("orders"))
    }

    @Test("without a terminal each missing answer is named with its option")
    func missing() {
        let interview = SetupInterview(host: host)
        func options(_ given: Set<SetupQuestion>, yes: Bool, file: Bool = false) -> [String] {
            interview.missing(given: given, takesStandards: yes, certificateIsFile: file).map(\.option)
        }
        #expect(options([], yes: true) == ["--pin-file", "--endpoint"])
        #expect(options([.pin, .endpoint], yes: true, file: true) == ["--certificate-key"])
        #expect(options([.pin, .endpoint], yes: true).isEmpty)
        let all = SetupQuestion.allCases.filter { $0 != .certificateKey }
        #expect(options([], yes: false) == all.map(\.option))
        #expect(options(Set(all), yes: false).isEmpty)
        let said = interview.missing(given: [], takesStandards: false, certificateIsFile: false).map(\.description)
        #expect(said.contains { $0.contains("--node-id: is missing") && $0.contains("--yes") && $0.contains("fra-1") })
    }

    private func configuration(
        _ answers: [SetupQuestion: String] = [:], pin: SecretSource = .file("/etc/claviger/hsm-a.pin"),
        environment: [String: String] = [:]
    ) throws -> SetupConfiguration {
        let answers = try interview(answers, keys: [SetupTokenKey(label: "orders")]).answers
        return SetupConfiguration(
            answers: answers, hsm: "hsm-a", pin: pin, environment: environment, accessKeyID: "AAAABBBBCCCCDDDD2222",
            secret: "/etc/claviger/kms.secret",
            paths: SetupPaths(directory: answers.directory ?? "", hsm: "hsm-a", pinsOfService: false))
    }

    private func settings(_ configuration: SetupConfiguration) throws -> NodeSettings {
        try NodeConfiguration.parse(Array(configuration.text().utf8), file: "x", directory: "/").settings
    }

    @Test("the product reads the file as it was answered")
    func read() throws {
        let made = try configuration(
            [
                .nodeID: "n-1", .stateDirectory: "/srv/state \"x\"", .listen: "[::]:443", .control: "127.0.0.1:9000",
                .keys: "orders,prod-*,pay=My \"key\"", .pathPrefix: "/bank/prod",
            ], pin: .credential("pin_hsm-a"), environment: ["SOFTHSM2_CONF": "/etc/a \\ b.conf", "CKNFAST_DEBUG": "1"])
        let settings = try settings(made)
        #expect(settings.node.id == "n-1" && settings.node.stateDirectory == "/srv/state \"x\"")
        #expect(settings.xks.listen == ListenAddress(host: "::", port: 443))
        #expect(settings.control.listen == ListenAddress(host: "127.0.0.1", port: 9000))
        let hsm = try #require(settings.hsms.first)
        #expect(hsm.name == "hsm-a" && hsm.module == "/usr/lib/softhsm/libsofthsm2.so" && hsm.token == .label("xks"))
        #expect(hsm.pin == .credential("pin_hsm-a"))
        #expect(hsm.environment == ["SOFTHSM2_CONF": "/etc/a \\ b.conf", "CKNFAST_DEBUG": "1"])
        let store = try #require(settings.keyStores.first)
        #expect(store.pathPrefix == "/bank/prod")
        #expect(store.keys == [.label("orders"), .glob("prod-*"), .named(id: "pay", label: "My \"key\"")])
        #expect(store.credentials.map(\.accessKeyID) == ["AAAABBBBCCCCDDDD2222"])
        #expect(store.credentials.map(\.secret) == [.file("/etc/claviger/kms.secret")])
    }

    /// Each optional setting that the file shows in a comment is one that the product takes.
    @Test("what stands in comments can be taken in", arguments: ["self-signed", "request", "/etc/ssl/x.pem"])
    func comments(certificate: String) throws {
        let text = try configuration([.certificate: certificate, .certificateKey: "/etc/ssl/x.key"]).text()
        var lines: [String] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let isSetting = line.firstMatch(of: /^# (\[\w+\]|\w+ = .*)$/) != nil
            lines.append(isSetting ? String(line.dropFirst(2)) : String(line))
        }
        let settings = try NodeConfiguration.parse(
            Array(lines.joined(separator: "\n").utf8), file: "x", directory: "/etc/claviger"
        ).settings
        #expect(settings.cluster?.seeds.count == 2 && settings.audit != nil && settings.hsms.first?.tier == 1)
        guard case .tls(_, _, let clients) = settings.xks.protection else {
            Issue.record("no TLS")
            return
        }
        #expect(clients != nil && settings.keyStores.first?.policy != nil)
        #expect(settings.keyStores.first?.regions == ["eu-central-1"] && settings.node.site == "site-1")
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 120 || !$0.hasPrefix("# ") })
    }

    @Test("the end names the next commands")
    func next() throws {
        let request = try configuration([.certificate: "request"])
        let lines = SetupNext(request, isService: true).lines.joined(separator: "\n")
        #expect(lines.contains("systemctl enable --now claviger") && lines.contains("/etc/claviger/tls/request.csr"))
        #expect(lines.contains("console-file --path-prefix /claviger --access-key-id AAAABBBBCCCCDDDD2222 --secret"))
        #expect(lines.contains("docs/guides/register-with-kms.md"))
        let plain = SetupNext(try configuration([.directory: "/srv/my conf"]), isService: false).lines
        #expect(plain.contains("  claviger serve --config '/srv/my conf/claviger.toml'"))
    }
}
