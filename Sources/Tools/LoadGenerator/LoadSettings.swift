// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadPlan
import NIOCore
import NIOSSL

/// A request that is ready to be sent.
package struct LoadRequest: Sendable {
    /// The whole of it, as it goes over a connection of HTTP/1.1.
    package var bytes: ByteBuffer
    /// What the body of a good answer must hold; `nil` where status 200 says enough.
    package var awaited: [UInt8]?

    package init(bytes: ByteBuffer, awaited: [UInt8]? = nil) {
        self.bytes = bytes
        self.awaited = awaited
    }
}

/// Makes requests for a load. Called on the generator's threads.
package protocol LoadSource: Sendable {
    /// A request that is signed now. It may be sent more than once, for a minute.
    ///
    /// - Parameter number: counts up, by thread: requests of different kinds take turns by it.
    func make(_ number: Int) -> LoadRequest
}

/// How a load is made.
package struct LoadSettings: Sendable {
    package enum Pace: Sendable {
        /// Requests are due at moments of their own, whatever became of those before; so many a second.
        case open(rate: Double, ArrivalSchedule.Spacing)
        /// So many connections, each of which sends its next request when the last was answered.
        case closed(connections: Int)
    }

    package var pace: Pace
    /// Seconds at the beginning that are not counted: connections come about, caches fill.
    package var warmUp: Double
    /// Seconds that are counted.
    package var seconds: Double
    /// Most connections at a time, in an open loop; what finds none free waits for one, and that counts.
    package var mostConnections: Int
    /// Seconds since it was due after which a request is given up, and its connection closed.
    package var patience: Double
    /// After so many answers a connection is closed, and another one opened; `nil`: never.
    package var requestsPerConnection: Int?
    /// Event loops, each with a share of the load and connections of its own.
    package var threads: Int

    package init(
        pace: Pace, warmUp: Double, seconds: Double, mostConnections: Int = 128, patience: Double = 1,
        requestsPerConnection: Int? = nil, threads: Int = 1
    ) {
        self.pace = pace
        self.warmUp = warmUp
        self.seconds = seconds
        self.mostConnections = mostConnections
        self.patience = patience
        self.requestsPerConnection = requestsPerConnection
        self.threads = threads
    }
}

/// Whom a load is for.
package struct LoadTarget: Sendable {
    /// No address is known for a host's name.
    package struct Unknown: Error, CustomStringConvertible {
        package let description: String
    }

    /// Connections take turns among them, as the clients of a balancer with an address in each zone do.
    package let addresses: [SocketAddress]
    /// `nil`: plain HTTP.
    package let tls: NIOSSLContext?
    /// The name for which the certificate is judged; `nil` for an address.
    package let serverName: String?

    /// - Parameters:
    ///   - host: where connections are made to.
    ///   - serverName: the name that the certificate must have; `nil`: the address.
    package init(host: String, port: Int, tls: NIOSSLContext?, serverName: String?) throws(Unknown) {
        addresses = try Self.addresses(of: host, port: port)
        self.tls = tls
        self.serverName = serverName
    }

    /// Asks the resolver, and waits for it.
    private static func addresses(of host: String, port: Int) throws(Unknown) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0 else { throw Unknown(description: "\(host): \(String(cString: gai_strerror(code)))") }
        var found: [SocketAddress] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ai_next
            guard let address = entry.pointee.ai_addr else { continue }
            switch entry.pointee.ai_family {
            case AF_INET:
                address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { found.append(SocketAddress($0.pointee)) }
            case AF_INET6:
                address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                    found.append(SocketAddress($0.pointee))
                }
            default: continue
            }
        }
        guard !found.isEmpty else { throw Unknown(description: "\(host) has no address") }
        // A name with both often has one that is not listened at: the first family is the system's choice.
        return found.filter { $0.protocol == found[0].protocol }
    }
}
