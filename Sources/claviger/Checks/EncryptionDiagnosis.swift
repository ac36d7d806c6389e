// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import Foundation
import LaneProtocol
import NIOCore
import NodeConfig
import SecureMemory
import SigV4
import XKSCalls
import XKSClient
import XKSProtocol

/// A real encryption and decryption by each key store of the running node, signed as KMS signs.
struct EncryptionDiagnosis {
    let settings: NodeSettings
    let secrets: SecretReader
    let status: NodeStatus
    let target: NodeConfig.ListenAddress
    /// PEM files with which to meet `xks.client_ca`.
    let client: (certificate: String, key: String)?
    /// By which the node knows that these requests are its own host's; `nil` where it gives none, as one of an earlier version.
    let requestID: String?
    let loop: any EventLoop

    /// For an answer; far longer than any deadline.
    private static let patience = TimeAmount.seconds(10)
    /// Past this KMS has gone, milliseconds.
    private static let deadlineOfKMS = 250.0

    func findings() async -> [Diagnosis.Finding] {
        if case .tls(_, _, .some) = settings.xks.protection, client == nil {
            return [
                Diagnosis.Finding(
                    "requests", "encryption", .skipped,
                    "xks.client_ca asks for a client's certificate: give one by --client-cert and --client-key")
            ]
        }
        // The node of this host is asked, whose certificate bears the name by which KMS reaches it.
        var tls = ClientTLS(trust: .anything)
        do {
            tls.identity = try client.map { try ClientTLS.Identity(certificate: $0.certificate, key: $0.key) }
        } catch {
            return [
                Diagnosis.Finding(
                    "requests", "encryption", .failure, "the client's certificate cannot be used: \(error)",
                    advice: "give PEM files of a certificate and its key by --client-cert and --client-key")
            ]
        }
        var findings: [Diagnosis.Finding] = []
        for store in settings.keyStores { findings.append(await finding(store, tls)) }
        return findings + [clock].compactMap(\.self)
    }

    private var clock: Diagnosis.Finding? {
        status.clock?.kmsSeconds.map { skew in
            let isOff = skew.magnitude >= 15
            return Diagnosis.Finding(
                "requests", "clock of the last signer", isOff ? .warning : .ok,
                "it signed \(skew.magnitude) s \(skew < 0 ? "ahead of" : "behind") this node's clock",
                advice: isOff ? "synchronize the host's clock: chronyc tracking, timedatectl" : nil)
        }
    }

    private func finding(_ store: KeyStoreSettings, _ tls: ClientTLS) async -> Diagnosis.Finding {
        let path = store.pathPrefix.isEmpty ? "key store without a prefix" : "key store \(store.pathPrefix)"
        guard let id = keyID(of: store) else {
            return Diagnosis.Finding(
                "requests", path, .skipped, "no key of it is known that could be used",
                advice: "claviger status shows which keys it has")
        }
        guard let credential = store.credentials.first, let secret = try? secrets.read(credential.secret),
            let signing = try? Credential(accessKeyID: credential.accessKeyID, secret: secret)
        else { return Diagnosis.Finding("requests", path, .skipped, "its credential cannot be read") }
        let region = store.regions?.min() ?? "us-east-1"
        let scheme = settings.xks.protection == .plaintext ? "http" : "https"
        guard let endpoint = try? XKSEndpoint("\(scheme)://\(target)\(store.pathPrefix)") else {
            return Diagnosis.Finding("requests", path, .skipped, "its address and prefix make no URL")
        }
        let call = XKSCall(
            signer: CallSigner(endpoint: endpoint, credential: signing, region: region), key: id, region: region,
            tls: tls, loop: loop, patience: Self.patience,
            requestID: requestID ?? RequestMetadata.diagnosticPrefix + UUID().uuidString.lowercased())
        do {
            let plaintext = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
            let (sealed, encryption) = try await call.encrypt(plaintext)
            let (opened, decryption) = try await call.decrypt(sealed)
            guard opened == plaintext else {
                return Diagnosis.Finding(
                    "requests", path, .failure, "what key \(id) had encrypted was decrypted to something else",
                    advice: "claviger block --key \(id), and look at claviger status")
            }
            let slowest = max(encryption, decryption)
            return Diagnosis.Finding(
                "requests", path, slowest > Self.deadlineOfKMS ? .warning : .ok,
                "key \(id) encrypted in \(tenths(encryption)) ms and decrypted in \(tenths(decryption)) ms",
                advice: slowest > Self.deadlineOfKMS
                    ? "KMS waits for 250 ms in all; claviger status shows where it goes" : nil)
        } catch let error as XKSCall.Refused
            where ["AccessDeniedException", "InvalidStateException"].contains(error.name)
        {
            return Diagnosis.Finding(
                "requests", path, .warning, "key \(id): \(error)",
                advice: "an order or a rule of this node bars it: claviger blocks; a policy has to allow "
                    + "\(XKSCall.principal); the log has the request under kmsRequestId \(call.requestID)")
        } catch let error as XKSCall.Refused where error.name == "ThrottlingException" {
            return Diagnosis.Finding(
                "requests", path, .warning,
                "key \(id): \(error): the key store answers, and lets no more through at the moment",
                advice:
                    "claviger status shows what its quota has refused, and whether more is asked than its HSMs can do")
        } catch {
            return Diagnosis.Finding(
                "requests", path, .failure, "key \(id): \(error)",
                advice: "the node's log has the request under kmsRequestId \(call.requestID)")
        }
    }

    /// One that an HSM has proven to hold.
    private func keyID(of store: KeyStoreSettings) -> String? {
        let served = Set(status.keys.filter { $0.isServed }.map(\.label))
        for key in store.keys {
            switch key {
            case .label(let label) where served.contains(label): return label
            case .named(let id, let label) where served.contains(label): return id
            case .glob(let glob):
                guard let pattern = LabelPattern(glob) else { continue }
                if let label = served.sorted().first(where: pattern.matches) { return label }
            default: continue
            }
        }
        return nil
    }
}
