// SPDX-License-Identifier: Apache-2.0
import Foundation
import NodeConfig
import Testing

@Suite struct GoodFileTests {
    @Test func theLeastFileGetsTheDefaults() throws {
        let settings = try parse(goodFile)
        #expect(
            settings.node
                == .init(id: "fra-1", site: "default", stateDirectory: "/var/lib/claviger", drainDelay: .zero))
        #expect(settings.cluster == nil)
        #expect(settings.control.listen == ListenAddress(host: "127.0.0.1", port: 8080))
        let xks = settings.xks
        #expect(xks.listen == ListenAddress(host: "127.0.0.1", port: 8443))
        #expect(
            xks.protection == .tls(certificate: "/etc/claviger/tls/cert.pem", key: "/etc/tls/key.pem", clients: nil))
        #expect(xks.maxPlaintextBytes == 8192 && xks.maxAADBytes == 16384 && xks.maxBodyBytes == 262_144)
        #expect(xks.requestDeadline == .milliseconds(200) && xks.attemptDeadline == .milliseconds(80))
        #expect(xks.keepalive == .init(idle: .seconds(60), interval: .seconds(10), count: 3))
        let hsm = try #require(settings.hsms.first)
        #expect(hsm.name == "hsm-a" && hsm.module == "/usr/lib/p11.so" && hsm.token == .label("one"))
        #expect(hsm.pin == .file("/etc/claviger/a.pin") && hsm.sessions == 16 && hsm.environment.isEmpty)
        #expect(hsm.stuckAfter == .seconds(2) && hsm.catalogueInterval == .seconds(5))
        #expect(hsm.probeInterval == .seconds(5))
        #expect(hsm.tier == 0 && hsm.weight == 100 && hsm.depth == 1 && hsm.profile == "auto")
        #expect(hsm.initializeArguments == nil && hsm.sessionLimit == 0)
        let bare = HSMSettings(name: "hsm-a", module: "/usr/lib/p11.so", token: .label("one"), pin: hsm.pin)
        #expect(hsm == bare, "the defaults of the file are those of the value")
        let keyStore = try #require(settings.keyStores.first)
        #expect(keyStore.pathPrefix == "/example" && keyStore.keys == [.label("foo"), .glob("prod-*")])
        #expect(
            keyStore.credentials
                == [.init(accessKeyID: "AAAABBBBCCCCDDDD2222", secret: .environment("XKS_SECRET"))])
        #expect(keyStore.hsms == nil && keyStore.regions == nil && keyStore.aad == .specification)
        #expect(keyStore.policy == nil && keyStore.rate == nil && keyStore.principalRate == nil)
        #expect(settings.secretVariables == ["XKS_SECRET"])
    }

    @Test func everyKeyIsRead() throws {
        let text = """
            [node]
            id = "n"
            site = "iad"
            state_dir = "state"
            event_loops = 64
            max_unauthenticated_bytes = 50_000_000
            [xks]
            listen = "[::1]:0"
            certificate = "/c"
            key = "/k"
            certificate_for = "balancer"
            client_ca = "/ca"
            client_name = ["one.example.com", "two.example.com"]
            plaintext = false
            max_plaintext_bytes = 65_536
            max_aad_bytes = 0xffff
            max_body_bytes = 1048576
            max_header_bytes = 4096
            handshake_timeout = "1s"
            header_timeout = "2s"
            body_timeout = "3s"
            idle_timeout = "1h"
            max_connections = 7
            max_unauthenticated_per_address = 3
            proxy_protocol_from = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]
            max_requests_in_flight = 8
            tcp_keepalive = { idle = "30s", interval = "5s", count = 4 }
            request_deadline = "230ms"
            attempt_deadline = "230ms"
            [control]
            listen = "localhost:0"
            [[hsm]]
            name = "a"
            module = "lib.so"
            token.slot = 12
            pin.command = ["/bin/echo", "x"]
            sessions = 1024
            stuck_after = "200ms"
            catalogue_interval = "1m"
            probe_interval = "20s"
            tier = 9
            weight = 1000
            depth = 8
            profile = "appended-40"
            initialize_arguments = "configdir='sql:/etc/nss' flags=readOnly"
            session_limit = 65535
            [hsm.env]
            SOFTHSM2_CONF = "/tmp/a"
            [[hsm]]
            name = "b"
            module = "/lib.so"
            token = { serial = "0123" }
            [[keystore]]
            path_prefix = ""
            keys = [{ id = "foo", label = "A label, with ünicode" }]
            hsms = ["b"]
            regions = ["eu-central-1"]
            policy = "policies/bank.json"
            requests_per_second = 1800
            principal_requests_per_second = 1
            principal_burst = 1000000
            aad = "digest"
            [[keystore.credentials]]
            access_key_id = "AAAABBBBCCCCDDDD2222"
            secret.credential = "xks"
            """
        let settings = try parse(text)
        #expect(
            settings.node
                == .init(
                    id: "n", site: "iad", stateDirectory: "/etc/claviger/state", eventLoops: 64,
                    maxUnauthenticatedBytes: 50_000_000))
        let xks = settings.xks
        #expect(
            xks.protection
                == .tls(
                    certificate: "/c", key: "/k",
                    clients: .init(ca: "/ca", names: ["one.example.com", "two.example.com"])))
        #expect(xks.certificateFor == .balancer)
        #expect(xks.listen == ListenAddress(host: "::1", port: 0) && settings.control.listen.host == "localhost")
        #expect(xks.maxPlaintextBytes == 65536 && xks.maxAADBytes == 65535 && xks.maxBodyBytes == 1_048_576)
        #expect(xks.maxHeaderBytes == 4096 && xks.maxConnections == 7 && xks.maxRequestsInFlight == 8)
        #expect(xks.maxUnauthenticatedPerAddress == 3)
        #expect(xks.proxyProtocolFrom.map(\.description) == ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"])
        #expect(xks.handshakeTimeout == .seconds(1) && xks.headerTimeout == .seconds(2))
        #expect(xks.bodyTimeout == .seconds(3))
        #expect(xks.idleTimeout == .seconds(3600) && xks.attemptDeadline == .milliseconds(230))
        #expect(xks.keepalive == .init(idle: .seconds(30), interval: .seconds(5), count: 4))
        #expect(settings.hsms.map(\.token) == [HSMSettings.Token.slot(12), .serial("0123")])
        #expect(settings.hsms.map(\.pin) == [.command(["/bin/echo", "x"]), nil])
        #expect(settings.hsms.map(\.module) == ["/etc/claviger/lib.so", "/lib.so"])
        #expect(settings.hsms[0].environment == ["SOFTHSM2_CONF": "/tmp/a"] && settings.hsms[0].sessions == 1024)
        #expect(settings.hsms[0].catalogueInterval == .seconds(60) && settings.hsms[0].stuckAfter.inMilliseconds == 200)
        #expect(settings.hsms.map(\.probeInterval) == [.seconds(20), .seconds(5)])
        #expect(settings.hsms.map(\.tier) == [9, 0] && settings.hsms.map(\.weight) == [1000, 100])
        #expect(settings.hsms.map(\.depth) == [8, 1])
        #expect(settings.hsms.map(\.profile) == ["appended-40", "auto"])
        #expect(settings.hsms.map(\.initializeArguments) == ["configdir='sql:/etc/nss' flags=readOnly", nil])
        #expect(settings.hsms.map(\.sessionLimit) == [65535, 0])
        let keyStore = try #require(settings.keyStores.first)
        #expect(keyStore.keys == [.named(id: "foo", label: "A label, with ünicode")])
        #expect(keyStore.hsms == ["b"] && keyStore.regions == ["eu-central-1"] && keyStore.aad == .digest)
        #expect(keyStore.credentials.map(\.secret) == [.credential("xks")])
        #expect(keyStore.policy == "/etc/claviger/policies/bank.json")
        #expect(keyStore.rate == .init(perSecond: 1_800, burst: 1_800))
        #expect(keyStore.principalRate == .init(perSecond: 1, burst: 1_000_000))
    }

    @Test(arguments: [
        "auto", "caller", "caller-40", "buffer", "buffer-40", "appended", "appended-40", "message", "softhsm", "luna",
        "luna-fips", "nshield", "cloudhsm", "protectserver", "nss",
    ])
    func everyProfileIsKnown(_ profile: String) throws {
        let text = try goodFile(after: "name = \"hsm-a\"", adding: "profile = \"\(profile)\"")
        #expect(try parse(text).hsms.map(\.profile) == [profile])
    }

    /// With 16631be each of these was good.
    @Test(arguments: [
        ("request_deadline = \"230ms\"", nil),
        ("request_deadline = \"231ms\"", "xks.request_deadline"),
        ("idle_timeout = \"1h\"", nil),
        ("tcp_keepalive = { idle = \"400s\" }", nil),
        ("idle_timeout = \"350s\"\ntcp_keepalive = { idle = \"350s\" }", "xks.idle_timeout"),
        ("idle_timeout = \"349s\"\ntcp_keepalive = { idle = \"350s\" }", nil),
        ("idle_timeout = \"400s\"\ntcp_keepalive = { idle = \"349s\" }", nil),
    ])
    func whatComesTooLateForKMSOrItsBalancerIsAdvisedAgainst(_ lines: String, _ path: String?) throws {
        let advice = try parse(goodFile(after: "listen = \"127.0.0.1:8443\"", adding: lines)).xks.advice
        #expect(advice.map(\.path) == (path.map { [$0] } ?? []))
        #expect(advice.allSatisfy { $0.message.contains("KMS") && $0.message.contains("lower") })
    }

    @Test func theSettingsTellWhetherKMSSeesTheCertificate() throws {
        #expect(try !parse(goodFile).xks.showsItsCertificateToKMS)
        let listen = "listen = \"127.0.0.1:8443\""
        for address in ["0.0.0.0:8443", "10.0.0.1:443", "[::]:443", "node.example.com:443"] {
            let text = try goodFile(replacing: listen, with: "listen = \"\(address)\"")
            #expect(try parse(text).xks.showsItsCertificateToKMS)
            let behind = text.replacingOccurrences(of: "[xks]\n", with: "[xks]\ncertificate_for = \"balancer\"\n")
            #expect(try !parse(behind).xks.showsItsCertificateToKMS)
        }
        for address in ["127.0.0.9:8443", "[::1]:443", "localhost:443"] {
            #expect(
                try !parse(goodFile(replacing: listen, with: "listen = \"\(address)\"")).xks.showsItsCertificateToKMS)
        }
        let wrong = problems(try goodFile(after: listen, adding: "certificate_for = \"aws\""))
        #expect(wrong.map(\.path) == ["xks.certificate_for"])
    }

    @Test func plaintextNeedsNoCertificate() throws {
        let text = goodFile.replacingOccurrences(
            of: "certificate = \"tls/cert.pem\"\nkey = \"/etc/tls/key.pem\"", with: "plaintext = true")
        #expect(try parse(text).xks.protection == .plaintext)
    }

    @Test func theDefaultBodyLimitHoldsTheLargestRequest() throws {
        let text = try goodFile(after: "listen = \"127.0.0.1:8443\"", adding: "max_plaintext_bytes = 65536")
        #expect(try parse(text).xks.maxBodyBytes == 262_144)
        #expect(XKSSettings.bodyBytesNeeded(plaintext: 65536, aad: 65535) <= 262_144, "the default holds the largest")
    }

    @Test func aFileIsLoadedAndItsPathsAreItsOwn() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("node.toml", goodFile.utf8)
        let configuration = try NodeConfiguration.load(file: file)
        #expect(configuration.settings.hsms.first?.pin == .file(directory.path + "/a.pin"))
        let problem = configuration.problem(at: "hsm[0].pin", "is wrong", fix: "mend it")
        #expect(problem.rendered(file: "f") == "f:13: hsm[0].pin: is wrong; mend it")
    }

    /// The parser keeps a tree of each text that it has parsed.
    @Test func aFileThatStaysTheSameIsReadAgainAndTakesNoMemory() throws {
        let directory = try TemporaryDirectory()
        let keys = (0..<5_000).map { "\"key-\($0)\"" }.joined(separator: ", ")
        let file = try directory.file(
            "node.toml", goodFile.replacingOccurrences(of: "\"foo\", \"prod-*\"", with: keys).utf8)
        let first = try NodeConfiguration.load(file: file)
        let before = try residentMemory()
        for _ in 0..<20 { #expect(try NodeConfiguration.load(file: file, last: first).settings == first.settings) }
        #expect(try residentMemory() < before + 2 * 1024 * 1024)
        try Data(goodFile.replacingOccurrences(of: "a.pin", with: "b.pin").utf8).write(to: URL(fileURLWithPath: file))
        let second = try NodeConfiguration.load(file: file, last: first)
        #expect(second.settings.hsms.first?.pin == .file(directory.path + "/b.pin"))
    }

    /// Bytes (proc(5), `statm`).
    private func residentMemory() throws -> Int {
        let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return try #require(Int(pages[1])) * Int(getpagesize())
    }

    @Test func aFileThatCannotBeReadIsAProblem() throws {
        let directory = try TemporaryDirectory()
        let large = try directory.file("large.toml", [UInt8](repeating: 0x23, count: 1024 * 1024 + 1))
        for (file, expected) in [
            (directory.path + "/none.toml", "does not exist"), (directory.path, "is not a regular file"),
            (large, "is larger than 1048576 bytes"),
        ] {
            let error = #expect(throws: ConfigurationProblems.self) { try NodeConfiguration.load(file: file) }
            #expect(error?.description.contains("\(file): \(expected); ") == true)
        }
    }

    @Test func durationsConvert() {
        #expect(Duration.milliseconds(1500).inMilliseconds == 1500)
        #expect(Duration.milliseconds(1500).inNanoseconds == 1_500_000_000)
        #expect(Duration.seconds(-1).inNanoseconds == 0)
        #expect(Duration.seconds(Int64.max).inNanoseconds == .max)
        #expect(Duration.seconds(Int64.max).inMilliseconds == .max)
        #expect(Duration.seconds(Int64.min).inMilliseconds == .min)
    }
}
