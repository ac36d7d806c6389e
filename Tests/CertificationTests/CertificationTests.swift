// SPDX-License-Identifier: Apache-2.0
import Certification
import ClusterCertificates
import Conformance
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import SecureMemory
import SigV4
import Testing
import X509
import XKSCalls
import XKSClient
import XKSListener
import XKSProtocol

/// JSON of bytes, for scripts.
enum JSONText {
    static func base64(_ bytes: [UInt8]) -> String { JSONObject.base64(bytes) }
}

/// Certificates of this run, and what a client needs to meet them.
struct Certificates {
    let directory: String
    let client: ClientTLS.Identity
    let other: ClientTLS.Identity

    init() throws {
        let directory =
            FileManager.default.temporaryDirectory.appendingPathComponent("claviger-test-\(UUID().uuidString)")
            .path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let now = Date()
        let authority = try CertificateIssuer.authority(commonName: "good", now: now)
        let foreign = try CertificateIssuer.authority(commonName: "foreign", now: now)
        for (name, issuer) in [("good", authority), ("foreign", foreign)] {
            try CertificatePair(certificate: "\(directory)/\(name)-ca.pem", key: "\(directory)/\(name)-ca.key")
                .write(issuer)
            try CertificatePair(certificate: "\(directory)/\(name).pem", key: "\(directory)/\(name).key").write(
                try CertificateIssuer.leaf(
                    commonName: "localhost",
                    names: [.dnsName("localhost"), .ipAddress(.init(contentBytes: [127, 0, 0, 1]))],
                    usages: [.serverAuth], authority: issuer, now: now))
        }
        func identity(_ name: String) throws -> ClientTLS.Identity {
            let pair = CertificatePair(certificate: "\(directory)/\(name).pem", key: "\(directory)/\(name).key")
            try pair.write(
                try CertificateIssuer.leaf(
                    commonName: name, names: [.dnsName(name)], usages: [.clientAuth], authority: authority, now: now))
            return try ClientTLS.Identity(certificate: pair.certificate, key: pair.key)
        }
        self.directory = directory
        client = try identity("cks.kms.us-east-1.amazonaws.com")
        other = try identity("cks.kms.us-east-9.amazonaws.com")
        // A suite without forward secrecy needs a key of RSA.
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments = [
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout",
            "\(directory)/rsa.key", "-out", "\(directory)/rsa.pem",
        ]
        openssl.standardError = FileHandle.nullDevice
        try openssl.run()
        openssl.waitUntilExit()
    }

    func remove() { try? FileManager.default.removeItem(atPath: directory) }

    func server(_ kind: TLSKind) throws -> TLSConfiguration {
        let name =
            switch kind {
            case .good, .old, .withoutNamedSuite: "good"
            case .withoutForwardSecrecy: "rsa"
            case .foreignCertificate: "foreign"
            }
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile("\(directory)/\(name).pem").map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: "\(directory)/\(name).key", format: .pem)))
        switch kind {
        case .good, .foreignCertificate: break
        case .old:
            tls.minimumTLSVersion = .tlsv1
            tls.maximumTLSVersion = .tlsv12
            tls.cipherSuiteValues = [.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, .TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA]
        case .withoutNamedSuite:
            tls.maximumTLSVersion = .tlsv12
            tls.cipherSuiteValues = [.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]
        case .withoutForwardSecrecy:
            tls.maximumTLSVersion = .tlsv12
            tls.cipherSuiteValues = [.TLS_RSA_WITH_AES_256_CBC_SHA, .TLS_RSA_WITH_AES_128_CBC_SHA]
        }
        return tls
    }

    func listener() throws -> ListenerTransport {
        .tls(
            try TLSMaterial.load(
                TLSFiles(certificate: "\(directory)/good.pem", key: "\(directory)/good.key"), now: Int64(time(nil))))
    }
}

/// One after another: each takes the processor for itself, and some measure time.
@Suite("Certification", .serialized)
struct CertificationTests {
    private static func credential(_ letter: Character) throws -> Credential {
        try Credential(
            accessKeyID: String(repeating: letter, count: 20),
            secret: SecretBytes(String(repeating: letter, count: 43).utf8))
    }

