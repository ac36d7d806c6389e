// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits

/// How the bytes between client and listener are protected.
package enum ListenerTransport: Sendable {
    /// HTTPS, the only form that KMS speaks (XKS 1.0.3, "XKS Proxy HTTPS Configuration").
    case tls(TLSMaterial)
    /// Plain HTTP. Only for use behind a TLS terminator on the same host.
    case plaintext

    /// The certificates that clients are shown, the node's own first; none without TLS.
    package var certificates: [ServerCertificate] { material?.shown ?? [] }

    /// The CAs that vouch for clients; none where no client's certificate is asked for.
    package var authorities: [ServerCertificate] { material?.authorities ?? [] }

    package var material: TLSMaterial? {
        if case .tls(let material) = self { material } else { nil }
    }
}

/// One address to listen on.
package struct ListenAddress: Sendable, Equatable {
    /// IPv4 or IPv6 address, or a host name that resolves to one.
    package var host: String
    /// TCP port; 0 lets the system choose one.
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

/// All settings of the listener. Every limit holds before a request is authenticated.
package struct ListenerConfiguration: Sendable {
    /// Where to listen. At least one address.
    package var addresses: [ListenAddress]
    package var transport: ListenerTransport
    package var limits = ListenerLimits()
    package var timeouts = ListenerTimeouts()
    package var tcp = ListenerTCPSettings()
    /// Networks of load balancers. Connections from there begin with a header of the PROXY protocol, version 2, that says
    /// whose they are; all others do not.
    package var balancers: [Network] = []

    package init(addresses: [ListenAddress], transport: ListenerTransport) {
        self.addresses = addresses
        self.transport = transport
    }
}

/// Sizes and counts. Raising one costs the memory that its text names.
package struct ListenerLimits: Sendable, Equatable {
    /// `header_bytes`: names and values of one request's header fields and its target, in bytes. Default 16 KiB,
    /// 1 KiB … 1 MiB. A signed XKS request needs less than 1 KiB. Above: 431. Costs its size per connection.
    package var headerBytes = 16 * 1024
    /// `header_count`: header fields of one request. Default 64, 8 … 1,024. Above: 431.
    package var headerCount = 64
    /// `body_bytes`: one request's body. Default 256 KiB, 16 KiB … 4 MiB. Holds the base64 of 64 KiB of data and
    /// 64 KiB of AAD (175 KiB) with the metadata of a request. Above: 413. Costs its size per request.
    package var bodyBytes = 256 * 1024
    /// `buffered_body_bytes`: bodies of all requests held at a time, from the first byte to the answer. Default
    /// 128 MiB, 1 MiB … 16 GiB. Above: 429. This is what unauthenticated clients can make the node hold together.
    package var bufferedBodyBytes = 128 * 1024 * 1024
    /// `connections`: open at a time. Default 4,096, 1 … 1,000,000. Above: the oldest that has not authenticated is closed;
    /// where all have, the newcomer. Each costs a descriptor and 50 to 100 KiB with TLS.
    package var connections = 4_096
    /// `unauthenticated_bytes`: what all connections that have not authenticated may make the node hold: each is counted
    /// for `connectionBytes`, streams and bodies are added. Default 32 MiB, 1 MiB … 64 GiB. Above: the oldest of them is
    /// closed.
    package var unauthenticatedBytes = 32 * 1024 * 1024
    /// Bytes that such a connection is counted for. Default 80 KiB.
    package var connectionBytes = 80 * 1024
    /// `unauthenticated_per_address`: such connections of one address at a time. Default none, 1 … 1,000,000. Above: the
    /// oldest of them is closed.
    package var unauthenticatedPerAddress: Int?
    /// `requests_in_flight`: handed on and not yet answered, over all connections. Default 1,024, 1 … 1,000,000.
    /// Above: 429. At 5 ms per request, 1,024 in flight are 200,000 requests per second.
    package var requestsInFlight = 1_024
    /// `pipelined_requests`: HTTP/1.1 requests that may wait on one connection behind the one in work. Default 128,
    /// 1 … 10,000. Above: those that wait are answered, then the connection is closed.
    package var pipelinedRequests = 128
    /// `streams`: HTTP/2 streams open at a time on one connection. Default 32, 1 … 10,000. Eight at most before one of its
    /// requests was authenticated.
    package var streams = 32

    package init() {}
}

/// Times, in milliseconds. They are checked a few times a second, so they hold within a quarter of the shortest.
package struct ListenerTimeouts: Sendable, Equatable {
    /// `handshake_timeout`: TCP accept to the end of the TLS handshake. Default 1 s, 50 ms … 5 min.
    package var handshake = 1_000
    /// `header_timeout`: first byte of a request to the end of its header. Default 5 s, 50 ms … 5 min.
    /// Past it the connection is closed: there is no request to answer.
    package var header = 5_000
    /// `body_timeout`: end of the header to the end of the body. Default 5 s, 50 ms … 5 min. Past it: 408.
    package var body = 5_000
    /// `idle_timeout`: no request on a connection. Default 75 s, 50 ms … 1 h. Longer than the 60 s after which common
    /// load balancers close idle connections, so that the client closes first: otherwise a request may cross our
    /// close on its way and be lost to KMS's 250 ms.
    package var idle = 75_000
    /// `write_timeout`: the longest time a client may leave an answer unread. Default 10 s, 50 ms … 5 min. Past it
    /// the connection is closed, and the memory of the answer is free.
    package var write = 10_000
    /// `linger_timeout`: how long to go on reading, and dropping, what a refused client still sends. Default 1 s,
    /// 50 ms … 1 min. Closing at once would reset the connection and lose the refusal on its way to the client.
    package var linger = 1_000

    package init() {}
}

/// Settings of the sockets.
package struct ListenerTCPSettings: Sendable, Equatable {
    /// `backlog`: connections the kernel completes before they are accepted. Default 1,024, 1 … 65,535. The kernel
    /// caps it at `net.core.somaxconn`.
    package var backlog = 1_024
    /// `tcp_keepalive`: let the kernel ask silent peers whether they are still there. Default on.
    package var keepAlive = true
    /// `tcp_keepalive_idle`: seconds of silence before the first question. Default 30, 1 … 32,767.
    package var keepAliveIdle = 30
    /// `tcp_keepalive_interval`: seconds between questions. Default 10, 1 … 32,767.
    package var keepAliveInterval = 10
    /// `tcp_keepalive_count`: unanswered questions after which the connection is dead. Default 3, 1 … 127.
    package var keepAliveCount = 3

    package init() {}
}
