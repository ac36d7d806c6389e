// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Glibc
import NIOCore
import NodeConfig
import XKSListener

/// What people and monitoring meet at the control listener of the running node, where it has a certificate.
struct ControlDiagnosis {
    let target: NodeConfig.ListenAddress
    let loop: any EventLoop

    func findings() async -> [Diagnosis.Finding] {
        let view: ServerView
        switch await ServerView.of(host: target.host, port: target.port, on: loop) {
        case .success(let seen): view = seen
        case .failure(let trouble):
            return [
                finding(
                    "control TLS", .failure, "no handshake with \(target): \(trouble.message)",
                    advice: "the node's log says whom it turned away, and why")
            ]
        }
        let time = tenths(Double(view.nanoseconds) / 1e6)
        let now = Int64(time_t(Glibc.time(nil)))
        return [finding("control TLS", .ok, "connected with \(target) in \(time) ms")]
            + view.chain.enumerated().map { index, certificate in
                let flaw = [certificate].flaw(now: now, setting: "control.certificate")
                return finding(
                    index == 0 ? "control certificate" : "control certificate \(index + 1)",
                    flaw.map { $0.isFatal ? .failure : .warning } ?? .ok,
                    certificate.description(now: now),
                    advice: flaw == nil ? nil : "put a new one in its place, and claviger reload")
            }
    }

    private func finding(
        _ subject: String, _ state: Diagnosis.State, _ text: String, advice: String? = nil
    ) -> Diagnosis.Finding {
        Diagnosis.Finding("listeners", subject, state, text, advice: advice)
    }
}

/// What a client meets at the XKS listener of the running node: how long connecting takes, which certificates it is shown,
/// and whether this host's own CAs vouch for them.
struct ListenerDiagnosis {
    let settings: NodeSettings
    let target: NodeConfig.ListenAddress
    let loop: any EventLoop

    func findings() async -> [Diagnosis.Finding] {
        guard settings.xks.protection != .plaintext else {
            return [finding("TLS", .skipped, "xks.plaintext: something before the node ends it")]
        }
        let view: ServerView
        switch await ServerView.of(host: target.host, port: target.port, on: loop) {
        case .success(let seen): view = seen
        case .failure(let trouble):
            return [
                finding(
                    "TLS", .failure, "no handshake with \(target): \(trouble.message)",
                    advice: "the node's log says whom it turned away, and why")
            ]
        }
        let time = tenths(Double(view.nanoseconds) / 1e6)
        var findings = [finding("TLS", .ok, "connected with \(target) in \(time) ms")]
        let now = Int64(time_t(Glibc.time(nil)))
        for (index, certificate) in view.chain.enumerated() {
            let flaw = [certificate].flaw(now: now)
            findings.append(
                finding(
                    index == 0 ? "certificate" : "certificate \(index + 1)",
                    flaw.map { $0.isFatal ? .failure : .warning } ?? .ok, certificate.description(now: now),
                    advice: flaw == nil ? nil : "put a new one in its place, and claviger reload"))
        }
        if let name = view.chain.first?.names.first { findings.append(await trust(in: name, view.encodedChain)) }
        return findings
    }

    /// KMS trusts a list of its own; a chain that this host's CAs do not complete is most often one without its
    /// intermediate certificates.
    private func trust(in name: String, _ chain: [[UInt8]]) async -> Diagnosis.Finding {
        let host = name.hasPrefix("*.") ? "any" + name.dropFirst() : name
        guard let flaw = await HostTrust.flaw(of: chain, host: host) else {
            return finding("trust", .ok, "this host's CAs vouch for \(name)")
        }
        let text = "this host's CAs do not vouch for \(name): \(flaw)"
        guard settings.xks.showsItsCertificateToKMS else { return finding("trust", .skipped, text) }
        return finding(
            "trust", .warning, text,
            advice:
                "KMS takes the authorities of \(ServerCertificate.authorities) alone; the intermediate certificates "
                + "belong into the file, behind the node's own")
    }

    private func finding(
        _ subject: String, _ state: Diagnosis.State, _ text: String, advice: String? = nil
    ) -> Diagnosis.Finding {
        Diagnosis.Finding("listeners", subject, state, text, advice: advice)
    }
}
