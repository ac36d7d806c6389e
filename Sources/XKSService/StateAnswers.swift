// SPDX-License-Identifier: Apache-2.0
import Routing
import XKSProtocol

// What is answered from what the node knows, without asking an HSM.

extension XKSService {
    /// GetKeyMetadata (XKS 1.0.3, "GetKeyMetadata").
    func keyMetadata(_ exchange: Exchange, _ store: ServedKeyStore, _ externalKeyID: String?) throws(XKSError) {
        exchange.trace.metadata = try GetKeyMetadataRequest(
            body: exchange.request.body, limits: settings.limits
        ).metadata
        do throws(XKSError) {
            let usage = try usage(ofKey: try label(externalKeyID, in: store), in: store, purpose: [])
            finish(
                exchange,
                .success(XKSResponse.keyMetadata(usage: XKSKeyUsage(rawValue: usage.rawValue), status: .enabled)))
        } catch {
            finish(exchange, refusing: error)
        }
    }

    /// GetHealthStatus (XKS 1.0.3, "GetHealthStatus"): the state that the workers' known-answer probes keep fresh.
    /// With every HSM out it is still an answer, and says so.
    func health(_ exchange: Exchange) throws(XKSError) {
        exchange.trace.metadata = try HealthRequest(body: exchange.request.body, limits: settings.limits).metadata
        do throws(XKSError) {
            let hsms = pool.status().sorted { severity($0.condition) > severity($1.condition) }
            let report = HealthReport(
                fleetSize: 1, proxyVendor: "Claviger", proxyModel: settings.version,
                keyManagerVendor: vendor(of: hsms), keyManagers: hsms.map(keyManager))
            finish(exchange, .success(try report.body()))
        } catch {
            finish(exchange, refusing: error)
        }
    }

    private func keyManager(_ hsm: HSMStatus) -> HealthReport.KeyManager {
        let model = hsm.identity.map { "\($0.manufacturer) \($0.model), firmware \($0.firmware)" }
        return HealthReport.KeyManager(
            id: hsm.identity.map { "\(hsm.name) (\($0.serial))" } ?? hsm.name,
            model: model ?? "unknown: its token has not been reached",
            status: healthStatus(hsm.condition))
    }

    private func vendor(of hsms: [HSMStatus]) -> String {
        let vendors = Set(hsms.compactMap { $0.identity?.manufacturer }).sorted()
        return vendors.isEmpty ? "unknown" : vendors.joined(separator: ", ")
    }
}

private func healthStatus(_ condition: HSMCondition) -> HealthReport.Status {
    switch condition {
    case .active: .active
    case .degraded: .degraded
    case .starting, .probing, .unavailable: .unavailable
    }
}

/// What a person must look at comes first: the API names ten HSMs at most.
private func severity(_ condition: HSMCondition) -> Int {
    switch condition {
    case .unavailable: 4
    case .probing: 3
    case .starting: 2
    case .degraded: 1
    case .active: 0
    }
}
