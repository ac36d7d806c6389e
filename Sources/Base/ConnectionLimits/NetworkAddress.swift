// SPDX-License-Identifier: Apache-2.0
import Glibc

/// An IPv4 or IPv6 address. An IPv4 address that comes mapped into IPv6 (`::ffff:192.0.2.1`, as a socket for both
/// families says it) is the IPv4 address.
package struct NetworkAddress: Sendable, Hashable {
    /// The first and the second half of an IPv6 address in host order; of an IPv4 address, 0 and its 32 bits.
    let high: UInt64
    let low: UInt64
    package let isIPv4: Bool

    private init(high: UInt64, low: UInt64, isIPv4: Bool) {
        self.high = high
        self.low = low
        self.isIPv4 = isIPv4
    }

    /// From 4 or 16 bytes in network order; nil for any other number.
    package init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4:
            self.init(high: 0, low: bytes.reduce(0) { $0 << 8 | UInt64($1) }, isIPv4: true)
        case 16:
            let high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } as UInt64
            let low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) } as UInt64
            if high == 0, low >> 32 == 0xffff {
                self.init(high: 0, low: low & 0xffff_ffff, isIPv4: true)
            } else {
                self.init(high: high, low: low, isIPv4: false)
            }
        default:
            return nil
        }
    }

    /// From its usual text, without port, brackets or zone.
    package init?(_ text: String) {
        // inet_pton reads up to the first NUL.
        guard text.utf8.count < INET6_ADDRSTRLEN, !text.utf8.contains(0) else { return nil }
        let isIPv6 = text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
        guard inet_pton(isIPv6 ? AF_INET6 : AF_INET, text, &bytes) == 1 else { return nil }
        self.init(bytes: bytes)
    }

    /// From `192.0.2.1:443` or `[2001:db8::1]:443`, as logs say a peer.
    package init?(hostAndPort: String) {
        guard let colon = hostAndPort.lastIndex(of: ":") else { return nil }
        let host = hostAndPort[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            self.init(String(host.dropFirst().dropLast()))
        } else {
            self.init(String(host))
        }
    }

    /// The addresses that one customer of a network is likely to hold: an IPv4 address alone, an IPv6 address's /64.
    package var prefix: AddressPrefix { AddressPrefix(self) }

    var bytes: [UInt8] {
        let all =
            (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * $0)) }
            + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * $0)) }
        return isIPv4 ? Array(all.suffix(4)) : all
    }

    fileprivate var withoutInterface: NetworkAddress {
        isIPv4 ? self : NetworkAddress(high: high, low: 0, isIPv4: false)
    }
}

extension NetworkAddress: CustomStringConvertible {
    package var description: String {
        var room = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = isIPv4 ? AF_INET : AF_INET6
        guard inet_ntop(family, bytes, &room, socklen_t(room.count)) != nil else { return "" }
        return String(decoding: room.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// What limits and counts of peers are kept by: an IPv4 address, or the /64 of an IPv6 address, of which one host may
/// use any number.
package struct AddressPrefix: Sendable, Hashable, CustomStringConvertible {
    private let first: NetworkAddress

    package init(_ address: NetworkAddress) {
        first = address.withoutInterface
    }

    /// `192.0.2.1` or `2001:db8::/64`.
    package var description: String { first.isIPv4 ? "\(first)" : "\(first)/64" }
}
