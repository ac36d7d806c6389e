// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Certification
import Conformance
import Foundation
import NIOPosix
import XKSClient

/// `claviger certify`
struct CertifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certify",
        abstract: "Try an XKS proxy with every requirement of the specification, and report what holds.",
        discussion:
            "Against any proxy that implements the XKS Proxy API 1.0.3, not only Claviger's. The key is encrypted and "
            + "decrypted with; nothing else is changed. Take a key store that nobody works with: the cases are hostile, and "
            + "some thirty connections at a time are opened. Where the specification can be read in more than one way, the case "
            + "is a note and says what it has seen. Status 0: every MUST holds, and the proxy has withstood what is hostile. "
            + "Status 1: something failed. Status 2: what was given is wrong. Guide: docs/guides/certify.md.")

    @OptionGroup var proxy: ProxyOptions

    @Option(
        help: ArgumentHelp("A second credential of the same key store, as --credential-file.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var secondCredentialFile: String?

    @Option(help: ArgumentHelp("Another key of the same key store, with other material.", valueName: "key"))
    var secondKey: String?

    @Option(help: ArgumentHelp("A key that may only decrypt.", valueName: "key"))
    var decryptOnlyKey: String?

    @Option(help: ArgumentHelp("A key that may only encrypt.", valueName: "key"))
    var encryptOnlyKey: String?

    @Option(help: ArgumentHelp("A key that may neither encrypt nor decrypt.", valueName: "key"))
    var unusableKey: String?

    @Option(
        help: ArgumentHelp(
            "PEM file of a certificate that the CA of --client-cert has signed, with another subject name.",
            valueName: "file"), completion: .file())
    var otherClientCert: String?

    @Option(help: ArgumentHelp("PEM file of its key.", valueName: "file"), completion: .file())
    var otherClientKey: String?

    @Option(help: ArgumentHelp("Try only the cases whose ids begin so, for example decrypt-aad.", valueName: "id"))
    var only: String?

    @Option(help: "Seconds that are waited for each answer, 1 to 60.")
    var patience = 5

    @Flag(help: "Take a SHOULD that does not hold for a failure, too.")
    var strict = false

    @Flag(help: "Also list in the text what has passed.")
    var all = false

    @Flag(help: "Print JSON, on one line (docs/reference/commands.md).")
    var json = false

    @Option(
        help: ArgumentHelp(
            "Also write the report as an HTML page to this file, which must not exist.", valueName: "file"),
        completion: .file(extensions: ["html"]))
    var html: String?

    @Flag(help: "Print the cases with level and source, and ask nothing.")
    var list = false

    func validate() throws {
        guard (otherClientCert == nil) == (otherClientKey == nil) else {
            throw ValidationError("--other-client-cert and --other-client-key are given together.")
        }
        guard (1...60).contains(patience) else { throw ValidationError("--patience is 1 to 60 seconds.") }
        guard !cases.isEmpty else { throw ValidationError("No case's id begins with \(only ?? "").") }
    }

    private var cases: [ConformanceCase] { ConformanceCase.all.filter { $0.id.hasPrefix(only ?? "") } }

    func run() async throws {
        guard !list else { return printLine(cases.map(Self.line).joined(separator: "\n")) }
        if let html, access(html, F_OK) == 0 {
            throw failure("\(html) exists already; choose another name", status: ExitStatus.configuration)
        }
        let settings = try settings()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let report: ConformanceReport
        do {
            let isShown = isatty(STDERR_FILENO) == 1 && !json
            report = try await Certification(settings, cases: cases, loop: group.next()) { Int64(time(nil)) }
                .run(program: Product.name, runID: String(UUID().uuidString.lowercased().prefix(8))) { done, all in
                    if isShown { _ = Output.write("\r\(done) of \(all) cases", to: STDERR_FILENO) }
                }
            // Erases the line (ECMA-48, EL).
            if isShown { _ = Output.write("\r\u{1B}[K", to: STDERR_FILENO) }
        } catch {
            try? await group.shutdownGracefully()
            throw failure("a certificate cannot be used: \(error)", status: ExitStatus.configuration)
        }
        try? await group.shutdownGracefully()
        if let html { try write(report, to: html) }
        printLine(json ? try JSONLine.text(report) : report.text(all: all), isForPrograms: json)
        guard strict ? report.conformsStrictly : report.conforms else { throw ExitStatus.notDone }
    }

    private func settings() throws -> CertificationSettings {
        var subject = ConformanceSubject(
            endpoint: try proxy.endpoint(), key: proxy.key, credential: try proxy.credential(), region: proxy.region)
        subject.secondCredential = try secondCredentialFile.map { try ProxyOptions.credential(file: $0) }
        subject.secondKey = secondKey
        subject.decryptOnlyKey = decryptOnlyKey
        subject.encryptOnlyKey = encryptOnlyKey
        subject.unusableKey = unusableKey
        var settings = CertificationSettings(
            subject: subject, trust: proxy.trust, identity: try proxy.identity(),
            otherIdentity: try ProxyOptions.identity(otherClientCert, otherClientKey))
        settings.patience = .seconds(Int64(patience))
        return settings
    }

    private func write(_ report: ConformanceReport, to path: String) throws {
        do {
            try Data(ReportPage().html(report).utf8).write(to: URL(fileURLWithPath: path), options: .withoutOverwriting)
        } catch {
            throw failure("cannot write \(path): \(error.localizedDescription)", status: ExitStatus.start)
        }
    }

    private static func line(_ test: ConformanceCase) -> String {
        "\(test.id)\t\(test.level.rawValue)\t\(test.section)\t\(test.title)"
    }
}
