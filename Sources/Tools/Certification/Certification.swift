// SPDX-License-Identifier: Apache-2.0
import Conformance
import NIOCore
import NIOSSL
import XKSClient

/// What a run is done with.
package struct CertificationSettings: Sendable {
    package var subject: ConformanceSubject
    /// For the certificate's case; all others take any certificate, so that one flaw does not hide the rest.
    package var trust: ClientTLS.Trust
    /// With which the proxy takes its client for KMS.
    package var identity: ClientTLS.Identity?
    /// Of the same CA, with another name.
    package var otherIdentity: ClientTLS.Identity?
    /// For each answer, and for each connection.
    package var patience = TimeAmount.seconds(5)
    /// How often a case is tried again that was answered 429, and after how long.
    package var throttledRepeats = 3
    package var throttledPause = Duration.seconds(1)

    package init(
        subject: ConformanceSubject, trust: ClientTLS.Trust, identity: ClientTLS.Identity? = nil,
        otherIdentity: ClientTLS.Identity? = nil
    ) {
        self.subject = subject
        self.trust = trust
        self.identity = identity
        self.otherIdentity = otherIdentity
    }
}

/// Tries a proxy with the cases, one after another.
package struct Certification: Sendable {
    private let settings: CertificationSettings
    private let cases: [ConformanceCase]
    private let loop: any EventLoop
    private let now: @Sendable () -> Int64

    /// - Parameters:
    ///   - cases: in the order in which they are tried.
    ///   - now: Unix seconds.
    package init(
        _ settings: CertificationSettings, cases: [ConformanceCase] = ConformanceCase.all, loop: any EventLoop,
        now: @escaping @Sendable () -> Int64
    ) {
        self.settings = settings
        self.cases = cases
        self.loop = loop
        self.now = now
    }

    /// - Parameters:
    ///   - runID: by which the proxy's log knows the requests: `certify-<runID>-<case>`.
    ///   - progress: told after each case.
    /// - Throws: where certificates cannot be used.
    package func run(
        program: String, runID: String, progress: @Sendable (_ done: Int, _ all: Int) -> Void
    ) async throws -> ConformanceReport {
        let begun = now()
        let begin = monotonicNow()
        let links = try CaseLinks(settings, loop: loop)
        let present = Set(await needsMet(links))
        var results: [CaseResult] = []
        for test in cases {
            if let missing = test.needs.first(where: { !present.contains($0) }) {
                results.append(CaseResult(test, .skipped, seen: missing.missing))
            } else {
                results.append(await result(of: test, links, runID))
            }
            progress(results.count, cases.count)
        }
        return ConformanceReport(
            program: program, subject: settings.subject, begun: begun,
            seconds: Double(monotonicNow() &- begin) / 1e9, proxy: await links.proxyName(now: now(), runID: runID),
            results: results)
    }

    private func result(of test: ConformanceCase, _ links: CaseLinks, _ runID: String) async -> CaseResult {
        var tries = 0
        while true {
            let begin = monotonicNow()
            var driver = CaseDriver(test, settings: settings, links: links, runID: runID, now: now)
            let judgement = await driver.run()
            tries += 1
            let result = CaseResult(test, judgement, milliseconds: Double(monotonicNow() &- begin) / 1e6)
            let isThrottled = result.seen?.contains("429 ThrottlingException") == true
            guard isThrottled, tries <= settings.throttledRepeats else { return result }
            try? await Task.sleep(for: settings.throttledPause)
        }
    }

    private func needsMet(_ links: CaseLinks) async -> [CaseNeed] {
        let subject = settings.subject
        var needs: [CaseNeed] = []
        if subject.endpoint.isTLS { needs.append(.tls) }
        if !subject.endpoint.isAddress, subject.endpoint.host.contains(".") { needs.append(.name) }
        if settings.identity != nil { needs.append(.clientCertificate) }
        if settings.otherIdentity != nil { needs.append(.otherClientCertificate) }
        if subject.secondCredential != nil { needs.append(.secondCredential) }
        if subject.secondKey != nil { needs.append(.secondKey) }
        if subject.decryptOnlyKey != nil { needs.append(.decryptOnlyKey) }
        if subject.encryptOnlyKey != nil { needs.append(.encryptOnlyKey) }
        if subject.unusableKey != nil { needs.append(.unusableKey) }
        if subject.endpoint.isTLS, await links.speaksHTTP2() { needs.append(.http2) }
        return needs
    }
}
