// SPDX-License-Identifier: Apache-2.0
import XKSCalls

/// What came of a connection of a certain kind, and of the health request over it.
package struct ProbeObservation: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        case answered(HTTPAnswer)
        /// The handshake failed, or the connection was ended before an answer; how, in words.
        case refused(String)
        /// Neither an answer nor an end within the time.
        case silent
    }

    package var outcome: Outcome
    /// As of `HandshakeFacts`; empty where there was no handshake.
    package var version: String
    package var suite: String
    /// What was chosen of the protocols that were offered.
    package var chosenProtocol: String?

    package init(_ outcome: Outcome, version: String = "", suite: String = "", chosenProtocol: String? = nil) {
        self.outcome = outcome
        self.version = version
        self.suite = suite
        self.chosenProtocol = chosenProtocol
    }

    var seen: String {
        switch outcome {
        case .answered(let answer):
            let link = version.isEmpty ? "" : " over \(version), \(suite)"
            return "\(answer.status)\(link)\(chosenProtocol.map { ", \(Judged.printable($0))" } ?? "")"
        case .refused(let reason): return "refused: \(Judged.printable(reason, atMost: 200))"
        case .silent: return "no answer within the time"
        }
    }
}

package enum ProbeExpectation: Sendable {
    /// Health is answered with 200.
    case served
    /// The same, over one of the suites that the specification names.
    case servedByNamedSuite
    /// There is no handshake, or the connection ends without an answer.
    case refused
    /// What was chosen is told.
    case reading(String)

    /// XKS 1.0.3, API content type; by IANA's names.
    static let namedSuites = [
        "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ]

    private var text: String {
        switch self {
        case .served: "200"
        case .servedByNamedSuite: "200 over one of \(Self.namedSuites.joined(separator: ", "))"
        case .refused: "a handshake that is refused, or a connection that ends without an answer"
        case .reading(let meaning): meaning
        }
    }

    /// - Parameter all: one for each kind of connection that was tried.
    package func judge(_ all: [ProbeObservation]) -> CaseRun.Judgement {
        let seen = all.map(\.seen).joined(separator: "; ")
        if case .reading = self { return .reading(seen) }
        return all.contains(where: holds) ? .held : .broken(expected: text, seen: seen)
    }

    private func holds(_ one: ProbeObservation) -> Bool {
        switch (self, one.outcome) {
        case (.served, .answered(let answer)): answer.status == 200
        case (.servedByNamedSuite, .answered(let answer)):
            answer.status == 200 && Self.namedSuites.contains(one.suite)
        case (.refused, .refused): true
        default: false
        }
    }
}
