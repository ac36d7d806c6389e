// SPDX-License-Identifier: Apache-2.0

/// How binding a requirement is.
package enum Bindingness: String, Sendable, Codable, CaseIterable {
    /// The specification, or a standard that it makes binding, says MUST, or says it without another reading.
    case must = "MUST"
    /// The specification says SHOULD.
    case should = "SHOULD"
    /// The specification has no word for it: what a proxy that holds keys has to withstand.
    case hardening = "HARDENING"
    /// There is more than one reading, or the choice is the proxy's. The case says which it has seen, and never fails.
    case note = "NOTE"
}

/// What a case looks at; also the parts of the report, in this order.
package enum CaseGroup: String, Sendable, Codable, CaseIterable {
    case transport, http, paths, authentication, metadata, encrypt, decrypt, health, errors, load
}

/// What a case cannot do without.
package enum CaseNeed: String, Sendable, Hashable {
    /// The proxy is asked over TLS.
    case tls
    /// The host of the URL is a name.
    case name
    /// A certificate with which the proxy takes its client for KMS.
    case clientCertificate
    /// Another one of the same CA, with another name.
    case otherClientCertificate
    /// The proxy chooses HTTP/2 where it is offered.
    case http2
    case secondCredential, secondKey, decryptOnlyKey, encryptOnlyKey, unusableKey

    /// Why a case is left out.
    package var missing: String {
        switch self {
        case .tls: "the URL is one of plain HTTP"
        case .name: "the URL has an address; KMS asks by name"
        case .clientCertificate: "no --client-cert and --client-key were given"
        case .otherClientCertificate: "no --other-client-cert and --other-client-key were given"
        case .http2: "the proxy does not choose HTTP/2 where it is offered, which it need not"
        case .secondCredential: "no --second-credential-file was given"
        case .secondKey: "no --second-key was given"
        case .decryptOnlyKey: "no --decrypt-only-key was given"
        case .encryptOnlyKey: "no --encrypt-only-key was given"
        case .unusableKey: "no --unusable-key was given"
        }
    }
}

/// One requirement, and how it is tried.
package struct ConformanceCase: Sendable {
    /// Stable, for programs: lower-case letters, digits and hyphens; begins with the group.
    package let id: String
    package let group: CaseGroup
    package let level: Bindingness
    /// Where it is required: a section of the specification 1.0.3, or of an RFC.
    package let section: String
    /// What is required, as a sentence without a period.
    package let title: String
    package let needs: [CaseNeed]
    package let steps: [CaseStep]

    init(
        _ id: String, _ group: CaseGroup, _ level: Bindingness, _ section: String, _ title: String,
        needs: [CaseNeed] = [], _ steps: [CaseStep]
    ) {
        self.id = id
        self.group = group
        self.level = level
        self.section = section
        self.title = title
        self.needs = needs
        self.steps = steps
    }

    /// What is asked where only the connection counts.
    package static let healthRequest = DraftRequest(.health)

    /// All of them, in the order of the report.
    package static let all: [ConformanceCase] =
        transport + http + paths + authentication + metadata + encrypt + decrypt + health + errors + load
}

/// A connection other than the ordinary one.
package enum ProbedLink: String, Sendable, Hashable, CaseIterable {
    /// TLS 1.2 with the two suites that the specification names.
    case tls12
    case tls13
    case tls10, tls11
    /// TLS 1.2 with suites that have no forward secrecy.
    case withoutForwardSecrecy
    /// Names and chain of the certificate are looked at.
    case verified
    /// Bytes of plain HTTP to a port of TLS.
    case plainHTTP
    /// HTTP/1.1 is what is offered (ALPN).
    case offersHTTP1
    /// HTTP/2 and HTTP/1.1 are.
    case offersBoth
    /// Without a certificate of a client, where one is asked for.
    case withoutCertificate
    /// With one that the client has signed itself, with the right name.
    case selfSigned
    /// With one of the right CA, with another name.
    case otherName
}

/// What a case does, in order. What an answer says is judged when it is there; the first fault ends the case.
package enum CaseStep: Sendable {
    /// A request on the case's connection, which is opened where there is none, and its answer.
    case call(DraftRequest, Expectation)
    /// The same over HTTP/2.
    case callHTTP2(DraftRequest, Expectation)
    /// The next request gets a connection of its own.
    case reconnect
    /// The requests go out in one write; the answers are read in order.
    case pipeline([DraftRequest], [Expectation])
    /// So many hundredths of a request's bytes are sent, and the connection is cut.
    case cut(DraftRequest, percent: Int)
    /// The same bytes once more, on the same connection or a new one.
    case repeatLast(Expectation)
    /// So many connections, each of which does the steps on its own.
    case parallel(Int, [CaseStep])
    /// So many connections over which the beginning of a request has come, and which stay open until the case ends.
    case hold(Int, String)
    /// Connections of their own kinds, over which health is asked: with one of them it must be as is expected.
    case probe([ProbedLink], ProbeExpectation)
}

extension CaseStep {
    static func health(
        _ expectation: Expectation = .health, _ alter: @escaping @Sendable (inout Draft) -> Void = { _ in }
    ) -> CaseStep { .call(DraftRequest(.health, alter), expectation) }

    static func metadata(
        _ expectation: Expectation = .metadata, _ alter: @escaping @Sendable (inout Draft) -> Void = { _ in }
    ) -> CaseStep { .call(DraftRequest(.metadata, alter), expectation) }

    static func encrypt(
        _ expectation: Expectation = .encrypted, _ alter: @escaping @Sendable (inout Draft) -> Void = { _ in }
    ) -> CaseStep { .call(DraftRequest(.encrypt, alter), expectation) }

    /// Of what was encrypted last.
    static func decrypt(
        _ expectation: Expectation = .decrypted, _ alter: @escaping @Sendable (inout Draft) -> Void = { _ in }
    ) -> CaseStep { .call(DraftRequest(.decrypt, alter), expectation) }
}

/// The sections that are cited.
enum Section {
    static let content = "XKS 1.0.3, API content type"
    static let operations = "XKS 1.0.3, API operations"
    static let metadata = "XKS 1.0.3, GetKeyMetadata"
    static let encrypt = "XKS 1.0.3, Encrypt"
    static let decrypt = "XKS 1.0.3, Decrypt"
    static let health = "XKS 1.0.3, GetHealthStatus"
    static let errors = "XKS 1.0.3, Error codes"
    static let authentication = "XKS 1.0.3, Authentication"
    static let rotation = "XKS 1.0.3, SigV4 credentials rotation"
    static let authorization = "XKS 1.0.3, Authorization"
    static let signing = "XKS 1.0.3, Appendix A"
    static let canonical = "XKS 1.0.3, Appendix A, Task 1"
    static let stringToSign = "XKS 1.0.3, Appendix A, Task 2"
    static let matching = "XKS 1.0.3, Appendix A, Task 4"
    static let fields = "XKS 1.0.3, Appendix B"
    static let integrity = "XKS 1.0.3, Appendix C"

    /// HTTP/1.1, which "API content type" makes binding.
    static func http1(_ section: String) -> String { "RFC 9112, \(section)" }
    static func http(_ section: String) -> String { "RFC 9110, \(section)" }
    static func json(_ section: String) -> String { "RFC 8259, \(section)" }
    static func base64(_ section: String) -> String { "RFC 4648, \(section)" }
}