    private static func results(
        of cases: [ConformanceCase], _ script: Script, _ certificates: Certificates
    ) async throws -> [CaseResult] {
        let clock: @Sendable () -> Int64 = { Int64(time(nil)) }
        func proxy(_ fault: Fault) throws -> ReferenceProxy {
            try ReferenceProxy(fault, credentials: [try credential("A"), try credential("B")], now: clock)
        }
        func run(_ port: Int, _ scheme: String) async throws -> [CaseResult] {
            try await report(of: cases, "\(scheme)://127.0.0.1:\(port)", certificates).results
        }
        switch script {
        case .reference(let fault): return try await withReference(try proxy(fault)) { try await run($0, "http") }
        case .secureReference(let fault):
            return try await withReference(try proxy(fault), try certificates.listener()) { try await run($0, "https") }
        case .raw(let script): return try await RawServer.with(script) { try await run($0, "http") }
        case .tls(let script, let kind):
            return try await RawServer.with(script, tls: try certificates.server(kind)) { try await run($0, "https") }
        case .plainOnTLS(let script): return try await RawServer.with(script) { try await run($0, "https") }
        }
    }

    private static func report(
        of cases: [ConformanceCase], _ url: String, _ certificates: Certificates
    ) async throws -> ConformanceReport {
        var subject = ConformanceSubject(
            endpoint: try XKSEndpoint(url), key: ReferenceProxy.key, credential: try credential("A"),
            region: "us-east-1")
        subject.secondCredential = try credential("B")
        subject.secondKey = "bar"
        subject.decryptOnlyKey = "only-decrypt"
        subject.encryptOnlyKey = "only-encrypt"
        subject.unusableKey = "neither"
        var settings = CertificationSettings(
            subject: subject, trust: .file("\(certificates.directory)/good-ca.pem"), identity: certificates.client,
            otherIdentity: certificates.other)
        settings.patience = .milliseconds(500)
        settings.throttledRepeats = 0
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let certification = Certification(settings, cases: cases, loop: group.next()) { Int64(time(nil)) }
        let report = try await certification.run(program: "tests", runID: "tests") { _, _ in }
        try await group.shutdownGracefully()
        return report
    }

    @Test("Each case fails on an answer that is wrong on purpose")
    func wrongAnswers() async throws {
        let certificates = try Certificates()
        defer { certificates.remove() }
        var shown: Set<String> = []
        for wrong in WrongAnswer.all {
            let cases = ConformanceCase.all.filter { $0.level != .note && wrong.covers($0.id) }
            #expect(!cases.isEmpty, "\(wrong.name)")
            for result in try await Self.results(of: cases, wrong.script, certificates) {
                let isShown = result.outcome == .failed || result.outcome == .warned
                #expect(isShown, "\(wrong.name): \(result.id) \(result.outcome), \(result.seen ?? "")")
                if isShown { shown.insert(result.id) }
            }
        }
        let all = Set(ConformanceCase.all.filter { $0.level != .note }.map(\.id))
        // By value, below: no name of a test's machine has a domain.
        #expect(all.subtracting(shown) == ["transport-name"])
    }

    @Test("A proxy that is asked by a name without a domain is told so")
    func nameWithoutDomain() throws {
        let test = try #require(ConformanceCase.all.first { $0.id == "transport-name" })
        guard case .call(let request, let expectation)? = test.steps.first else { throw Unexpected() }
        for (url, isGood) in [
            ("https://xks.example.com", true), ("https://proxy", false), ("https://10.0.0.1", false),
            ("https://\(String(repeating: "x", count: 240)).example.com", false),
        ] {
            let subject = ConformanceSubject(
                endpoint: try XKSEndpoint(url), key: "foo", credential: try Self.credential("A"), region: "us-east-1")
            var run = CaseRun(test, subject: subject, runID: "tests")
            let sent = run.compose(request, now: 1_700_000_000)
            let answer = HTTPAnswer(status: 200, headers: [], body: Array(Union.body().utf8))
            let judgement = run.judge(
                Observation(.answer(answer), milliseconds: 1, connectMilliseconds: 1), of: request, sent: sent,
                expectation)
            #expect((judgement == .held) == isGood, "\(url)")
        }
    }

