// SPDX-License-Identifier: Apache-2.0
import NIOSSL

/// A node's name, as certificates carry it.
///
/// It is no host name: it may hold `_`, capitals and dots, and is compared byte for byte. So TLS verifies the chain
/// alone, and the name is read here.
enum NodeName {
    private static let suffix = Array(".node.claviger".utf8)

    /// `<node>.node.claviger`
    static func dnsName(of node: String) -> String { node + String(decoding: suffix, as: UTF8.self) }

    /// Whose certificate it is; `nil` when it bears no node's name, or the names of two.
    static func of(_ certificate: NIOSSLCertificate) -> String? {
        var found: String?
        for name in certificate._subjectAlternativeNames() where name.nameType == .dnsName {
            guard let node = node(ofDNSName: Array(name.contents)) else { continue }
            guard found == nil || found == node else { return nil }
            found = node
        }
        return found
    }

    /// The node of a DNS name; `nil` for a name of another kind.
    static func node(ofDNSName name: [UInt8]) -> String? {
        guard name.count > suffix.count, name.suffix(suffix.count).elementsEqual(suffix) else { return nil }
        let node = name.dropLast(suffix.count)
        guard isValid(node) else { return nil }
        return String(decoding: node, as: UTF8.self)
    }

    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    static func isValid(_ name: some Collection<UInt8>) -> Bool {
        (1...64).contains(name.count) && name.allSatisfy(isNameByte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }
}
