// SPDX-License-Identifier: Apache-2.0

/// The header that a load balancer sends before everything else on a connection: version 2 of the PROXY protocol
/// (HAProxy, "The PROXY protocol, versions 1 & 2", section 2.2). Pure.
package enum ProxyHeader: Sendable, Equatable {
    /// The balancer itself is speaking, for example to check whether the node is well.
    case local
    /// A client of this address. Of other families than TCP over IPv4 and IPv6 nothing is known.
    case client(NetworkAddress, port: Int)
    case unknown

    /// `\r\n\r\n\0\r\nQUIT\n`
    package static let signature: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
    /// Signature, version and command, family, and two bytes of length.
    static let fixedLength = 16
    /// Of what follows the fixed part: addresses of Unix sockets (216 bytes, the longest) and room for the type-length
    /// values that balancers add: the identity of a VPC endpoint, the name that TLS was asked for.
    package static let longestBody = 2_048

    package enum Reading: Sendable, Equatable {
        /// More bytes are needed.
        case incomplete
        /// The header and how many bytes it takes.
        case whole(ProxyHeader, length: Int)
        /// There is none: something else begins here.
        case missing
        /// There is one, and it cannot be read.
        case malformed(String)
    }

    /// Reads a header at the beginning of `bytes`.
    package static func read(_ bytes: some RandomAccessCollection<UInt8>) -> Reading {
        let seen = bytes.prefix(signature.count)
        guard seen.elementsEqual(signature.prefix(seen.count)) else {
            return bytes.starts(with: "PROXY ".utf8) ? .malformed("version 1 of the PROXY protocol") : .missing
        }
        guard bytes.count >= fixedLength else { return .incomplete }
        let fixed = Array(bytes.prefix(fixedLength))
        guard fixed[12] >> 4 == 2 else { return .malformed("version \(fixed[12] >> 4) of the PROXY protocol") }
        let bodyLength = Int(fixed[14]) << 8 | Int(fixed[15])
        guard bodyLength <= longestBody else { return .malformed("\(bodyLength) bytes after the fixed part") }
        guard bytes.count >= fixedLength + bodyLength else { return .incomplete }
        let body = Array(bytes.dropFirst(fixedLength).prefix(bodyLength))
        switch fixed[12] & 0x0f {
        case 0:
            // Whatever follows is to be skipped.
            return .whole(.local, length: fixedLength + bodyLength)
        case 1:
            return client(family: fixed[13], body: body, length: fixedLength + bodyLength)
        default:
            return .malformed("command \(fixed[12] & 0x0f) of the PROXY protocol")
        }
    }

    private static func client(family: UInt8, body: [UInt8], length: Int) -> Reading {
        let addressLength: Int
        switch family {
        case 0x11: addressLength = 4
        case 0x21: addressLength = 16
        // Unspecified, datagrams, Unix sockets: the receiver may accept them and go by the socket's address.
        case 0x00, 0x12, 0x22, 0x31, 0x32: return .whole(.unknown, length: length)
        default: return .malformed("address family \(family) of the PROXY protocol")
        }
        // Source and destination, and their ports. Type-length values behind them are skipped.
        guard body.count >= 2 * addressLength + 4, let address = NetworkAddress(bytes: body.prefix(addressLength))
        else {
            return .malformed("addresses cut off")
        }
        let port = Int(body[2 * addressLength]) << 8 | Int(body[2 * addressLength + 1])
        return .whole(.client(address, port: port), length: length)
    }
}
