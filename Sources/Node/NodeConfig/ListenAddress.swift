// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Where a listener binds: an IPv4 or IPv6 address or a host name, and a TCP port.
package struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// Without the brackets of an IPv6 address.
    package var host: String
    /// 0 lets the system choose a free one.
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `127.0.0.1:8443`, `[::1]:8443` or `localhost:8443`; `nil` for anything else.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(digits), port <= 65535
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { return nil }
            host = host.dropFirst().dropLast()
            var address = in6_addr()
            guard inet_pton(AF_INET6, String(host), &address) == 1 else { return nil }
        } else {
            guard Self.isIPv4OrName(String(host)) else { return nil }
        }
        self.init(host: String(host), port: port)
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// True for the addresses that mean every interface.
    package var isWildcard: Bool { host == "0.0.0.0" || host == "::" }

    /// True for an address that only this host reaches.
    package var isLoopback: Bool { host.hasPrefix("127.") || host == "::1" || host == "localhost" }

    /// True when the two cannot both be listened to: the same port, at the same address or at one that means all.
    func overlaps(_ other: ListenAddress) -> Bool {
        port != 0 && port == other.port && (host == other.host || isWildcard || other.isWildcard)
    }

    private static func isIPv4OrName(_ host: String) -> Bool {
        var address = in_addr()
        if inet_pton(AF_INET, host, &address) == 1 { return true }
        // Digits and dots that are no IPv4 address are a slip, not a name.
        guard (1...253).contains(host.utf8.count), host.utf8.contains(where: { !(0x2E...0x39).contains($0) }) else {
            return false
        }
        return host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }
}
