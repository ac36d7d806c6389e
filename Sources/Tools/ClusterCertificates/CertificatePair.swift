// SPDX-License-Identifier: Apache-2.0
import Crypto
import PrivateFiles
import SecureMemory
import X509

/// Where a certificate and its private key lie, as PEM. The key is readable by its owner only.
package struct CertificatePair: Sendable, Equatable {
    package let certificate: String
    package let key: String

    package init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }

    /// `nil` when a file is missing, is not PEM, or the key is not the certificate's.
    /// - Throws: `PrivateFileError` when a file is there and cannot be read.
    package func load() throws -> IssuedCertificate? {
        guard let certificateText = try PrivateFiles.read(certificate)?.text,
            let keyText = try PrivateFiles.read(key)?.text,
            let certificate = try? Certificate(pemEncoded: certificateText),
            let key = try? P256.Signing.PrivateKey(pemRepresentation: keyText),
            certificate.publicKey == Certificate.PublicKey(key.publicKey)
        else { return nil }
        return IssuedCertificate(certificate: certificate, key: key)
    }

    /// Writes both, each in one step, the certificate last: who is killed between the two leaves a pair that does not
    /// match, which `load` reports.
    package func write(_ issued: IssuedCertificate) throws {
        let certificateText = try issued.certificate.serializeAsPEM().pemString
        try PrivateFiles.write(issued.key.pemRepresentation + "\n", to: key)
        try PrivateFiles.write(certificateText + "\n", to: certificate, mode: 0o644)
    }

    /// Reads the pair; makes and writes a new one when either part is missing or unusable.
    package func ensure(
        isGood: (Certificate) -> Bool, make: () throws -> IssuedCertificate
    ) throws -> IssuedCertificate {
        if let found = try load(), isGood(found.certificate) { return found }
        let made = try make()
        try write(made)
        return made
    }
}

extension SecretBytes {
    fileprivate var text: String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}
