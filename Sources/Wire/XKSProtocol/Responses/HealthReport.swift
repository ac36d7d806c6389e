// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import StatusVocabulary

/// The answer to GetHealthStatus (XKS 1.0.3, "GetHealthStatus").
package struct HealthReport: Sendable, Equatable {
    /// One external key manager.
    package struct KeyManager: Sendable, Equatable {
        /// Unique in the fleet.
        package var id: String
        /// Product, version, and what else helps.
        package var model: String
        package var status: HSMHealth

        package init(id: String, model: String, status: HSMHealth) {
            self.id = id
            self.model = model
            self.status = status
        }
    }

    /// Longest string in the report, characters; what is longer is cut. The specification names no limit.
    package static let longestText = 256
    /// Most key managers the API lets a report name.
    package static let mostKeyManagers = 10

    /// Number of proxies; less than 1 is reported as 1, because the API has no other way to say it.
    package var fleetSize: Int
    package var proxyVendor: String
    /// Product and version.
    package var proxyModel: String
    package var keyManagerVendor: String
    /// In the order in which a person must look at them, the worst first. Of more than `mostKeyManagers` the first ones
    /// and the last are reported: KMS refuses to connect or to update a key store where none is better than
    /// UNAVAILABLE, and what is left out must not make it so. The API wants at least one.
    package var keyManagers: [KeyManager]

    package init(
        fleetSize: Int, proxyVendor: String, proxyModel: String, keyManagerVendor: String, keyManagers: [KeyManager]
    ) {
        self.fleetSize = fleetSize
        self.proxyVendor = proxyVendor
        self.proxyModel = proxyModel
        self.keyManagerVendor = keyManagerVendor
        self.keyManagers = keyManagers
    }

    private var reported: [KeyManager] {
        guard keyManagers.count > Self.mostKeyManagers else { return keyManagers }
        return keyManagers.prefix(Self.mostKeyManagers - 1) + keyManagers.suffix(1)
    }

    /// The JSON text.
    /// - Throws: `internalFailure` when there is no key manager to name: KMS could not interpret such an answer.
    package func body() throws(XKSError) -> SecretBytes {
        guard !keyManagers.isEmpty else {
            throw XKSError(.internalFailure, "this proxy knows no external key manager")
        }
        let json = JSONWriter(capacity: 1_024)
        json.write("{\"xksProxyFleetSize\":")
        json.write(max(fleetSize, 1))
        json.write(",\"xksProxyVendor\":")
        json.write(quoted: proxyVendor, longest: Self.longestText)
        json.write(",\"xksProxyModel\":")
        json.write(quoted: proxyModel, longest: Self.longestText)
        json.write(",\"ekmVendor\":")
        json.write(quoted: keyManagerVendor, longest: Self.longestText)
        json.write(",\"ekmFleetDetails\":[")
        for (index, manager) in reported.enumerated() {
            json.write(index == 0 ? "{\"id\":" : ",{\"id\":")
            json.write(quoted: manager.id, longest: Self.longestText)
            json.write(",\"model\":")
            json.write(quoted: manager.model, longest: Self.longestText)
            json.write(",\"healthStatus\":\"")
            json.text.append(contentsOf: manager.status.rawValue.utf8)
            json.write("\"}")
        }
        json.write("]}")
        return json.text
    }
}
