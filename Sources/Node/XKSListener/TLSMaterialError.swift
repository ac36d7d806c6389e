// SPDX-License-Identifier: Apache-2.0

/// Certificates or a key that cannot be used. Each text names the file, what is wrong with it, and what mends it.
package enum TLSMaterialError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file could not be read, or may not hold what it does: what follows its name in a sentence, and the mend.
    case unusableFile(file: String, problem: String, mend: String)
    /// No PEM text, or one that was cut off.
    case malformedText(file: String, line: Int, reason: String)
    /// No certificate in PEM form in the file.
    case noCertificate(file: String, containsKey: Bool)
    /// The file has a PEM certificate that cannot be parsed; it begins in this line.
    case malformedCertificate(file: String, line: Int)
    /// The certificate's key is neither RSA nor on a curve that TLS uses, or may not sign by its key usage.
    case unsupportedCertificateKey(file: String, subject: String)
    /// No private key in PEM form in the file.
    case noKey(file: String, containsCertificate: Bool)
    /// The key is protected by a pass phrase.
    case encryptedKey(file: String)
    case malformedKey(file: String)
    /// Key and first certificate do not belong together. `position` is the certificate in the file (2 = second) that
    /// the key does belong to, if there is one.
    case keyMismatch(certificateFile: String, keyFile: String, subject: String, position: Int?)
    /// A client name is set, but no CA that could vouch for it.
    case clientNameWithoutAuthority(name: String)
    /// The name is empty, or has characters that no host name has.
    case badClientName(name: String)

    package var description: String { "\(problem); \(mend)" }

    /// The file in which it is wrong; `nil` where it is in none.
    package var file: String? {
        switch self {
        case .unusableFile(let file, _, _), .malformedText(let file, _, _), .noCertificate(let file, _),
            .malformedCertificate(let file, _), .unsupportedCertificateKey(let file, _), .noKey(let file, _),
            .encryptedKey(let file), .malformedKey(let file), .keyMismatch(_, let file, _, _):
            file
        case .clientNameWithoutAuthority, .badClientName: nil
        }
    }

    /// What names the file, or the value, among the keys of the table that names all of them.
    package func setting(among files: TLSFiles) -> String {
        switch self {
        case .clientNameWithoutAuthority, .badClientName: "client_name"
        default: file == files.key ? "key" : file == files.clientAuthority ? "client_ca" : "certificate"
        }
    }

    /// What is wrong.
    package var problem: String {
        switch self {
        case .unusableFile(let file, let problem, _): "\(file) \(problem)"
        case .malformedText(let file, let line, let reason): "\(file): line \(line): \(reason)"
        case .noCertificate(let file, let containsKey):
            containsKey
                ? "\(file): holds a private key but no certificate" : "\(file): no line -----BEGIN CERTIFICATE-----"
        case .malformedCertificate(let file, let line):
            "\(file): the certificate that begins in line \(line) is damaged"
        case .unsupportedCertificateKey(let file, let subject):
            "\(file): the certificate of \(subject) cannot be used by a TLS server"
        case .noKey(let file, let containsCertificate):
            containsCertificate
                ? "\(file): holds a certificate but no private key" : "\(file): no line -----BEGIN … PRIVATE KEY-----"
        case .encryptedKey(let file): "\(file): the private key has a pass phrase"
        case .malformedKey(let file): "\(file): the private key is damaged or of an unknown kind"
        case .keyMismatch(let certificateFile, let keyFile, let subject, let position):
            position.map {
                "\(keyFile): the key belongs to certificate \($0) in \(certificateFile), not to the first, which is of "
                    + subject
            } ?? "\(keyFile): the key does not belong to the certificate of \(subject) in \(certificateFile)"
        case .clientNameWithoutAuthority(let name): "client_name = \"\(name)\" without client_ca"
        case .badClientName(let name): "client_name = \"\(name)\" is not a name that a certificate bears"
        }
    }

    /// What to do about it.
    package var mend: String {
        switch self {
        case .unusableFile(_, _, let mend): mend
        case .malformedText: "copy the file again, whole, as plain text (ASCII or UTF-8)"
        case .noCertificate(_, true), .noKey(_, true): "certificate and key may be exchanged"
        case .noCertificate: "a DER file is converted by openssl x509 -inform der -in FILE -out cert.pem"
        case .malformedCertificate: "copy the file again, from BEGIN to END"
        case .unsupportedCertificateKey:
            "use a key of RSA, P-256, P-384 or P-521 with the key usage digitalSignature"
        case .noKey: "a DER file is converted by openssl pkey -inform der -in FILE -out key.pem"
        case .encryptedKey:
            "remove it by openssl pkey -in FILE -out key.pem, and keep the result readable for this user alone"
        case .malformedKey: "use RSA or EC in PEM form (PKCS#8, PKCS#1, SEC1)"
        case .keyMismatch(_, _, _, .some): "put the server's own certificate first, then the intermediate ones"
        case .keyMismatch: "use the key that the certificate was requested with"
        case .clientNameWithoutAuthority: "name the file of the CA that signs the client's certificate"
        case .badClientName: "KMS presents cks.kms.REGION.amazonaws.com"
        }
    }
}

/// Something about usable certificates that a person should know.
package indirect enum TLSMaterialWarning: Equatable, Sendable, CustomStringConvertible {
    /// Times are Unix seconds.
    case expired(file: String, subject: String, at: Int64)
    case notYetValid(file: String, subject: String, from: Int64)
    /// Less than 30 days are left, or a third of its time.
    case expiresSoon(file: String, subject: String, at: Int64, daysLeft: Int)
    /// Of one CA of several: clients of the others are let in.
    case ofOneAuthority(of: TLSMaterialWarning)

    package var file: String {
        switch self {
        case .ofOneAuthority(let warning): warning.file
        case .expired(let file, _, _), .notYetValid(let file, _, _), .expiresSoon(let file, _, _, _): file
        }
    }

    package var description: String {
        switch self {
        case .ofOneAuthority(let warning): warning.description
        case .expired(let file, let subject, let at):
            "\(file): the certificate of \(subject) expired on \(calendarDate(at))"
        case .notYetValid(let file, let subject, let from):
            "\(file): the certificate of \(subject) is not valid before \(calendarDate(from)); check this "
                + "machine's clock"
        case .expiresSoon(let file, let subject, let at, let daysLeft):
            "\(file): the certificate of \(subject) expires in \(daysLeft) days, on \(calendarDate(at))"
        }
    }

    /// Whether clients refuse the certificate now.
    package var isFatalForClients: Bool {
        switch self {
        case .expired, .notYetValid: true
        case .expiresSoon, .ofOneAuthority: false
        }
    }
}
