// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// Something with deadlines: a connection in its handshake, an HTTP/1.1 connection, an HTTP/2 connection or stream.
///
/// All calls come on the event loop of its channel.
protocol Supervised: AnyObject {
    /// Looks whether a deadline has passed. `now` is CLOCK_MONOTONIC in nanoseconds.
    func check(now: UInt64)
    /// Takes no new work, finishes what is under way, then closes.
    func drain()
    /// Closes now.
    func abort()
}

/// What is open on one event loop, and the one timer that looks after all of it.
///
/// Requests only write deadlines down; this compares them a few times a second. That is coarse, and costs nothing
/// per request, where scheduling and cancelling a timer costs more than the parser.
///
/// Not `Sendable`: it belongs to the thread of its event loop.
final class ConnectionTable {
    private let eventLoop: any EventLoop
    private let interval: TimeAmount
    private var entries: [ObjectIdentifier: any Supervised] = [:]
    private var isStopped = false
    private var isAborted = false

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

    func drain() {
        isDraining = true
        for entry in Array(entries.values) { entry.drain() }
    }

    func abort() {
        isAborted = true
        for entry in Array(entries.values) { entry.abort() }
    }

    private func sweep() {
        guard !isStopped else { return }
        date.refresh(unixTime: time(nil))
        let now = monotonicNanoseconds()
        // A copy: closing a connection removes its entry.
        for entry in Array(entries.values) { entry.check(now: now) }
        start()
    }
}
