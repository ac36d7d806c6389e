// SPDX-License-Identifier: Apache-2.0
import Foundation
import KeyStoreCredentials
import PrivateFiles
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
    /// - Throws: `DevError`, `PrivateFileError`, and what `provision` throws.
    package static func prepare(
        _ options: DevOptions, state: DevState, module: String, now: Date = Date(),
        provision: (ProvisioningOrder) throws -> Void
    ) throws -> DevNode {
        try options.validate()
        let certificates = try DevCertificates.ensure(
            in: state.tlsDirectory, hosts: [options.listenHost], now: now)
        let credential = try DevCredentials.ensure(in: state)
        let hsms = DevHSM.all(options.hsms, in: state.directory)
        try DevHSM.ensure(hsms, state: state, module: module, provision: provision)
        let configuration = DevConfiguration(
            node: "dev", stateDirectory: state.nodeDirectory, listen: options.listen,
            controlListen: options.controlListen, cluster: nil, hsms: hsms)
        try PrivateFiles.write(
            configuration.text(
                options: options, secretFile: state.secretFile, certificates: certificates,
                accessKeyID: credential.accessKeyID, module: module),
            to: state.configurationFile)
        return DevNode(
            options: options, state: state, certificates: certificates, credential: credential, hsms: hsms)
    }

    /// What the node shows its user once it listens.
    ///
    /// - Parameters:
    ///   - port: the port that the XKS listener got.
    ///   - controlURL: where the control listener answers, for example `http://127.0.0.1:8480`.
    ///   - workers: process ids of the workers, in the HSMs' order.
    package func announcement(port: Int, controlURL: String, workers: [Int32]) -> DevAnnouncement {
        DevAnnouncement(
            url: options.url(port: port),
            prefix: Self.pathPrefix,
            credential: credential,
            certificates: certificates,
            mutualTLS: options.mutualTLS,
            keys: DevKeys.labels,
            workers: workers,
            stateDirectory: state.directory,
            controlURL: controlURL,
            cluster: nil)
    }
}
