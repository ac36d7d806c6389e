// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

// What is answered from what the node knows, without asking an HSM.

extension XKSService {
    /// GetKeyMetadata (XKS 1.0.3, "GetKeyMetadata"). A key that is blocked, or outside its dates, is DISABLED: KMS then
    /// makes no key of it, and says so to people.
    func keyMetadata(_ exchange: Exchange, _ store: ServedKeyStore, _ externalKeyID: String?) throws(XKSError) {
        read(
            try GetKeyMetadataRequest(body: exchange.request.body, limits: exchange.setup.settings.limits).metadata,
            into: exchange)
        do throws(Refusal) {
            try authorize(exchange, store, externalKeyID)
            try charge(exchange)
            let label = label(externalKeyID, in: store)
            let (_, decision) = try decision(on: label, of: externalKeyID, exchange, store, for: .metadata)
            let block = blockVerdict(exchange, store, externalKeyID, label: label)
            exchange.trace.reason = block?.logText
            exchange.trace.block = block?.block?.id
            let terms = try terms(decision, for: .metadata)
            let isEnabled = block == nil && isWithinDates(terms)
            finish(
                exchange,
                .success(
                    XKSResponse.keyMetadata(
                        usage: terms.usage, status: isEnabled ? .enabled : .disabled)))
        } catch {
            refuse(exchange, error, label: exchange.label)
        }
    }

    /// GetHealthStatus (XKS 1.0.3, "GetHealthStatus"): the state that the workers' known-answer probes keep fresh, of
    /// all nodes, and of the HSMs that this key store has. With every HSM out it is still an answer, and says so. No block
    /// touches it.
    func health(_ exchange: Exchange, _ store: ServedKeyStore) throws(XKSError) {
        let settings = exchange.setup.settings
        read(try HealthRequest(body: exchange.request.body, limits: settings.limits).metadata, into: exchange)
        do throws(XKSError) {
            let fleet = neighbours.fleet.fleet(of: store.hsmNames)
            let vendors = Set(fleet.hsms.compactMap(\.manufacturer)).sorted()
            let report = HealthReport(
                fleetSize: fleet.nodes, proxyVendor: "Claviger", proxyModel: settings.version,
                keyManagerVendor: vendors.isEmpty ? "unknown" : vendors.joined(separator: ", "),
                keyManagers: fleet.hsms.map(keyManager))
            finish(exchange, .success(try report.body()))
        } catch {
            finish(exchange, refusing: error)
        }
    }

    private func keyManager(_ hsm: FleetHSM) -> HealthReport.KeyManager {
        HealthReport.KeyManager(
            id: hsm.id, model: hsm.model ?? "unknown", status: hsm.health)
    }
}
