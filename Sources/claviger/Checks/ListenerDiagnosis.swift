// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Glibc
import NIOCore
import NodeConfig
import XKSListener

/// What a client meets at a TLS listener of the running node: how long connecting takes, and which certificates it is shown.
struct ListenerDiagnosis {
    let target: NodeConfig.ListenAddress
    /// That names the certificate's file.
    let setting: String
    /// Before the subject of each finding.
    var prefix = ""
    let loop: any EventLoop

    /// - Returns: also what was seen; `nil` where there was no handshake.
    func findings() async -> (view: ServerView?, findings: [Diagnosis.Finding]) {
        let view: ServerView
        switch await ServerView.of(host: target.host, port: target.port, on: loop) {
        case .success(let seen): view = seen
        case .failure(let trouble):
            let failure = finding(
                "TLS", .failure, "no handshake with \(target): \(trouble.message)",
                advice: "the node's log says whom it turned away, and why")
            return (nil, [failure])
        }
        let time = tenths(Double(view.nanoseconds) / 1e6)
        let now = Int64(time_t(Glibc.time(nil)))
        let certificates = view.chain.enumerated().map { index, certificate in
            let flaw = [certificate].flaw(now: now, setting: setting)
            return finding(
                index == 0 ? "certificate" : "certificate \(index + 1)",
                flaw.map { $0.isFatal ? .failure : .warning } ?? .ok, certificate.description(now: now),
                advice: flaw == nil ? nil : "put a new one in its place, and claviger reload")
        }
        return (view, [finding("TLS", .ok, "connected with \(target) in \(time) ms")] + certificates)
    }

    private func finding(
        _ subject: String, _ state: Diagnosis.State, _ text: String, advice: String? = nil
    ) -> Diagnosis.Finding {
        Diagnosis.Finding("listeners", prefix + subject, state, text, advice: advice)
    }
}

extension ListenerDiagnosis {
    /// The listener for KMS, and whether this host's own CAs vouch for what it shows.
    static func ofXKS(
        _ settings: NodeSettings, target: NodeConfig.ListenAddress, loop: any EventLoop
    ) async -> [Diagnosis.Finding] {
        guard settings.xks.protection != .plaintext else {
            return [
                Diagnosis.Finding("listeners", "TLS", .skipped, "xks.plaintext: something before the node ends it")
            ]
        }
        let (view, findings) = await Self(target: target, setting: "xks.certificate", loop: loop).findings()
        guard let view, let name = view.chain.first?.names.first else { return findings }
        guard let flaw = await HostTrust.flaw(of: view.encodedChain, name: name) else {
            return findings + [Diagnosis.Finding("listeners", "trust", .ok, "this host's CAs vouch for \(name)")]
        }
        let isShownToKMS = settings.xks.showsItsCertificateToKMS
        return findings + [
            Diagnosis.Finding(
                "listeners", "trust", isShownToKMS ? .warning : .skipped, flaw,
                advice: isShownToKMS ? HostTrust.mend : nil)
        ]
    }
}
