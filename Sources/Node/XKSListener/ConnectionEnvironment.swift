// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Logging
import NIOCore
import TLSLinks
import XKSProtocol

/// What every connection of one event loop shares.
struct ConnectionEnvironment {
    let service: any ProxyRequestHandler
    let limits: ListenerLimits
    let timeouts: ListenerTimeouts
    let admission: Admission
    let table: ConnectionTable
    /// What the handshakes of live connections have agreed on.
    let links: LinkTally
    let logger: Logger

    var assemblerLimits: AssemblerLimits {
        AssemblerLimits(headerCount: limits.headerCount, bodyBytes: limits.bodyBytes)
    }
}

extension NetworkAddress {
    init?(_ socket: SocketAddress?) {
        switch socket {
        case .v4(let address):
            var raw = address.address.sin_addr
            self.init(bytes: withUnsafeBytes(of: &raw) { Array($0) })
        case .v6(let address):
            var raw = address.address.sin6_addr
            self.init(bytes: withUnsafeBytes(of: &raw) { Array($0) })
        case .unixDomainSocket, nil:
            return nil
        }
    }

    /// `192.0.2.1:443` or `[2001:db8::1]:443`, for logs.
    func hostAndPort(_ port: Int) -> String { isIPv4 ? "\(self):\(port)" : "[\(self)]:\(port)" }
}

extension SocketAddress {
    /// `192.0.2.1:443` or `[2001:db8::1]:443`, for logs.
    var hostAndPort: String {
        guard let ipAddress else { return "unknown" }
        let host = ipAddress.utf8.contains(UInt8(ascii: ":")) ? "[\(ipAddress)]" : ipAddress
        return "\(host):\(port ?? 0)"
    }
}
