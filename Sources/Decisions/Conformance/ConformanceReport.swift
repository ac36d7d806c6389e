// SPDX-License-Identifier: Apache-2.0

/// What came of one case.
package struct CaseResult: Sendable, Codable, Equatable {
    package enum Outcome: String, Sendable, Codable, CaseIterable {
        case passed
        /// A MUST, or HARDENING, that does not hold.
        case failed
        /// A SHOULD that does not hold.
        case warned
        /// Of several readings, one was seen.
        case noted
        case skipped
    }

    package var id: String
    package var group: CaseGroup
    package var level: Bindingness
    package var section: String
    package var title: String
    package var outcome: Outcome
    /// Of what failed or warned: what should have come. Of a note: why there is more than one reading.
    package var expected: String?
    /// What came; of what was skipped, why.
    package var seen: String?
    package var milliseconds: Double

    package init(
        _ test: ConformanceCase, _ outcome: Outcome, expected: String? = nil, seen: String? = nil,
        milliseconds: Double = 0
    ) {
        id = test.id
        group = test.group
        level = test.level
        section = test.section
        title = test.title
        self.outcome = outcome
        self.expected = expected
        self.seen = seen
        self.milliseconds = (milliseconds * 10).rounded() / 10
    }

    package init(_ test: ConformanceCase, _ judgement: CaseRun.Judgement, milliseconds: Double) {
        switch judgement {
        case .held: self.init(test, .passed, milliseconds: milliseconds)
        case .reading(let seen):
            self.init(test, .noted, expected: test.readings, seen: seen, milliseconds: milliseconds)
        case .broken(let expected, let seen):
            let outcome: Outcome =
                switch test.level {
                case .must, .hardening: .failed
                case .should: .warned
                case .note: .noted
                }
            self.init(test, outcome, expected: expected, seen: seen, milliseconds: milliseconds)
        }
    }
}

extension ConformanceCase {
    /// Why a NOTE has more than one reading; `nil` of other cases.
    package var readings: String? {
        steps.compactMap { step in
            switch step {
            case .call(_, let expectation), .callHTTP2(_, let expectation), .repeatLast(let expectation):
                expectation.isReading ? expectation.text : nil
            case .probe(_, .reading(let text)): text
            default: nil
            }
        }.first
    }
}

