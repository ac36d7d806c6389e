// SPDX-License-Identifier: Apache-2.0
import SecureMemory
import SigV4
import Testing
import XKSService

@Suite struct CredentialUseTests {
    private let health = #"{"requestMetadata":{"kmsRequestId":"1","kmsOperation":"KmsHealthCheck"}}"#
    private let path = "/example/kms/xks/v1/health"

    private func bench() throws -> ServiceBench {
        try ServiceBench(hsms: [FleetHSM(id: "a", manufacturer: nil, model: nil, health: .active)]) { _ in .done([]) }
    }

    @Test func theCredentialThatSignedCountsAsUsed() throws {
        let bench = try bench()
        #expect(bench.service.credentialUses() == [:] && bench.service.keyStoresUsed(since: 0) == [])
        let stranger = try Credential(
            accessKeyID: bench.credential.accessKeyID, secret: SecretBytes(String(repeating: "x", count: 43).utf8))
        #expect(try bench.post(path, health, signedBy: stranger).0 == 401)
        #expect(bench.service.credentialUses() == [:])
        #expect(try bench.post(path, health).0 == 200)
        #expect(bench.service.credentialUses() == [bench.credential.accessKeyID: 999_000_000])
        #expect(bench.service.keyStoresUsed(since: 0) == ["/example"])
        #expect(bench.service.keyStoresUsed(since: 999_000_000) == [])
        // A reload that leaves it leaves that.
        try bench.replaceKeys(["foo"])
        #expect(bench.service.credentialUses() == [bench.credential.accessKeyID: 999_000_000])
    }

    /// It kept a credential in use that KMS had given up, and was taken for KMS's clock.
    @Test func whatThisHostsOwnCommandsSignCountsForNothing() throws {
        let bench = try bench()
        let id = bench.service.diagnostics.begin(now: 999_000_000, chance: (1, 2))
        #expect(try bench.post(path, health.replacing("\"1\"", with: "\"\(id)\"")).0 == 200)
        #expect(bench.observer.traces.last?.isDiagnostic == true)
        #expect(bench.service.credentialUses() == [:] && bench.service.keyStoresUsed(since: 0) == [])
        #expect(bench.service.signedClock.facts(now: 999_000_001).tolerated == nil)
        #expect(try bench.post(path, health).0 == 200)
        #expect(bench.service.signedClock.facts(now: 999_000_001).tolerated != nil)
    }

    /// Whoever held a credential could keep its use unseen.
    @Test func howAnIDBeginsDecidesNothing() throws {
        let bench = try bench()
        let old = bench.service.diagnostics.begin(now: 0, chance: (1, 2))
        for id in ["diagnose-1", "diagnose-00000000000000010000000000000003"] {
            #expect(try bench.post(path, health.replacing("\"1\"", with: "\"\(id)\"")).0 == 200)
            #expect(bench.observer.traces.last?.isDiagnostic == false && bench.service.credentialUses().count == 1)
        }
        #expect(old == "diagnose-00000000000000010000000000000002")
        _ = try bench.post(path, health.replacing("\"1\"", with: "\"\(old)\""))
        #expect(bench.observer.traces.last?.isDiagnostic == true)
        let stale = bench.service.diagnostics.begin(now: 999_000_000 &- DiagnosticRequests.lifetime, chance: (3, 4))
        _ = try bench.post(path, health.replacing("\"1\"", with: "\"\(stale)\""))
        #expect(bench.observer.traces.last?.isDiagnostic == false, "its time is over")
    }

    /// The key store has been used, whatever has become of the credential.
    @Test func aCredentialThatHasGoneLeavesItsKeyStoresUse() throws {
        let bench = try bench()
        #expect(try bench.post(path, health).0 == 200)
        let other = try Credential(
            accessKeyID: "BBBBBBBBBBBBBBBBBBBB", secret: SecretBytes(String(repeating: "o", count: 43).utf8))
        try bench.replaceCredentials([other])
        #expect(bench.service.credentialUses() == [:])
        #expect(bench.service.keyStoresUsed(since: 0) == ["/example"])
        try bench.replaceCredentials([other, bench.credential])
        #expect(try bench.post(path, health, signedBy: bench.credential).0 == 200)
        #expect(Array(bench.service.credentialUses().keys) == [bench.credential.accessKeyID])
    }
}
