// SPDX-License-Identifier: Apache-2.0
import ControlPlane
import NIOSSL
import NodeConfig
import XKSListener

/// What the control listener is protected by, read and found usable.
struct PlannedControl: Sendable {
    /// `nil` for plain HTTP.
    var context: NIOSSLContext?
    /// What clients are shown, the node's own first.
    var certificates: [ServerCertificate] = []
    /// `nil` where everybody is answered.
    var token: ControlToken?
}

extension Translation {
    /// `nil`, and reported, where something of it cannot be used.
    func control(_ diagnostics: inout Diagnostics) -> PlannedControl? {
        guard let protection = diagnostics.settings.control.protection else { return PlannedControl() }
        var planned = PlannedControl()
        let files = TLSFiles(certificate: protection.certificate, key: protection.key)
        do {
            let material = try TLSMaterial.load(files, now: now)
            for warning in material.warnings {
                diagnostics.warn(
                    "control.certificate", warning.description, isFatal: warning.isFatalForClients,
                    fix: "replace the certificate")
            }
            planned.context = try material.contextForHTTP1()
            planned.certificates = material.shown
            diagnostics.controlCertificate = material.server
        } catch let error as TLSMaterialError {
            diagnostics.report(error, among: files, in: "control")
        } catch {
            diagnostics.report("control.certificate", "\(error)", fix: "correct certificate or key")
        }
        if let source = protection.token { planned.token = token(source, &diagnostics) }
        return planned.context == nil || (protection.token != nil && planned.token == nil) ? nil : planned
    }

    private func token(_ source: SecretSource, _ diagnostics: inout Diagnostics) -> ControlToken? {
        guard let secret = read(source, "control.token", &diagnostics) else { return nil }
        do throws(ControlToken.Flaw) {
            return try ControlToken(secret)
        } catch {
            diagnostics.report(
                "control.token", "\(source) \(error.message)", fix: "make one with openssl rand -hex 32")
            return nil
        }
    }

    /// Warns where names and states go over the network in clear.
    func adviseOnControl(_ diagnostics: inout Diagnostics) {
        let control = diagnostics.settings.control
        guard control.protection == nil, !control.listen.isLoopback else { return }
        diagnostics.warn(
            "control.listen",
            "\(control.listen) is reached from other hosts, over plain HTTP and by everybody: names and states of nodes and "
                + "HSMs can be read there",
            isFatal: false,
            fix: "give [control] certificate, key and token, or let a firewall in front admit the load balancer and "
                + "monitoring alone")
    }
}
