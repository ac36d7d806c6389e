// SPDX-License-Identifier: Apache-2.0
import KeyStoreCredentials
import PrivateFiles
import SecureMemory
import SigV4

/// The one credential of a development node: made once, then the same at every start.
package enum DevCredentials {
    /// Reads `credential.json`, or makes it; writes the file that the configuration takes the secret from.
    package static func ensure(in state: DevState) throws -> Credential {
        let credential: Credential
        if let content = try PrivateFiles.read(state.credentialFile) {
            credential = try read(content, from: state.credentialFile)
        } else {
            credential = .generate()
            try PrivateFiles.write(credential.document(), to: state.credentialFile)
        }
        try PrivateFiles.write(credential.secret, to: state.secretFile)
        return credential
    }

    private static func read(_ content: SecretBytes, from path: String) throws -> Credential {
        guard let credential = try? Credential.read(document: content) else {
            // Not replaced silently: somebody may have put a credential of theirs here, and clients rely on it.
            throw DevError(
                "\(path) holds no credential: AccessKeyId (20 to 30 of A-Z 2-7) and RawSecretAccessKey (43 to 64 of "
                    + "A-Z a-z 0-9 + / =) are needed. Correct it, or remove it to have a new one made.")
        }
        return credential
    }
}
