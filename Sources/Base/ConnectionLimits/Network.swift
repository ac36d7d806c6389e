// SPDX-License-Identifier: Apache-2.0

/// A range of addresses, `10.0.0.0/8` or `2001:db8::/32`; a single address is a network of its own.
package struct Network: Sendable, Hashable {
    private let first: NetworkAddress
    private let length: Int

    /// From its usual text; nil where it is none, and where address bits are set beyond the length.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let host = parts.first, let address = NetworkAddress(String(host)) else { return nil }
        let longest = address.isIPv4 ? 32 : 128
        var length = longest
        if parts.count == 2 {
            // No signs and no leading zeros: what is written is what is meant.
            guard let given = Int(parts[1]), String(given) == parts[1], (0...longest).contains(given) else {
                return nil
            }
            length = given
        }
        guard address.masked(to: length) == address else { return nil }
        first = address
        self.length = length
    }

    package func contains(_ address: NetworkAddress) -> Bool {
        address.isIPv4 == first.isIPv4 && address.masked(to: length) == first
    }
}

extension Network: CustomStringConvertible {
    package var description: String { "\(first)/\(length)" }
}

extension NetworkAddress {
    /// With all bits beyond the first `length` cleared.
    fileprivate func masked(to length: Int) -> NetworkAddress {
        var masked = bytes
        for index in masked.indices {
            let kept = min(max(length - 8 * index, 0), 8)
            masked[index] &= UInt8(truncatingIfNeeded: 0xff00 >> kept)
        }
        // An address mapped into IPv6 has become an IPv4 one already; a masked IPv6 address may look like one.
        return NetworkAddress(bytes: masked) ?? self
    }
}
