// SPDX-License-Identifier: Apache-2.0

/// What a certificate says, read from its DER form (RFC 5280 section 4.1).
///
/// NIOSSL would give the dates, too, but traps on dates that it cannot read; a file must never end the process.
struct CertificateFacts: Equatable {
    /// Unix seconds.
    var notBefore: Int64
    /// Unix seconds.
    var notAfter: Int64
    /// Distinguished names as they stand there.
    var issuer: [UInt8]
    var subject: [UInt8]
    var key: CertificateKey
    /// What the extended key usage allows, as object identifiers in DER; nil where the certificate has none, and may be
    /// used for anything (RFC 5280 section 4.2.1.12).
    var extendedUses: [[UInt8]]?

    /// Nil when this is not the beginning of a certificate.
    init?(der: [UInt8]) {
        var outer = DERReader(der[...])
        guard let certificate = outer.read(tag: 0x30) else { return nil }
        var certificateReader = DERReader(certificate)
        guard let signed = certificateReader.read(tag: 0x30) else { return nil }
        var fields = DERReader(signed)
        if fields.nextTag == 0xA0 { guard fields.read(tag: 0xA0) != nil else { return nil } }  // version
        guard fields.read(tag: 0x02) != nil,  // serial number
            fields.read(tag: 0x30) != nil,  // signature algorithm
            let issuer = fields.read(tag: 0x30),
            let validity = fields.read(tag: 0x30)
        else { return nil }
        var dates = DERReader(validity)
        guard let first = dates.readTime(), let last = dates.readTime() else { return nil }
        notBefore = first
        notAfter = last
        self.issuer = Array(issuer)
        subject = fields.read(tag: 0x30).map(Array.init) ?? []
        key = fields.read(tag: 0x30).map { CertificateKey(subjectPublicKeyInfo: $0) } ?? .other
        // Identifiers of issuer and subject, which nobody uses.
        for tag: UInt8 in [0xA1, 0xA2, 0x81, 0x82] where fields.nextTag == tag { _ = fields.read(tag: tag) }
        extendedUses = fields.read(tag: 0xA3).flatMap(Self.extendedUses)
    }

    private static func extendedUses(in extensions: ArraySlice<UInt8>) -> [[UInt8]]? {
        var list = DERReader(extensions)
        guard let content = list.read(tag: 0x30) else { return nil }
        var entries = DERReader(content)
        while let entry = entries.read(tag: 0x30) {
            var fields = DERReader(entry)
            guard fields.read(tag: 0x06).map(Array.init) == ObjectIdentifier.extendedKeyUsage else { continue }
            if fields.nextTag == 0x01 { _ = fields.read(tag: 0x01) }  // critical
            guard let value = fields.read(tag: 0x04) else { return nil }
            var sequence = DERReader(value)
            guard let uses = sequence.read(tag: 0x30) else { return nil }
            var reader = DERReader(uses)
            var found: [[UInt8]] = []
            while let use = reader.read(tag: 0x06) { found.append(Array(use)) }
            return found
        }
        return nil
    }

    /// Signed by its own key, as far as the names tell.
    var isSelfIssued: Bool { !issuer.isEmpty && issuer == subject }

    /// Whether a TLS server may show it.
    var isForServers: Bool {
        guard let extendedUses else { return true }
        return extendedUses.contains(ObjectIdentifier.serverAuthentication)
            || extendedUses.contains(ObjectIdentifier.anyUse)
    }

    /// Who has signed it: common name, organisation and country, in the order in which they stand there.
    var issuerText: String {
        var names = DERReader(issuer[...])
        var parts: [String] = []
        while let set = names.read(tag: 0x31) {
            var pairs = DERReader(set)
            while let pair = pairs.read(tag: 0x30) {
                var fields = DERReader(pair)
                guard let type = fields.read(tag: 0x06), let tag = fields.nextTag, let value = fields.read(tag: tag),
                    let name = ObjectIdentifier.names[Array(type)]
                else { continue }
                parts.append("\(name)=\(String(decoding: value, as: UTF8.self))")
            }
        }
        return parts.joined(separator: ", ")
    }
}

/// The kind of a certificate's public key.
enum CertificateKey: Equatable {
    /// Of so many bits.
    case rsa(bits: Int)
    case p256, p384, p521
    case ed25519
    case other

    init(subjectPublicKeyInfo: ArraySlice<UInt8>) {
        var fields = DERReader(subjectPublicKeyInfo)
        self = .other
        guard let algorithm = fields.read(tag: 0x30), let key = fields.read(tag: 0x03) else { return }
        var identifiers = DERReader(algorithm)
        switch identifiers.read(tag: 0x06).map(Array.init) {
        case ObjectIdentifier.rsa:
            var outer = DERReader(key.dropFirst())  // number of unused bits
            guard let numbers = outer.read(tag: 0x30) else { return }
            var reader = DERReader(numbers)
            guard let modulus = reader.read(tag: 0x02)?.drop(while: { $0 == 0 }), let first = modulus.first else {
                return
            }
            self = .rsa(bits: modulus.count * 8 - first.leadingZeroBitCount)
        case ObjectIdentifier.ellipticCurve:
            switch identifiers.read(tag: 0x06).map(Array.init) {
            case ObjectIdentifier.p256: self = .p256
            case ObjectIdentifier.p384: self = .p384
            case ObjectIdentifier.p521: self = .p521
            default: return
            }
        case ObjectIdentifier.ed25519: self = .ed25519
        default: return
        }
    }

    /// For people.
    var name: String {
        switch self {
        case .rsa(let bits): "RSA \(bits)"
        case .p256: "EC P-256"
        case .p384: "EC P-384"
        case .p521: "EC P-521"
        case .ed25519: "Ed25519"
        case .other: "a key of another kind"
        }
    }
}

/// Contents of DER's object identifiers.
private enum ObjectIdentifier {
    static let extendedKeyUsage: [UInt8] = [0x55, 0x1D, 0x25]
    static let anyUse: [UInt8] = [0x55, 0x1D, 0x25, 0x00]
    static let serverAuthentication: [UInt8] = [0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01]
    static let rsa: [UInt8] = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01]
    static let ellipticCurve: [UInt8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01]
    static let p256: [UInt8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
    static let p384: [UInt8] = [0x2B, 0x81, 0x04, 0x00, 0x22]
    static let p521: [UInt8] = [0x2B, 0x81, 0x04, 0x00, 0x23]
    static let ed25519: [UInt8] = [0x2B, 0x65, 0x70]
    static let names: [[UInt8]: String] = [
        [0x55, 0x04, 0x03]: "CN", [0x55, 0x04, 0x06]: "C", [0x55, 0x04, 0x0A]: "O", [0x55, 0x04, 0x0B]: "OU",
    ]
}