    private struct Unexpected: Error {}

    @Test("A proxy that is right passes")
    func reference() async throws {
        let certificates = try Certificates()
        defer { certificates.remove() }
        let cases = ConformanceCase.all.filter { $0.group != .transport }
        for result in try await Self.results(of: cases, .reference([]), certificates) where result.outcome == .failed {
            Issue.record("\(result.id): \(result.seen ?? "") instead of \(result.expected ?? "")")
        }
    }

    @Test("A note says what it has seen, and never fails")
    func notes() async throws {
        let certificates = try Certificates()
        defer { certificates.remove() }
        let notes = ConformanceCase.all.filter { $0.level == .note && !$0.needs.contains(.tls) }
        #expect(notes.count > 20)
        let yes = try await Self.results(of: notes, Union.script(), certificates)
        let no = try await Self.results(of: notes, .raw(.error(500, "InternalException")), certificates)
        for (left, right) in zip(yes, no) {
            #expect(left.outcome == .noted && right.outcome == .noted, "\(left.id)")
            #expect(left.expected != nil && left.seen != right.seen, "\(left.id): \(left.seen ?? "-")")
        }
    }

    @Test(
        "What answers nonsense ends in a report",
        arguments: [
            RawScript("garbage\r\n\r\n"), RawScript("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n\r\n"),
            RawScript(String(repeating: "x", count: 100_000)), RawScript("HTTP/1.1 200 OK\r\n\r\n"),
            RawScript(
                RawScript.http(200, "<script>\u{1B}[31m")),
        ])
    func nonsense(script: RawScript) async throws {
        let certificates = try Certificates()
        defer { certificates.remove() }
        let cases = ConformanceCase.all.filter { $0.id == "health-names" || $0.id == "load-parallel" }
        let results = try await Self.results(of: cases, .raw(script), certificates)
        #expect(results.map(\.outcome) == [.failed, .failed])
    }

    @Test("Ids are told apart, begin with their group, and say where they come from")
    func table() {
        let cases = ConformanceCase.all
        #expect(cases.count > 300)
        #expect(Set(cases.map(\.id)).count == cases.count)
        for test in cases {
            #expect(test.id.hasPrefix("\(test.group.rawValue)-"), "\(test.id)")
            #expect(test.id.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "-" }, "\(test.id)")
            #expect(!test.section.isEmpty && !test.title.isEmpty && !test.title.hasSuffix("."), "\(test.id)")
            #expect(test.level != .note || test.readings != nil || test.id == "encrypt-integrity-unasked", "\(test.id)")
        }
    }

    @Test("A report escapes what the proxy says, holds no secret, and counts")
    func report() async throws {
        let certificates = try Certificates()
        defer { certificates.remove() }
        let cases = ConformanceCase.all.filter { $0.id == "errors-key-body" || $0.id == "health-names" }
        let body = Union.body("xksProxyVendor", #""<script>\u001b[31m""#)
        let report = try await RawServer.with(RawScript(RawScript.http(200, body))) { port in
            try await Self.report(of: cases, "http://127.0.0.1:\(port)", certificates)
        }
        #expect(!report.conforms)
        #expect(report.count(.failed) == 1 && report.count(.passed) == 1)
        let page = try ReportPage().html(report)
        #expect(page.contains("&lt;script&gt;"))
        #expect(!page.contains("<script>") && !page.contains("\u{1B}"))
        let text = report.text(all: true)
        #expect(!text.contains("\u{1B}"))
        #expect(text.contains("FAIL  errors-key-body"))
        #expect(text.contains("ok    health-names"))
        let json = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
        for told in [page, text, json] {
            #expect(!told.contains(String(repeating: "A", count: 43)))
        }
        for told in [page, json] { #expect(told.contains(String(repeating: "A", count: 20))) }
        #expect(try JSONDecoder().decode(ConformanceReport.self, from: Data(json.utf8)) == report)
    }
}
