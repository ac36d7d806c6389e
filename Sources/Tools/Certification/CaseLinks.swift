// SPDX-License-Identifier: Apache-2.0
import Conformance
import NIOCore
import NIOSSL
import XKSCalls
import XKSClient

/// Connections of all kinds that the cases ask for.
struct CaseLinks: Sendable {
    let loop: any EventLoop
    let ordinary: XKSConnector
    private let http2: XKSConnector
    private let probes: [ProbedLink: XKSConnector]
    private let subject: ConformanceSubject
    let patience: TimeAmount

    init(_ settings: CertificationSettings, loop: any EventLoop) throws {
        self.loop = loop
        subject = settings.subject
        patience = settings.patience
        let endpoint = settings.subject.endpoint
        var tls = ClientTLS(trust: .anything, identity: settings.identity)
        ordinary = try XKSConnector(endpoint, tls: tls)
        tls.protocols = ["h2", "http/1.1"]
        http2 = try XKSConnector(endpoint, tls: tls)
        guard endpoint.isTLS else {
            probes = [:]
            return
        }
        var probes: [ProbedLink: XKSConnector] = [:]
        for link in ProbedLink.allCases {
            guard let tls = try Self.tls(for: link, settings) else { continue }
            probes[link] = try XKSConnector(link == .plainHTTP ? try endpoint.plain() : endpoint, tls: tls)
        }
        self.probes = probes
    }

    /// `nil` where it cannot be made of what was given.
    private static func tls(for link: ProbedLink, _ settings: CertificationSettings) throws -> ClientTLS? {
        var tls = ClientTLS(trust: .anything, identity: settings.identity)
        switch link {
        case .tls12:
            tls.versions = .tls12 ... .tls12
            tls.suites = [.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]
        case .tls13: tls.versions = .tls13 ... .tls13
        case .tls11:
            tls.versions = .tls11 ... .tls11
            tls.suites = oldSuites
        case .tls10:
            tls.versions = .tls10 ... .tls10
            tls.suites = oldSuites
        case .withoutForwardSecrecy:
            tls.versions = .tls12 ... .tls12
            tls.suites = [
                .TLS_RSA_WITH_AES_256_GCM_SHA384, .TLS_RSA_WITH_AES_128_GCM_SHA256, .TLS_RSA_WITH_AES_256_CBC_SHA,
                .TLS_RSA_WITH_AES_128_CBC_SHA,
            ]
        case .verified: tls.trust = settings.trust
        case .plainHTTP: break
        case .offersHTTP1: tls.protocols = ["http/1.1"]
        case .offersBoth: tls.protocols = ["h2", "http/1.1"]
        case .withoutCertificate: tls.identity = nil
        case .selfSigned:
            guard let identity = settings.identity else { return nil }
            tls.identity = try identity.forged()
        case .otherName:
            guard let other = settings.otherIdentity else { return nil }
            tls.identity = other
        }
        return tls
    }

    /// Of the versions before 1.2, of which those with forward secrecy come first.
    private static let oldSuites: [NIOTLSCipher] = [
        .TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, .TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
        .TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, .TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, .TLS_RSA_WITH_AES_128_CBC_SHA,
    ]

    // MARK: Probing

    func probe(_ link: ProbedLink, _ request: ComposedRequest) async -> ProbeObservation {
        guard let connector = probes[link] else { return ProbeObservation(.refused("it could not be tried")) }
        let connection: XKSConnection
        do {
            connection = try await connector.open(on: loop, within: patience).get()
        } catch ConnectionFault.silent {
            return ProbeObservation(.silent)
        } catch {
            return ProbeObservation(.refused("\(error)"))
        }
        defer { connection.close() }
        let (version, suite) = (connection.facts?.version ?? "", connection.facts?.suite ?? "")
        func observation(_ outcome: ProbeObservation.Outcome) -> ProbeObservation {
            ProbeObservation(outcome, version: version, suite: suite, chosenProtocol: connection.chosenProtocol)
        }
        if connection.chosenProtocol == "h2" {
            let called = await callHTTP2(request)
            guard case .answer(let answer) = called.outcome else {
                return observation(.refused("no answer over HTTP/2"))
            }
            return observation(.answered(answer))
        }
        connection.send(request.bytes)
        do {
            let answer = try await connection.answer(within: patience).get().answer
            // A server may say in plain HTTP that it speaks TLS.
            if link == .plainHTTP, answer.status != 200 {
                return observation(.refused("answered \(answer.status) in plain HTTP"))
            }
            return observation(.answered(answer))
        } catch ConnectionFault.silent {
            return observation(.silent)
        } catch {
            return observation(.refused("\(error)"))
        }
    }

    func speaksHTTP2() async -> Bool {
        let connection = try? await probes[.offersBoth]?.open(on: loop, within: patience).get()
        return connection?.chosenProtocol == "h2"
    }

    // MARK: Calling

    func callHTTP2(_ request: ComposedRequest) async -> Observation {
        do {
            let got = try await http2.callHTTP2(request.head, body: request.body, on: loop, within: patience).get()
            return Observation(
                .answer(got.answer), milliseconds: Double(got.complete &- got.times.ready) / 1e6,
                connectMilliseconds: Double(got.times.ready &- got.times.begun) / 1e6)
        } catch {
            return Observation(outcome(of: error), milliseconds: 0, connectMilliseconds: 0)
        }
    }

    func outcome(of error: any Error) -> Observation.Outcome {
        switch error as? ConnectionFault {
        case .silent: .silent
        case .ended(let reason): .ended(reason)
        case .malformed(let fault): .malformed("\(fault)")
        case .handshake, .unreachable, nil: .unreachable("\(error)")
        }
    }

    /// What the proxy says that it is; empty where it does not answer.
    func proxyName(now: Int64, runID: String) async -> String {
        let test = ConformanceCase.all.first { $0.id == "health-names" } ?? ConformanceCase.all[0]
        let request = CaseRun(test, subject: subject, runID: runID).compose(ConformanceCase.healthRequest, now: now)
        guard let connection = try? await ordinary.open(on: loop, within: patience).get() else { return "" }
        defer { connection.close() }
        connection.send(request.bytes)
        guard let answer = try? await connection.answer(within: patience).get().answer, answer.status == 200,
            let json = JSONValue(answer.body)
        else { return "" }
        return ["xksProxyVendor", "xksProxyModel", "ekmVendor"].compactMap { json[$0]?.text }
            .map { String($0.prefix(120)) }.joined(separator: ", ")
    }
}

extension XKSEndpoint {
    /// The same place, asked in plain HTTP.
    fileprivate func plain() throws -> XKSEndpoint {
        try XKSEndpoint("http://\(host.contains(":") ? "[\(host)]" : host):\(port)\(prefix)")
    }
}
