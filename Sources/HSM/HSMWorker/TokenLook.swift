// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11
import SecureMemory

/// One look at a token by somebody who sets a node up: its keys, and whether those that a node is to use do what requests
/// ask of them.
package struct TokenLook: Sendable {
    /// AES keys that the login shows.
    package var keys: [HSMListing.Key]
    /// What keeps keys from serving, by label, as the end of a sentence.
    package var refusals: [KeyLabel: String]

    /// Loads the library into this process, logs in once to the one token that the selector means, and looks.
    ///
    /// - Parameters:
    ///   - tried: labels of keys that each encrypt and decrypt once. One that there is not is passed over.
    ///   - newKey: the label of an AES-256 key that is made on the token first, unless there is one.
    ///
    /// - Throws: `WorkerFailure` with a sentence for people.
    package static func read(
        module path: String, initializeArguments: String?, token: TokenSelector, pin: SecretBytes?,
        trying tried: [KeyLabel], making newKey: KeyLabel?
    ) throws(WorkerFailure) -> TokenLook {
        let open = try OpenToken.open(
            module: path, token: token, pin: pin, initializeArguments: initializeArguments)
        defer { try? open.module.finalize() }
        if let newKey { try make(newKey, on: open) }
        do {
            let session = open.loginSession
            let found = try session.aesKeys(atMost: KeyReader.mostObjects)
            var look = TokenLook(keys: found.keys.map(HSMListing.Key.init), refusals: [:])
            for key in found.keys {
                guard let label = key.label, tried.contains(label) else { continue }
                var trials = CapabilityTrials(session, key: key.handle)
                defer { trials.end() }
                let result = trials.confirm(open.capabilities.profile)
                if !result.isOK { look.refusals[label] = "\(result.error)" }
            }
            return look
        } catch {
            throw .call(error, doing: "listing the keys of token \"\(open.identity.label)\"")
        }
    }

    private static func make(_ label: KeyLabel, on open: OpenToken) throws(WorkerFailure) {
        do {
            guard try open.loginSession.aesKeyHandles(labelled: label, atMost: 1).handles.isEmpty else { return }
            let session = try Session.open(open.module, slot: open.identity.slot, readWrite: true)
            defer { try? session.close() }
            _ = try session.generateTokenKey(label: label.text)
        } catch {
            throw .call(error, doing: "making the key \"\(label.text)\" on token \"\(open.identity.label)\"")
        }
    }
}
