// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import Logging
import NIOCore
import TLSLinks
import XKSProtocol

/// The handlers of one accepted connection on a channel of the caller's: what bytes meet once TLS is taken off them,
/// without sockets and without a timer. For tests that feed the parsers anything.
package struct DetachedConnection {
    package enum Version: Sendable { case http1, http2 }

    private let admission: Admission

    /// Adds the handlers. Call it on the channel's event loop.
    package init(
        _ version: Version, on channel: any Channel, limits: ListenerLimits, handler: any ProxyRequestHandler,
        logger: Logger
    ) throws {
        admission = Admission(limits: limits, refusals: RefusalCounter { 0 }, observer: nil)
        let timeouts = ListenerTimeouts()
        let table = ConnectionTable(
            eventLoop: channel.eventLoop, sweepIntervalMilliseconds: timeouts.sweepIntervalMilliseconds)
        let environment = ConnectionEnvironment(
            service: handler, limits: limits, timeouts: timeouts, admission: admission, table: table,
            links: LinkTally(), logger: logger)
        guard
            let client = ClientConnection(
                channel: channel, address: nil, peer: "detached", isBalancer: false, generation: 0, admission: admission
            )
        else { throw ConnectionRefused() }
        switch version {
        case .http1: try environment.addHTTP1Handlers(to: channel, client: client)
        case .http2: try environment.addHTTP2Handlers(to: channel, client: client)
        }
    }

    /// What the connection holds and has done.
    package var statistics: ListenerStatistics { admission.statistics }
}
