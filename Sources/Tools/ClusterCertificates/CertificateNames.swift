// SPDX-License-Identifier: Apache-2.0
import Glibc
import SwiftASN1
import X509

/// The name of a node as its certificate carries it: a dNSName that no name server knows.
///
/// A node's name may have `_`, capitals and dots, which no host name has; such a name is compared byte for byte, and is
/// no business of a TLS library's host name check.
package enum NodeCertificateName {
    private static let suffix = ".node.claviger"

    /// `<node>.node.claviger`
    package static func dnsName(of node: String) -> String { node + suffix }

    /// The way back; `nil` for a name of another kind.
    package static func node(ofDNSName name: String) -> String? {
        guard name.hasSuffix(suffix) else { return nil }
        let node = String(name.dropLast(suffix.count))
        return isValid(node) ? node : nil
    }

    /// What `node.id` may be: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    package static func isValid(_ node: String) -> Bool {
        (1...64).contains(node.utf8.count)
            && node.utf8.allSatisfy { $0 == UInt8(ascii: "_") || GeneralName.isHostNameByte($0) }
    }
}

extension GeneralName {
    /// An IP address or a host name as a certificate carries it; `nil` for what no certificate can: the addresses that
    /// mean "any", and text that is neither.
    package init?(host: String) {
        if host == "0.0.0.0" || host == "::" { return nil }
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, host, &four) == 1 {
            self = .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: &four) { Array($0)[...] }))
        } else if inet_pton(AF_INET6, host, &six) == 1 {
            self = .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: &six) { Array($0)[...] }))
        } else {
            guard (1...253).contains(host.utf8.count), host.utf8.allSatisfy(Self.isHostNameByte) else { return nil }
            self = .dnsName(host)
        }
    }

    fileprivate static func isHostNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
