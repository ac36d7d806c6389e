// SPDX-License-Identifier: Apache-2.0

/// A setting of the listener that cannot be used.
package enum ListenerConfigurationError: Error, Equatable, CustomStringConvertible {
    /// No address to listen on.
    case noAddress
    /// A number outside its range.
    case outOfRange(name: String, value: Int, allowed: ClosedRange<Int>)

    package var description: String {
        switch self {
        case .noAddress:
            "no address to listen on: name at least one, for example 0.0.0.0:8443"
        case .outOfRange(let name, let value, let allowed):
            "\(name) = \(value) is out of range: use \(allowed.lowerBound) to \(allowed.upperBound)"
        }
    }
}

extension ListenerConfiguration {
    /// Says what is out of range, by the name that the setting has in the configuration file.
    package func validate() throws(ListenerConfigurationError) {
        guard !addresses.isEmpty else { throw .noAddress }
        for address in addresses { try Self.check("port", address.port, 0...65_535) }
        try limits.validate()
        try timeouts.validate()
        try tcp.validate()
    }

    fileprivate static func check(
        _ name: String, _ value: Int, _ allowed: ClosedRange<Int>
    ) throws(ListenerConfigurationError) {
        guard allowed.contains(value) else { throw .outOfRange(name: name, value: value, allowed: allowed) }
    }
}

extension ListenerLimits {
    fileprivate func validate() throws(ListenerConfigurationError) {
        try ListenerConfiguration.check("header_bytes", headerBytes, 1_024...1_048_576)
        try ListenerConfiguration.check("header_count", headerCount, 8...1_024)
        try ListenerConfiguration.check("body_bytes", bodyBytes, 16_384...4_194_304)
        try ListenerConfiguration.check("buffered_body_bytes", bufferedBodyBytes, 1_048_576...17_179_869_184)
        try ListenerConfiguration.check("connections", connections, 1...1_000_000)
        try ListenerConfiguration.check("unauthenticated_bytes", unauthenticatedBytes, 1_048_576...68_719_476_736)
        if let unauthenticatedPerAddress {
            try ListenerConfiguration.check("unauthenticated_per_address", unauthenticatedPerAddress, 1...1_000_000)
        }
        try ListenerConfiguration.check("requests_in_flight", requestsInFlight, 1...1_000_000)
        try ListenerConfiguration.check("pipelined_requests", pipelinedRequests, 1...10_000)
        try ListenerConfiguration.check("streams", streams, 1...10_000)
    }
}

extension ListenerTimeouts {
    fileprivate func validate() throws(ListenerConfigurationError) {
        let usual = 50...300_000
        try ListenerConfiguration.check("handshake_timeout", handshake, usual)
        try ListenerConfiguration.check("header_timeout", header, usual)
        try ListenerConfiguration.check("body_timeout", body, usual)
        try ListenerConfiguration.check("idle_timeout", idle, 50...3_600_000)
        try ListenerConfiguration.check("write_timeout", write, usual)
        try ListenerConfiguration.check("linger_timeout", linger, 50...60_000)
    }

    /// How often connections are looked at: a quarter of the shortest time, between 10 ms and 250 ms.
    var sweepIntervalMilliseconds: Int {
        let shortest = min(handshake, header, body, idle, write, linger)
        return min(max(shortest / 4, 10), 250)
    }
}

extension ListenerTCPSettings {
    fileprivate func validate() throws(ListenerConfigurationError) {
        try ListenerConfiguration.check("backlog", backlog, 1...65_535)
        try ListenerConfiguration.check("tcp_keepalive_idle", keepAliveIdle, 1...32_767)
        try ListenerConfiguration.check("tcp_keepalive_interval", keepAliveInterval, 1...32_767)
        try ListenerConfiguration.check("tcp_keepalive_count", keepAliveCount, 1...127)
    }
}
