// SPDX-License-Identifier: Apache-2.0

/// An IPv4 or IPv6 address as 16 bytes in two halves. An IPv4 address lies among those mapped into IPv6
/// (`::ffff:192.0.2.1`), so that both ways to write it mean one address.
package struct ClientAddress: Sendable, Hashable {
    let high: UInt64
    let low: UInt64

    /// From its usual text, with or without a port: `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]:443`. A
    /// zone is not taken.
    package init?(_ text: String) {
        let parsed = text.withBytes { bytes -> (UInt64, UInt64)? in
            if bytes.first == UInt8(ascii: "[") {
                guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
                let rest = bytes[(end + 1)...]
                guard rest.isEmpty || rest.first == UInt8(ascii: ":") else { return nil }
                return Self.version6(bytes[1..<end])
            }
            guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return Self.mapped(bytes[...]) }
            if bytes[(colon + 1)...].contains(UInt8(ascii: ":")) { return Self.version6(bytes[...]) }
            return Self.mapped(bytes[..<colon])
        }
        guard let parsed else { return nil }
        (high, low) = parsed
    }

    fileprivate init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    fileprivate var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    private typealias Bytes = Slice<UnsafeBufferPointer<UInt8>>

    private static func mapped(_ bytes: Bytes) -> (UInt64, UInt64)? {
        version4(bytes).map { (0, 0xFFFF_0000_0000 | UInt64($0)) }
    }

    /// Four decimal numbers without leading zeros: some readers take those for octal.
    private static func version4(_ bytes: Bytes) -> UInt32? {
        var address: UInt32 = 0
        var parts = 0
        var number: UInt32?
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                guard number != 0 else { return nil }
                let value = (number ?? 0) * 10 + UInt32(byte - UInt8(ascii: "0"))
                guard value <= 255 else { return nil }
                number = value
            case UInt8(ascii: "."):
                guard let part = number, parts < 3 else { return nil }
                address = address << 8 | part
                parts += 1
                number = nil
            default: return nil
            }
        }
        guard let part = number, parts == 3 else { return nil }
        return address << 8 | part
    }

    /// Groups of up to four hexadecimal digits, one `::`, and perhaps an IPv4 address at the end (RFC 4291 section 2.2).
    private static func version6(_ bytes: Bytes) -> (UInt64, UInt64)? {
        var groups: [UInt16] = []
        var gap: Int?
        var index = bytes.startIndex
        if bytes.starts(with: [UInt8(ascii: ":")]) {
            guard bytes.starts(with: [UInt8(ascii: ":"), UInt8(ascii: ":")]) else { return nil }
            gap = 0
            index += 2
        }
        while index < bytes.endIndex {
            let end = bytes[index...].firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
            let group = bytes[index..<end]
            if end == bytes.endIndex, group.contains(UInt8(ascii: ".")) {
                guard let last = version4(group) else { return nil }
                groups += [UInt16(truncatingIfNeeded: last >> 16), UInt16(truncatingIfNeeded: last)]
                index = end
                break
            }
            guard (1...4).contains(group.count), let value = hexadecimal(group) else { return nil }
            groups.append(value)
            index = end
            guard index < bytes.endIndex else { break }
            index += 1
            guard index < bytes.endIndex else { return nil }
            if bytes[index] == UInt8(ascii: ":") {
                guard gap == nil else { return nil }
                gap = groups.count
                index += 1
            }
        }
        guard gap == nil ? groups.count == 8 : groups.count <= 7 else { return nil }
        if let gap { groups.insert(contentsOf: [UInt16](repeating: 0, count: 8 - groups.count), at: gap) }
        let halves = (groups[..<4], groups[4...])
        return (halves.0.reduce(0) { $0 << 16 | UInt64($1) }, halves.1.reduce(0) { $0 << 16 | UInt64($1) })
    }

    private static func hexadecimal(_ bytes: Bytes) -> UInt16? {
        var value: UInt16 = 0
        for byte in bytes {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }
}

/// Addresses that begin with the same bits: `192.0.2.0/24`, `2001:db8::/32`, or one address.
struct AddressRange: Sendable, Hashable {
    private let first: ClientAddress
    private let length: Int

    enum Flaw: Error, Equatable {
        case form
        /// Bits are set beyond the length: what is meant is one of two things.
        case bitsBeyondLength
    }

    init(_ text: String) throws(Flaw) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        // With a port it is no range.
        guard let host = parts.first, !host.contains("["), host.filter({ $0 == ":" }).count != 1,
            let address = ClientAddress(String(host))
        else { throw .form }
        let isIPv4 = !host.contains(":")
        var length = 128
        if parts.count == 2 {
            let longest = isIPv4 ? 32 : 128
            guard let given = Int(parts[1]), String(given) == parts[1], (0...longest).contains(given) else {
                throw .form
            }
            length = isIPv4 ? given + 96 : given
        }
        guard Self.masked(address, to: length) == address else { throw .bitsBeyondLength }
        first = address
        self.length = length
    }

    /// An IPv4 address lies in no range of IPv6 that is wider than the mapped ones: `::/0` means IPv6.
    func contains(_ address: ClientAddress) -> Bool {
        if address.isIPv4, length < 96 { return false }
        return Self.masked(address, to: length) == first
    }

    private static func masked(_ address: ClientAddress, to length: Int) -> ClientAddress {
        let high = length >= 64 ? UInt64.max : mask(length)
        let low = length >= 64 ? mask(length - 64) : 0
        return ClientAddress(high: address.high & high, low: address.low & low)
    }

    /// The first bits set: `bits` from 0 to 64.
    private static func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : UInt64.max << UInt64(64 - min(bits, 64)) }
}
