// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A connection to the loopback address or a Unix socket, for what no HTTP client would send.
enum RawConnection {
    /// Whether this machine has an IPv6 loopback address.
    static var hasIPv6: Bool {
        let descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        return descriptor >= 0 && withAddress(port: 0, isIPv6: true) { bind(descriptor, $0, $1) } == 0
    }

    /// Sends bytes and reads until the server closes, waiting ten seconds at most for each part.
    /// It waits on a thread of its own: the server's handlers run on the threads that run the tests.
    static func exchange(_ bytes: [UInt8], port: Int, isIPv6: Bool = false) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try exchangeBlocking(bytes, port: port, isIPv6: isIPv6) })
            }
        }
    }

    /// Sends a whole request, waits for the beginning of its answer, sends `rest`, and leaves the connection open.
    static func hold(_ request: [UInt8], then rest: [UInt8], port: Int) async throws -> Int32 {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                        try #require(withAddress(port: port, isIPv6: false) { connect(descriptor, $0, $1) } == 0)
                        try #require(send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count)
                        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                        try #require(poll(&poller, 1, 10_000) > 0, "no answer")
                        try #require(send(descriptor, rest, rest.count, Int32(MSG_NOSIGNAL)) == rest.count)
                        return descriptor
                    })
            }
        }
    }

    /// Connects, sends `bytes`, and leaves the connection open. The kernel answers, so this does not wait.
    static func open(sending bytes: [UInt8] = [], port: Int) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(withAddress(port: port, isIPv6: false) { connect(descriptor, $0, $1) } == 0)
        try #require(send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
        return descriptor
    }

    /// Whether the other side closes the connection within the time.
    static func isClosed(_ descriptor: Int32, within milliseconds: Int32) async -> Bool {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                var byte: UInt8 = 0
                continuation.resume(
                    returning: poll(&poller, 1, milliseconds) > 0 && recv(descriptor, &byte, 1, 0) <= 0)
            }
        }
    }

    /// As `exchange(_:port:)`, over a Unix socket.
    static func exchange(_ bytes: [UInt8], socket path: String) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
                        try #require(descriptor >= 0)
                        defer { close(descriptor) }
                        try #require(withAddress(path) { connect(descriptor, $0, $1) } == 0, "\(errno)")
                        return try converse(bytes, descriptor)
                    })
            }
        }
    }

    /// Makes a socket as a process leaves it that is killed.
    static func leaveDeadSocket(at path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        try #require(withAddress(path) { bind(descriptor, $0, $1) } == 0, "\(errno)")
    }

    static func exchangeBlocking(_ bytes: [UInt8], port: Int, isIPv6: Bool = false) throws -> String {
        let descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        try #require(withAddress(port: port, isIPv6: isIPv6) { connect(descriptor, $0, $1) } == 0)
        return try converse(bytes, descriptor)
    }

    private static func converse(_ bytes: [UInt8], _ descriptor: Int32) throws -> String {
        _ = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        shutdown(descriptor, Int32(SHUT_WR))
        var answer: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            try #require(poll(&poller, 1, 10_000) > 0, "no answer and no end")
            let count = read(descriptor, &block, block.count)
            guard count > 0 else { break }
            answer += block[..<count]
        }
        return String(decoding: answer, as: UTF8.self)
    }

    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>?, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func withAddress(
        port: Int, isIPv6: Bool, _ body: (UnsafePointer<sockaddr>?, socklen_t) -> Int32
    ) -> Int32 {
        var storage = sockaddr_storage()
        return withUnsafeMutableBytes(of: &storage) { raw in
            let size: Int
            if isIPv6 {
                let address = sockaddr_in6(
                    sin6_family: sa_family_t(AF_INET6), sin6_port: in_port_t(port).bigEndian, sin6_flowinfo: 0,
                    sin6_addr: in6addr_loopback, sin6_scope_id: 0)
                raw.storeBytes(of: address, as: sockaddr_in6.self)
                size = MemoryLayout<sockaddr_in6>.size
            } else {
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = in_port_t(port).bigEndian
                address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
                raw.storeBytes(of: address, as: sockaddr_in.self)
                size = MemoryLayout<sockaddr_in>.size
            }
            return raw.withMemoryRebound(to: sockaddr.self) {
                body($0.baseAddress.map { UnsafePointer($0) }, socklen_t(size))
            }
        }
    }
}
