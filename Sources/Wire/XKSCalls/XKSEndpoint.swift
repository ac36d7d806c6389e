// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

/// Where a proxy is asked: `https://host[:port][/prefix][/kms/xks/v1]`.
package struct XKSEndpoint: Sendable, Equatable {
    /// Why a URL names no proxy: a sentence with what mends it.
    package struct Problem: Error, Equatable, CustomStringConvertible {
        package let description: String

        init(_ description: String) { self.description = description }
    }

    /// HTTPS, or plain HTTP, which the specification has not; for a proxy whose TLS ends before it.
    package let isTLS: Bool
    /// A DNS name or an address; an IPv6 address without its brackets.
    package let host: String
    /// 1 to 65,535.
    package let port: Int
    /// `""` or `/a/b`.
    package let prefix: String

    /// - Parameter url: the path is the key store's prefix, or the `XksProxyUriPath` that KMS is given.
    package init(_ url: String) throws(Problem) {
        var rest = url[...]
        if rest.hasPrefix("https://") {
            isTLS = true
            rest = rest.dropFirst(8)
        } else if rest.hasPrefix("http://") {
            isTLS = false
            rest = rest.dropFirst(7)
        } else {
            throw Problem("the URL begins with neither https:// nor http://: write https://host[:port][/prefix]")
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash]
        (host, port) = try Self.authority(authority, isTLS: isTLS)
        var path = String(rest[slash...])
        while path.hasSuffix("/") { path.removeLast() }
        let suffix = "\(XKSPath.apiSuffix)"
        if path.hasSuffix(suffix) { path.removeLast(suffix.count) }
        if let problem = XKSPath.problem(withPrefix: path) {
            throw Problem("the prefix of the URL's path \(problem) (XKS 1.0.3, \"API operations\")")
        }
        prefix = path
    }

    private static func authority(_ text: Substring, isTLS: Bool) throws(Problem) -> (String, Int) {
        var host = text
        var portText: Substring?
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { throw Problem("the URL's [ has no ]") }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.first == ":" else { throw Problem("something follows the URL's address") }
            portText = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            portText = text[text.index(after: colon)...]
        }
        let isAddress = text.first == "["
        let letters = host.utf8.allSatisfy { byte in
            isAddress ? isHexadecimal(byte) || byte == 0x3A || byte == 0x2E : isNameByte(byte)
        }
        guard (1...255).contains(host.utf8.count), letters else {
            throw Problem("the URL's host is no DNS name and no address; an IPv6 address stands in [ ]")
        }
        guard let portText else { return (String(host), isTLS ? 443 : 80) }
        guard let port = Int(portText), (1...65_535).contains(port) else {
            throw Problem("the URL's port is not one of 1 to 65535")
        }
        return (String(host), port)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        isHexadecimal(byte) || (0x67...0x7A).contains(byte | 0x20) || byte == 0x2D || byte == 0x2E || byte == 0x5F
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte | 0x20)
    }

    /// For the Host header: without the port where it is the scheme's own, as HTTP clients do.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isTLS ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// Whether the host is an address: KMS takes names only (XKS 1.0.3, "API operations").
    package var isAddress: Bool {
        host.contains(":") || host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
    }

    /// The path as `CreateCustomKeyStore` takes it.
    package var uriPath: String { prefix + "\(XKSPath.apiSuffix)" }

    /// - Parameter key: the external key id; of no meaning for `health`.
    package func target(_ operation: XKSOperation, key: String) -> String {
        switch operation {
        case .health: "\(uriPath)/health"
        case .metadata: "\(uriPath)/keys/\(key)/metadata"
        case .encrypt: "\(uriPath)/keys/\(key)/encrypt"
        case .decrypt: "\(uriPath)/keys/\(key)/decrypt"
        }
    }
}

extension XKSEndpoint: CustomStringConvertible {
    package var description: String { "\(isTLS ? "https" : "http")://\(authority)\(prefix)" }
}
