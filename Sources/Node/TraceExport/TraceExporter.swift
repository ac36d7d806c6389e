// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import Logging
import NIOPosix
import RequestTraces
import Synchronization
import XKSProtocol

/// Sends the requests that were recorded to an OpenTelemetry collector, in batches, beside all else. A request that was not
/// recorded costs one comparison here; a collector that is slow, down or talks nonsense costs the memory of what waits
/// (`TraceOutbox`).
package final class TraceExporter: RequestObserver {
    /// How often it is looked whether a message is due.
    private static let pace = Duration.milliseconds(250)
    /// How long a message may take, from connecting to the last byte of the answer.
    private static let patience = Duration.seconds(5)
    /// What a node that stops grants what still waits.
    private static let lastPatience = Duration.seconds(1)

    private struct State {
        var outbox = TraceOutbox()
        var destination: TraceDestination?
        /// Of the present destination, after those of all before.
        var task: Task<Void, Never>?
        /// Made when it is first needed.
        var group: MultiThreadedEventLoopGroup?
        var isStopping = false
    }

    private let resource: TraceDocument.Resource
    private let logger: Logger
    private let state = Mutex(State())

    package init(_ resource: TraceDocument.Resource, logger: Logger) {
        self.resource = resource
        self.logger = logger
    }

    /// What has become of the spans so far; `nil` where nothing was ever traced.
    package var counts: TraceOutbox.Counts? {
        state.withLock { $0.group == nil ? nil : $0.outbox.counts }
    }

    package func answered(_ trace: RequestTrace) {
        guard trace.recording != nil else { return }
        let now = claviger_monotonic_nanoseconds()
        state.withLock { if $0.destination != nil { $0.outbox.add(trace, now: now) } }
    }

    /// From now on they go there; `nil`: nowhere. What waits goes to the new one.
    package func send(to destination: TraceDestination?) {
        state.withLock { state in
            guard state.destination != destination, !state.isStopping else { return }
            state.destination = destination
            let before = state.task
            before?.cancel()
            guard let destination else { return state.outbox.clear() }
            state.outbox.begin()
            let group = state.group ?? MultiThreadedEventLoopGroup(numberOfThreads: 1)
            state.group = group
            state.task = Task {
                await before?.value
                await self.serve(destination, on: group)
            }
        }
    }

    /// Sends what waits, for a moment at most, and ends.
    package func stop() async {
        let (task, group) = state.withLock { state in
            state.isStopping = true
            state.task?.cancel()
            return (state.task, state.group)
        }
        await task?.value
        try? await group?.shutdownGracefully()
    }

    // MARK: One destination

    private func serve(_ destination: TraceDestination, on group: MultiThreadedEventLoopGroup) async {
        let collector = Collector(destination, group: group)
        while !Task.isCancelled {
            let isMore = await sendNext(to: collector, within: Self.patience, isLast: false)
            if !isMore { try? await Task.sleep(for: Self.pace) }
        }
        // A collector that was failing is not waited for.
        if state.withLock({ $0.isStopping && !$0.outbox.isFailing }) {
            // Not as a part of this task, which is cancelled.
            await Task { await flush(to: collector) }.value
        }
        await collector.close()
    }

    private func flush(to collector: Collector) async {
        let end = ContinuousClock.now + Self.lastPatience
        var left = Self.lastPatience
        while left > .zero, await sendNext(to: collector, within: left, isLast: true),
            state.withLock({ !$0.outbox.isFailing })
        {
            left = end - ContinuousClock.now
        }
    }

    /// - Returns: false where no message was due.
    private func sendNext(to collector: Collector, within patience: Duration, isLast: Bool) async -> Bool {
        let now = claviger_monotonic_nanoseconds()
        guard let traces = state.withLock({ $0.outbox.next(now: now, isLast: isLast) }) else { return false }
        var document = TraceDocument(resource, epoch: Self.epoch, showsKeys: collector.destination.showsKeys)
        for trace in traces { document.add(trace) }
        let (answer, reason) = await collector.post(document.text, within: patience)
        // Cut off by this node itself: it is still under way, for whoever comes next.
        if Task.isCancelled, answer == .notNow { return false }
        let news = state.withLock { $0.outbox.ended(answer, now: claviger_monotonic_nanoseconds()) }
        switch news {
        case .none: break
        case .failing:
            logger.warning(
                "traces are not sent",
                metadata: ["collector": "\(collector.destination.url)", "reason": "\(reason)"])
        case .mended(let lost):
            logger.notice(
                "traces are sent again",
                metadata: ["collector": "\(collector.destination.url)", "lost": "\(lost)"])
        }
        return true
    }

    /// Unix time minus the monotonic clock, nanoseconds, modulo 2^64.
    private static var epoch: UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let unix = UInt64(max(now.tv_sec, 0)) &* 1_000_000_000 &+ UInt64(max(now.tv_nsec, 0))
        return unix &- claviger_monotonic_nanoseconds()
    }
}
