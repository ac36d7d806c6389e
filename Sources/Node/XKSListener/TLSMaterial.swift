// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOSSL
import PrivateFiles
import SecureMemory
import TLSFacts

/// Where certificates and keys are.
package struct TLSFiles: Sendable, Equatable {
    /// PEM: the server's certificate, then intermediate ones.
    package var certificate: String
    /// PEM: the private key of the first certificate, RSA or EC, in PKCS#8, PKCS#1 or SEC1 form.
    package var key: String
    /// PEM: the CAs whose client certificates are accepted; nil for no client certificates (no mTLS).
    package var clientAuthority: String?
    /// One of these the client's certificate must bear as common name or DNS name, in any case; empty for any that the
    /// CA has signed. For example `cks.kms.eu-central-1.amazonaws.com`.
    package var clientNames: [String]

    package init(certificate: String, key: String, clientAuthority: String? = nil, clientNames: [String] = []) {
        self.certificate = certificate
        self.key = key
        self.clientAuthority = clientAuthority
        self.clientNames = clientNames
    }
}

/// Certificates and key, read and found to belong together.
package struct TLSMaterial: Sendable {
    /// What a person should know, for example that a certificate has expired. Nothing here keeps a node from
    /// starting: with an expired certificate it can at least say so.
    package let warnings: [TLSMaterialWarning]
    /// What clients are shown: the node's own certificate, then those that have signed it.
    package let shown: [ServerCertificate]
    /// The CAs that vouch for clients; empty when none is asked for.
    package let authorities: [ServerCertificate]
    /// The names of which clients must bear one; empty when none is asked for.
    package let clientNames: [String]

    /// What clients are shown, in DER.
    package var encodedChain: [[UInt8]] { chain.compactMap { try? $0.toDERBytes() } }

    /// The node's own.
    package var server: ServerCertificate? { shown.first }

    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey
    let clientAuthorities: [NIOSSLCertificate]

    /// Reads and checks the files. Blocks on the disk. `now` is Unix seconds.
    package static func load(_ files: TLSFiles, now: Int64) throws(TLSMaterialError) -> TLSMaterial {
        for name in files.clientNames {
            guard files.clientAuthority != nil else { throw .clientNameWithoutAuthority(name: name) }
            guard isPlausible(name) else { throw .badClientName(name: name) }
        }
        let chain = try readCertificates(files.certificate)
        let key = try readKey(files.key)
        try checkKey(key, belongsTo: chain, files: files)
        let authorities = try files.clientAuthority.map(readCertificates) ?? []
        var warnings = chain.compactMap { warning(about: $0, file: files.certificate, now: now) }
        if let file = files.clientAuthority {
            let flaws = authorities.compactMap { warning(about: $0, file: file, now: now) }
            // Beside a CA that is good, as while one takes the other's place, clients of that one are let in.
            let isOneGood = flaws.count(where: \.isFatalForClients) < authorities.count
            warnings += flaws.map { isOneGood ? .ofOneAuthority(of: $0) : $0 }
        }
        return TLSMaterial(
            warnings: warnings, shown: chain.compactMap { ServerCertificate($0) },
            authorities: authorities.compactMap { ServerCertificate($0) }, clientNames: files.clientNames,
            chain: chain, key: key, clientAuthorities: authorities)
    }

    /// The certificates of a file of authorities, for whoever asks a server. Blocks on the disk.
    package static func loadAuthorities(_ file: String) throws(TLSMaterialError) -> [NIOSSLCertificate] {
        try readCertificates(file)
    }

    private static func isPlausible(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 253 && name.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    // MARK: Certificates

    private static func readCertificates(_ file: String) throws(TLSMaterialError) -> [NIOSSLCertificate] {
        let bytes = try readFile(file, as: .plain)
        let text = try pem(bytes, file: file)
        guard !text.certificates.isEmpty else {
            throw .noCertificate(file: file, containsKey: text.privateKey != nil)
        }
        // One by one: the library leaves out, without a word, what it does not take for a certificate.
        var certificates: [NIOSSLCertificate] = []
        for block in text.certificates {
            guard let found = try? NIOSSLCertificate.fromPEMBytes(Array(bytes[block.range])), found.count == 1,
                let der = try? found.first?.toDERBytes(), CertificateFacts(der: der) != nil
            else { throw .malformedCertificate(file: file, line: block.line) }
            certificates += found
        }
        return certificates
    }

    private static func pem(_ bytes: [UInt8], file: String) throws(TLSMaterialError) -> PEMText {
        do throws(PEMText.Flaw) {
            return try PEMText(bytes)
        } catch {
            throw .malformedText(file: file, line: error.line, reason: error.message)
        }
    }

    private static func warning(about certificate: NIOSSLCertificate, file: String, now: Int64) -> TLSMaterialWarning? {
        guard let der = try? certificate.toDERBytes(), let facts = CertificateFacts(der: der) else { return nil }
        let subject = certificate.displayName
        if now > facts.notAfter { return .expired(file: file, subject: subject, at: facts.notAfter) }
        if now < facts.notBefore { return .notYetValid(file: file, subject: subject, from: facts.notBefore) }
        guard CertificateNotice.isDue(notBefore: facts.notBefore, notAfter: facts.notAfter, now: now) else {
            return nil
        }
        let daysLeft = Int((facts.notAfter - now) / 86_400)
        return .expiresSoon(file: file, subject: subject, at: facts.notAfter, daysLeft: daysLeft)
    }

    // MARK: Key

    private static func readKey(_ file: String) throws(TLSMaterialError) -> NIOSSLPrivateKey {
        var bytes = try readKeyFile(file)
        defer { bytes.withUnsafeMutableBytes { wipe($0) } }
        let text = try pem(bytes, file: file)
        guard let block = text.privateKey else {
            throw .noKey(file: file, containsCertificate: !text.certificates.isEmpty)
        }
        var key = Array(bytes[block.range])
        defer { key.withUnsafeMutableBytes { wipe($0) } }
        // PKCS#8 says it in the label, the older forms in a header line (RFC 1421 section 4.6.1.1).
        guard block.label != "ENCRYPTED PRIVATE KEY", !contains(key, "Proc-Type: 4,ENCRYPTED") else {
            throw .encryptedKey(file: file)
        }
        do {
            return try NIOSSLPrivateKey(bytes: key, format: .pem)
        } catch {
            throw .malformedKey(file: file)
        }
    }

    private static func readKeyFile(_ file: String) throws(TLSMaterialError) -> [UInt8] {
        do throws(TLSMaterialError) {
            return try readFile(file, as: .secret)
        } catch {
            // Of a file that others may read and that holds no key, that is what is wrong: it is said by the caller.
            guard let bytes = try? readFile(file, as: .plain), let text = try? PEMText(bytes), text.privateKey == nil
            else { throw error }
            return bytes
        }
    }

    private static func checkKey(
        _ key: NIOSSLPrivateKey, belongsTo chain: [NIOSSLCertificate], files: TLSFiles
    ) throws(TLSMaterialError) {
        guard let first = chain.first else { throw .noCertificate(file: files.certificate, containsKey: false) }
        let found = pairing(first, key)
        guard found != .match else { return }
        let other = chain.dropFirst().firstIndex { pairing($0, key) == .match }
        guard found == .mismatch || other != nil else {
            throw .unsupportedCertificateKey(file: files.certificate, subject: first.displayName)
        }
        throw .keyMismatch(
            certificateFile: files.certificate, keyFile: files.key, subject: first.displayName,
            position: other.map { $0 + 1 })
    }

    private enum Pairing { case match, mismatch, unusableCertificate }

    /// BoringSSL compares the two when a context is made of them.
    private static func pairing(_ certificate: NIOSSLCertificate, _ key: NIOSSLPrivateKey) -> Pairing {
        let configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(certificate)], privateKey: .privateKey(key))
        do {
            _ = try NIOSSLContext(configuration: configuration)
            return .match
        } catch NIOSSLError.failedToLoadCertificate {
            return .unusableCertificate
        } catch {
            return .mismatch
        }
    }
}

extension NIOSSLCertificate {
    /// The common name, or the first DNS name, for messages.
    var displayName: String { names.first.map { "\"\($0)\"" } ?? "an unnamed subject" }
}

private func contains(_ bytes: [UInt8], _ text: String) -> Bool {
    bytes.firstRange(of: Array(text.utf8)) != nil
}

/// The content of a file of at most 1 MiB. The caller overwrites it if it is secret.
private func readFile(_ path: String, as content: FileReading.Content) throws(TLSMaterialError) -> [UInt8] {
    do throws(FileReading.Failure) {
        return try FileReading.read(path, as: content, atMost: 1 << 20).withUnsafeBytes(Array.init)
    } catch {
        throw .unusableFile(file: path, problem: error.message, mend: error.fix)
    }
}
