// SPDX-License-Identifier: Apache-2.0
import CPlatform
import LaneProtocol
import PKCS11
import SecureMemory

/// What a check of one HSM found.
package struct TokenReport: Sendable, Equatable {
    package var identity: TokenIdentity
    package var keys: [CatalogueEntry]
    package var complaints: [CatalogueComplaint]
    /// One encryption and decryption on the token, or random bytes only where the token makes no session key
    /// (`function` is then `.generateRandom`).
    package var probe: ProbeReport

    package init(
        identity: TokenIdentity, keys: [CatalogueEntry], complaints: [CatalogueComplaint], probe: ProbeReport
    ) {
        self.identity = identity
        self.keys = keys
        self.complaints = complaints
        self.probe = probe
    }
}

/// Tries out one HSM as a worker would begin with it, and leaves it as it was.
package enum TokenCheck {
    /// Loads the library into this process, finds the token, logs in once, lists the keys, probes, and finalizes the
    /// library again. A library that reads its settings from the environment reads this process's.
    package static func run(
        module: String, token: TokenSelector, pin: SecretBytes?
    ) throws(WorkerFailure) -> TokenReport {
        let open = try OpenToken.open(module: module, token: token, pin: pin)
        defer { try? open.module.finalize() }
        let label = open.identity.label
        let findings: KeyFindings
        do {
            findings = try open.loginSession.aesKeys(atMost: KeyCatalogue.mostKeys)
        } catch {
            throw .call(error, doing: "searching the keys of token \"\(label)\"")
        }
        var catalogue = KeyCatalogue()
        let state = catalogue.update(findings, token: label)
        guard let ivs = IVPool(history: IVHistory()) else {
            throw WorkerFailure(kind: .call, message: "there is no memory")
        }
        var prober = Prober(knownBlock: KnownBlockHolder(), ivs: ivs, isLoggedIn: pin != nil)
        return TokenReport(
            identity: open.identity, keys: state.entries, complaints: state.complaints,
            probe: prober.probe(on: open.loginSession))
    }
}
