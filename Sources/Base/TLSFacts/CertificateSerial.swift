// SPDX-License-Identifier: Apache-2.0

/// The serial number of a certificate (RFC 5280 section 4.1.2.2), which its CA gives to no other.
package struct CertificateSerial: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Octets that a serial number has at most.
    package static let mostOctets = 20

    /// Without leading zeroes, at least one octet.
    private let octets: [UInt8]

    /// - Parameter octets: the number, most significant octet first; leading zeroes do not count. `nil` where it is empty
    ///   or longer than any serial number.
    package init?(octets: some Collection<UInt8>) {
        guard !octets.isEmpty else { return nil }
        let significant = octets.drop { $0 == 0 }
        guard significant.count <= Self.mostOctets else { return nil }
        self.octets = significant.isEmpty ? [0] : Array(significant)
    }

    /// - Parameter text: hexadecimal digits in any case, with or without colons between the octets, as `claviger cluster
    ///   serial` and `openssl x509 -serial` write them.
    package init?(_ text: String) {
        var octets: [UInt8] = []
        let parts = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        // Longer text is no serial number, and is not worth reading.
        guard text.utf8.count <= 4 * Self.mostOctets else { return nil }
        for part in parts {
            let digits = part.compactMap(Self.value)
            guard digits.count == part.count, !digits.isEmpty, parts.count == 1 || digits.count <= 2 else { return nil }
            var rest = digits[...]
            if !digits.count.isMultiple(of: 2), let first = rest.popFirst() { octets.append(first) }
            while let high = rest.popFirst(), let low = rest.popFirst() { octets.append(high << 4 | low) }
        }
        self.init(octets: octets)
    }

    /// `3f:a1:07`
    package var description: String {
        let digits = Array("0123456789abcdef".utf8)
        return octets.map { String(decoding: [digits[Int($0 >> 4)], digits[Int($0 & 15)]], as: UTF8.self) }
            .joined(separator: ":")
    }

    package static func < (left: CertificateSerial, right: CertificateSerial) -> Bool {
        left.octets.count == right.octets.count
            ? left.octets.lexicographicallyPrecedes(right.octets) : left.octets.count < right.octets.count
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x37
        case 0x61...0x66: digit - 0x57
        default: nil
        }
    }
}