/// The whole of a run, for people, programs and auditors. Holds no secret.
package struct ConformanceReport: Sendable, Codable, Equatable {
    /// The form of this value; it rises when a program that reads it would have to change.
    package var format = 1
    /// Which program has made it.
    package var program: String
    package var specification = "AWS KMS External Key Store Proxy API 1.0.3"
    package var url: String
    package var key: String
    package var accessKeyID: String
    package var region: String
    /// When the run began, `yyyy-mm-ddThh:mm:ssZ`.
    package var begun: String
    package var seconds: Double
    /// What the proxy says of itself (GetHealthStatus): vendor and model; empty where it has not answered.
    package var proxy: String
    /// That every MUST and every HARDENING that was tried holds, and something was tried.
    package private(set) var conforms: Bool
    package private(set) var counts: [String: Int]
    package private(set) var results: [CaseResult]
    /// What no client can see, and an auditor has to be shown.
    package var unseen: [UnseenRequirement] = UnseenRequirement.all

    package init(
        program: String, subject: ConformanceSubject, begun: Int64, seconds: Double, proxy: String,
        results: [CaseResult]
    ) {
        self.program = program
        url = subject.endpoint.description
        key = subject.key
        accessKeyID = subject.credential.accessKeyID
        region = subject.region
        self.begun = Self.text(ofMoment: begun)
        self.seconds = (seconds * 10).rounded() / 10
        self.proxy = Judged.printable(proxy, atMost: 300)
        self.results = results
        var counts: [String: Int] = [:]
        for outcome in CaseResult.Outcome.allCases { counts[outcome.rawValue] = 0 }
        for result in results { counts[result.outcome.rawValue, default: 0] += 1 }
        self.counts = counts
        conforms = results.contains { $0.outcome == .passed } && !results.contains { $0.outcome == .failed }
    }

    package func count(_ outcome: CaseResult.Outcome) -> Int { counts[outcome.rawValue] ?? 0 }

    /// That every SHOULD holds as well.
    package var conformsStrictly: Bool { conforms && count(.warned) == 0 }

    private static func text(ofMoment unixSeconds: Int64) -> String {
        let text = Array(DraftSignature.text(ofDate: unixSeconds))
        func part(_ range: Range<Int>) -> String { String(text[range]) }
        guard text.count == 16 else { return String(text) }
        return "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(9..<11)):\(part(11..<13)):\(part(13..<15))Z"
    }

    // MARK: For people

    /// The sentence that says it all.
    package var verdict: String {
        let tried = results.count - count(.skipped)
        guard count(.failed) == 0 else {
            return "does not conform: \(count(.failed)) of \(tried) cases failed"
        }
        guard conforms else { return "nothing could be tried" }
        return "conforms: \(tried) cases tried, none failed, \(count(.warned)) warned"
    }

    /// Lines of at most as many characters as their content needs.
    ///
    /// - Parameter all: also what has passed.
    package func text(all: Bool) -> String {
        var lines = [
            "\(url), key \(key): \(verdict)", proxy.isEmpty ? "the proxy has not said what it is" : "proxy: \(proxy)",
            "\(specification); \(program); \(begun); \(seconds) s", "",
        ]
        for group in CaseGroup.allCases {
            let cases = results.filter { $0.group == group }
            guard !cases.isEmpty else { continue }
            let sums = CaseResult.Outcome.allCases.map { outcome in (outcome, cases.count { $0.outcome == outcome }) }
                .filter { $0.1 > 0 }.map { "\($0.1) \($0.0.rawValue)" }.joined(separator: ", ")
            lines.append("\(group.rawValue): \(sums)")
            for result in cases where all || result.outcome != .passed { lines += Self.lines(result) }
        }
        lines += ["", "What no client can see, and has to be shown otherwise:"]
        lines += unseen.map { "  - \($0.title) (\($0.level.rawValue), \($0.section))" }
        return lines.joined(separator: "\n")
    }

    private static let words: [CaseResult.Outcome: String] = [
        .passed: "ok  ", .failed: "FAIL", .warned: "warn", .noted: "note", .skipped: "-   ",
    ]

    private static func lines(_ result: CaseResult) -> [String] {
        var lines = ["  \(words[result.outcome] ?? "    ")  \(result.id): \(result.title) (\(result.section))"]
        switch result.outcome {
        case .passed: break
        case .failed, .warned:
            lines.append("        expected \(result.expected ?? "-"); seen: \(result.seen ?? "-")")
        case .noted: lines.append("        \(result.expected ?? "-"); seen: \(result.seen ?? "-")")
        case .skipped: lines.append("        left out: \(result.seen ?? "-")")
        }
        return lines
    }
}

/// A requirement that does not show at the proxy's listener.
package struct UnseenRequirement: Sendable, Codable, Equatable {
    package var level: Bindingness
    package var section: String
    package var title: String

    package static let all = [
        UnseenRequirement(
            level: .must, section: "XKS 1.0.3, Logging",
            title: "Plaintext is logged neither by the proxy nor by the HSM"),
        UnseenRequirement(
            level: .should, section: "XKS 1.0.3, Logging",
            title: "Request metadata, above all kmsRequestId, processing time and outcome are logged"),
        UnseenRequirement(
            level: .should, section: "XKS 1.0.3, Logging",
            title: "The statement of a policy that has denied a request is logged"),
        UnseenRequirement(
            level: .should, section: Section.health,
            title: "The health check does real cryptography, with a key that belongs to no KMS key"),
        UnseenRequirement(
            level: .must, section: Section.health, title: "A cached result of the health check is at most a minute old"),
        UnseenRequirement(
            level: .should, section: Section.rotation, title: "Credentials are changed without a restart"),
        UnseenRequirement(
            level: .should, section: Section.authorization, title: "A key can be kept for certain callers"),
        UnseenRequirement(
            level: .must, section: Section.authentication,
            title:
                "The certificate comes from one of the authorities that KMS trusts (the certificate case goes by --ca, or "
                + "by this host's own)"),
        UnseenRequirement(
            level: .must, section: "XKS 1.0.3, Load balancer health checks",
            title: "There is a health check for the load balancers that stand before the proxy"),
        UnseenRequirement(
            level: .should, section: Section.integrity,
            title: "The integrity value is computed before the decryption that confirms it"),
        UnseenRequirement(
            level: .must, section: Section.signing, title: "The access key id says nothing about the secret"),
    ]
}
