// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// Something with deadlines: a connection in its handshake, an HTTP/1.1 connection, an HTTP/2 connection or stream.
///
/// All calls come on the event loop of its channel.
protocol Supervised: AnyObject {
    /// Of the certificates and names by which its client was let in.
    var generation: Int { get }
    /// Looks whether a deadline has passed. `now` is CLOCK_MONOTONIC in nanoseconds.
    func check(now: UInt64)
    /// Takes no new work, finishes what is under way, then closes.
    func drain()
    /// Closes now.
    func abort()
    /// Closes the socket of its connection now, without waiting for a word of the client.
    func cut()
}

/// What is open on one event loop, and the one timer that looks after all of it.
///
/// Requests only write deadlines down; this compares them a few times a second. That is coarse, and costs nothing
/// per request, where scheduling and cancelling a timer costs more than the parser.
///
/// Not `Sendable`: it belongs to the thread of its event loop.
final class ConnectionTable {
    /// A loop that looks after its connections so much later than it meant to has stood still, nanoseconds.
    private static let gap: UInt64 = 250_000_000
    /// How long what is read after that counts as late: it has waited in the kernel, some of it to be accepted first.
    private static let lateTime: UInt64 = 1_000_000_000

    private let eventLoop: any EventLoop
    private let interval: TimeAmount
    private var entries: [ObjectIdentifier: any Supervised] = [:]
    private var counted: [ObjectIdentifier: TrafficHandler] = [:]
    let traffic = LoopTraffic()
    /// CLOCK_MONOTONIC, nanoseconds: what comes later than the first, or before the second, comes after a gap.
    private var lateAfter: UInt64 = .max
    private var lateUntil: UInt64 = 0
    private var isStopped = false
    private var isAborted = false

    /// Connections of earlier ones are ended.
    private(set) var generation = 0

    /// New connections start out draining.
    private(set) var isDraining = false

    /// The Date field for answers made on this loop.
    private(set) var date = DateField()

    init(eventLoop: any EventLoop, sweepIntervalMilliseconds: Int) {
        self.eventLoop = eventLoop
        self.interval = .milliseconds(Int64(sweepIntervalMilliseconds))
        date.refresh(unixTime: time(nil))
    }

    func start() {
        let table = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: interval) { table.value.sweep() }
    }

    func stop() {
        isStopped = true
    }

    /// Once everything was aborted, what still comes is aborted as it comes: it was accepted just before the end.
    func add(_ entry: any Supervised) {
        entries[ObjectIdentifier(entry)] = entry
        if isAborted { entry.abort() }
    }

    func remove(_ entry: any Supervised) {
        entries[ObjectIdentifier(entry)] = nil
    }

    func add(_ handler: TrafficHandler) { counted[ObjectIdentifier(handler)] = handler }

    func remove(_ handler: TrafficHandler) { counted[ObjectIdentifier(handler)] = nil }

    /// Tells the round trip to each client that has authenticated, nanoseconds.
    func measureRoundTrips(_ sink: @escaping @Sendable (UInt64) -> Void) {
        for handler in counted.values { handler.measure(sink) }
    }

    func drain() {
        isDraining = true
        for entry in Array(entries.values) { entry.drain() }
    }

    /// Whom to let in has changed: ends the connections of clients that came before `generation`, as `drain` does, and
    /// those that are still there after `patience` at once.
    func retire(before generation: Int, patience: TimeAmount) {
        self.generation = max(self.generation, generation)
        for entry in Array(entries.values) where entry.generation < generation { entry.drain() }
        let table = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: patience) {
            for entry in Array(table.value.entries.values) where entry.generation < generation { entry.cut() }
        }
    }

    func abort() {
        isAborted = true
        for entry in Array(entries.values) { entry.abort() }
    }

    /// Whether the loop stood still until a moment ago, for longer than callers wait: what has been read since may be of
    /// callers that have gone. `now` is CLOCK_MONOTONIC in nanoseconds.
    @inline(__always)
    func isLate(now: UInt64) -> Bool { now > lateAfter || now < lateUntil }

    private func sweep() {
        guard !isStopped else { return }
        date.refresh(unixTime: time(nil))
        let now = monotonicNanoseconds()
        if now > lateAfter { lateUntil = now &+ Self.lateTime }
        lateAfter = now &+ UInt64(max(interval.nanoseconds, 0)) &+ Self.gap
        // A copy: closing a connection removes its entry.
        for entry in Array(entries.values) { entry.check(now: now) }
        start()
    }
}
