// SPDX-License-Identifier: Apache-2.0
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

extension SocketAddress {
    /// `192.0.2.1:443` or `[2001:db8::1]:443`, for logs.
    var hostAndPort: String {
        guard let ipAddress else { return "unknown" }
        let host = ipAddress.utf8.contains(UInt8(ascii: ":")) ? "[\(ipAddress)]" : ipAddress
        return "\(host):\(port ?? 0)"
    }
}
