// SPDX-License-Identifier: Apache-2.0
import AccessControl
import LaneProtocol
import Policy
import Quota
import Routing
import SigV4
import Synchronization
import XKSProtocol

/// A key store with what it takes to serve it.
package struct ServedKeyStore: Sendable {
    package var keyStore: KeyStore
    /// Knows the key store's credentials and regions.
    package var verifier: SigV4Verifier
    /// The HSMs that hold its keys.
    package var hsms: HSMSet
    /// Their names, where not all HSMs do; for GetHealthStatus.
    package var hsmNames: Set<String>?
    /// How ciphertext without Claviger's mark is opened.
    package var foreignForm: AADForm
    /// `nil` where everything is allowed.
    package var policy: KeyStorePolicy?
    /// `nil` where nothing is limited.
    package var quota: QuotaLimits?
    /// Whether the audit log has its requests that succeeded, too.
    package var auditsSuccesses: Bool

    package init(
        keyStore: KeyStore, verifier: SigV4Verifier, hsms: HSMSet, hsmNames: Set<String>? = nil, foreignForm: AADForm,
        policy: KeyStorePolicy? = nil, quota: QuotaLimits? = nil, auditsSuccesses: Bool = true
    ) {
        self.keyStore = keyStore
        self.verifier = verifier
        self.hsms = hsms
        self.hsmNames = hsmNames
        self.foreignForm = foreignForm
        self.policy = policy
        self.quota = quota
        self.auditsSuccesses = auditsSuccesses
    }
}

/// What the service works by; may be replaced while it runs.
package struct ServiceSettings: Sendable {
    package var keyStores: [ServedKeyStore]
    package var limits: XKSLimits
    /// From the first byte of a request to its answer, nanoseconds. KMS gives up after 250 ms.
    package var deadline: UInt64
    /// Product and version, for GetHealthStatus.
    package var version: String
    /// Which requests are traced; `nil`: none.
    package var tracing: RequestTracing?

    package init(
        keyStores: [ServedKeyStore], limits: XKSLimits, deadline: UInt64, version: String,
        tracing: RequestTracing? = nil
    ) {
        self.keyStores = keyStores
        self.limits = limits
        self.deadline = deadline
        self.version = version
        self.tracing = tracing
    }
}

/// Settings, with the table to find key stores by. A class: each request holds the one it began with.
final class ServiceSetup: Sendable {
    let settings: ServiceSettings
    let directory: KeyStoreDirectory
    /// When each key store and its credentials were last used, in the order of the settings.
    let uses: [KeyStoreUse]
    /// What enforces each key store's quota, in the order of the settings; `nil` where it has none.
    let quotas: [QuotaGate?]

    /// - Parameter old: what came before: a key store that stays keeps when it was last used, and what is owed of its
    ///   quota.
    init(_ settings: ServiceSettings, after old: ServiceSetup? = nil) throws(AccessControlError) {
        self.settings = settings
        directory = try KeyStoreDirectory(settings.keyStores.map(\.keyStore))
        uses = settings.keyStores.map { store in
            KeyStoreUse(
                store.keyStore.pathPrefix, store.verifier.accessKeyIDs,
                after: old?.uses.first { $0.prefix == store.keyStore.pathPrefix })
        }
        quotas = settings.keyStores.map { store in
            store.quota.map { limits in
                let before = old?.quotas.lazy.compactMap { $0 }.first { $0.keyStore == store.keyStore.pathPrefix }
                return QuotaGate(store.keyStore.pathPrefix, limits, buckets: before?.buckets ?? QuotaGate.Buckets())
            }
        }
    }
}

/// When authenticated requests for a key store last came.
final class KeyStoreUse: Sendable {
    let prefix: String
    /// In the order of the verifier.
    let credentials: [CredentialUse]
    /// By credentials that it does not have any more: CLOCK_MONOTONIC, nanoseconds; 0 for never.
    private let before: UInt64

    /// - Parameter old: the same key store as it was: a credential that stays keeps when it was last used.
    init(_ prefix: String, _ accessKeyIDs: [String], after old: KeyStoreUse?) {
        self.prefix = prefix
        credentials = accessKeyIDs.map { id in
            old?.credentials.first { $0.accessKeyID == id } ?? CredentialUse(id)
        }
        before = old?.last ?? 0
    }

    /// CLOCK_MONOTONIC, nanoseconds; 0 for never.
    var last: UInt64 { credentials.reduce(before) { max($0, $1.last.load(ordering: .relaxed)) } }
}

/// When a request that a credential signed last came.
final class CredentialUse: Sendable {
    let accessKeyID: String
    /// CLOCK_MONOTONIC, nanoseconds; 0 for never.
    let last = Atomic<UInt64>(0)

    init(_ accessKeyID: String) { self.accessKeyID = accessKeyID }
}

/// The clocks, so that tests can hold them.
package struct ServiceClocks: Sendable {
    /// CLOCK_MONOTONIC, nanoseconds.
    package var monotonic: @Sendable () -> UInt64
    /// Unix time, seconds.
    package var wall: @Sendable () -> Int64

    package init(monotonic: @escaping @Sendable () -> UInt64, wall: @escaping @Sendable () -> Int64) {
        self.monotonic = monotonic
        self.wall = wall
    }
}
