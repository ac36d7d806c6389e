// SPDX-License-Identifier: Apache-2.0
import Foundation
import KeyStoreCredentials
import SecureMemory
import SigV4

/// A development node whose files are all there. Holding it holds the state directory: keep it while the node runs.
package struct DevNode: Sendable {
    /// The key store's path prefix; AWS's test client expects this one.
    package static let pathPrefix = "/example/uri/path/prefix"

    package let options: DevOptions
    package let state: DevState
    package let certificates: DevCertificates
    package let credential: Credential
    package let hsms: [DevHSM]
    /// The file for `claviger serve`; written.
    package var configurationFile: String { state.configurationFile }

    /// Makes what is missing under the state directory and keeps what is there, also after an interrupted first run.
    ///
    /// - Parameters:
    ///   - state: the state directory, locked by this process.
    ///   - module: SoftHSM's library (`SoftHSMLibrary.find()`).
    ///   - now: for the validity of certificates.
    ///   - provision: fills one token, and returns when that is done; called for missing HSMs, one after another
    ///     (`ProvisioningProcess.run`).
    /// - Throws: `DevError`, and what `provision` throws.
    package static func prepare(
        _ options: DevOptions, state: DevState, module: String, now: Date = Date(),
        provision: (ProvisioningOrder) throws -> Void
    ) throws -> DevNode {
        try options.validate()
        let certificates = try DevCertificates.ensure(
            in: state.tlsDirectory, hosts: [options.listenHost], now: now)
        let credential = try DevCredentials.ensure(in: state)
        let hsms = (1...options.hsms).map { DevHSM(number: $0, stateDirectory: state.directory) }
        let missing = hsms.filter { !$0.isComplete }
        if !missing.isEmpty {
            let keys = try keys(in: state)
            for hsm in missing { try TokenStaging(hsm: hsm, module: module).run(keys: keys, provision: provision) }
        }
        for hsm in hsms { try hsm.writeConfiguration() }
        try StateFiles.write(
            DevConfiguration.text(
                options: options, state: state, certificates: certificates, accessKeyID: credential.accessKeyID,
                hsms: hsms, module: module),
            to: state.configurationFile)
        return DevNode(
            options: options, state: state, certificates: certificates, credential: credential, hsms: hsms)
    }

    /// The key values; new ones only while no token exists that could hold others under the same names.
    private static func keys(in state: DevState) throws -> DevKeys {
        if let keys = try DevKeys.load(from: state) { return keys }
        let existing = (1...16).map { DevHSM(number: $0, stateDirectory: state.directory) }.filter(\.isComplete)
        guard existing.isEmpty else {
            throw DevError(
                "\(state.keysFile) is missing, so no HSM can be added with the keys that "
                    + "\(existing.map(\.name).joined(separator: ", ")) hold. Start without more HSMs, or remove "
                    + "\(state.directory) to begin anew with other keys.")
        }
        return try DevKeys.make(in: state)
    }

    /// What the node tells its user once it listens.
    ///
    /// - Parameters:
    ///   - port: the port that the XKS listener got.
    ///   - controlURL: where the control listener answers, for example `http://127.0.0.1:8480`.
    ///   - workers: process ids of the workers, in the HSMs' order.
    package func announcement(port: Int, controlURL: String, workers: [Int32]) -> DevAnnouncement {
        let wildcard = options.listenHost == "0.0.0.0" || options.listenHost == "::" || options.listenHost.isEmpty
        let host = wildcard ? "localhost" : options.listenHost
        let authority = host.contains(":") ? "[\(host)]" : host
        return DevAnnouncement(
            url: "\(options.plaintext ? "http" : "https")://\(authority):\(port)",
            prefix: Self.pathPrefix,
            credential: credential,
            certificates: certificates,
            mutualTLS: options.mutualTLS,
            keys: DevKeys.labels,
            workers: workers,
            stateDirectory: state.directory,
            controlURL: controlURL)
    }
}
