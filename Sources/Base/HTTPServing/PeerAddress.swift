// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import NIOCore

extension RefusalCounter {
    /// Counts a connection by the address of its peer; a Unix socket has none.
    package func count(
        _ kind: RefusalKind, at listener: ListenerName, from peer: SocketAddress?, detail: String? = nil
    ) {
        let address = peer?.ipAddress.flatMap { NetworkAddress($0) }
        count(kind, at: listener, from: address?.prefix, detail: detail)
    }
}
