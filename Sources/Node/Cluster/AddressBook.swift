// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Turns host names into addresses, off the event loops.
///
/// Name servers fail with the network that a cluster must survive: what was once resolved goes on being used while it
/// cannot be resolved again.
final class AddressBook: Sendable {
    private struct Entry {
        var addresses: [String]?
        var resolvedAt: UInt64 = 0
        var underway: EventLoopFuture<[String]>?
    }

    struct Unresolved: Error, CustomStringConvertible {
        let description: String
    }

    /// How long an answer is taken as fresh.
    private static let freshness: UInt64 = 10_000_000_000
    /// More names than members and seeds can have; beyond it the book is begun anew.
    private static let mostEntries = 4096

    /// Two: one name that hangs does not hold up all others.
    private let threads = NIOThreadPool(numberOfThreads: 2)
    private let entries = Mutex<[String: Entry]>([:])

    init() { threads.start() }

    func stop() async { try? await threads.shutdownGracefully() }

    /// Numeric addresses of a host, at least one, the last known where they are old: then they are resolved anew in the
    /// background.
    func addresses(of host: String, on loop: any EventLoop) -> EventLoopFuture<[String]> {
        if Self.isNumeric(host) { return loop.makeSucceededFuture([host]) }
        let now = monotonicNanoseconds()
        let (known, isFresh) = entries.withLock { entries in
            (entries[host]?.addresses, now < (entries[host]?.resolvedAt ?? 0) &+ Self.freshness)
        }
        guard let known else { return resolve(host, on: loop) }
        if !isFresh { _ = resolve(host, on: loop) }
        return loop.makeSucceededFuture(known)
    }

    /// Asks now, once for all who ask at the same time.
    func resolve(_ host: String, on loop: any EventLoop) -> EventLoopFuture<[String]> {
        if Self.isNumeric(host) { return loop.makeSucceededFuture([host]) }
        let (future, isNew) = entries.withLock { entries in
            if let underway = entries[host]?.underway { return (underway, false) }
            if entries.count >= Self.mostEntries { entries = [:] }
            let future = threads.runIfActive(eventLoop: loop) { try Self.lookUp(host) }
            entries[host, default: Entry()].underway = future
            return (future, true)
        }
        if isNew { future.whenComplete { self.note($0, for: host) } }
        return future.hop(to: loop)
    }

    private func note(_ result: Result<[String], any Error>, for host: String) {
        entries.withLock { entries in
            entries[host]?.underway = nil
            guard case .success(let addresses) = result else { return }
            entries[host, default: Entry()].addresses = addresses
            entries[host]?.resolvedAt = monotonicNanoseconds()
        }
    }

    /// Why a host has no address at the moment; `nil` where it has one. Blocks for as long as the resolver of the system
    /// pleases.
    static func flaw(ofHost host: String) -> String? {
        guard !isNumeric(host) else { return nil }
        do {
            _ = try lookUp(host)
            return nil
        } catch {
            return "\(error)"
        }
    }

    // MARK: getaddrinfo

    static func isNumeric(_ host: String) -> Bool {
        var four = in_addr()
        var six = in6_addr()
        return inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1
    }

    /// Blocks for as long as the resolver of the system pleases.
    private static func lookUp(_ host: String) throws -> [String] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else { throw Unresolved(description: "\(host): \(String(cString: gai_strerror(code)))") }
        defer { freeaddrinfo(list) }
        var found: [String] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ai_next
            guard let text = numeric(entry.pointee), !found.contains(text) else { continue }
            found.append(text)
        }
        guard !found.isEmpty else { throw Unresolved(description: "\(host): it has no address") }
        return found
    }

    private static func numeric(_ entry: addrinfo) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { text in
            guard let base = text.baseAddress,
                getnameinfo(
                    entry.ai_addr, entry.ai_addrlen, base, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
            else { return nil }
            return String(cString: base)
        }
    }
}
