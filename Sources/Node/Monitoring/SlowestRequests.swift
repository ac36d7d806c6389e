// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Synchronization
import XKSProtocol

/// Keeps the slowest requests of the last minute. A request that is none of them costs two loads.
package final class SlowestRequests: RequestObserver {
    private let windows = Mutex(SlowestWindows())
    /// What a request of the present window must exceed to be kept, microseconds, and when that window ends.
    private let threshold = Atomic<UInt64>(0)
    private let end = Atomic<UInt64>(0)

    package init() {}

    /// Requests of which it is not known who sends them are left out: they take as long as their sender wants.
    package func answered(_ trace: RequestTrace) {
        let endedAt = trace.receivedAt &+ trace.totalMicroseconds &* 1_000
        guard
            trace.totalMicroseconds > threshold.load(ordering: .relaxed) || endedAt >= end.load(ordering: .relaxed),
            trace.accessKeyID != nil
        else { return }
        windows.withLock { windows in
            windows.add(trace, endedAt: endedAt)
            threshold.store(windows.threshold, ordering: .relaxed)
            end.store(windows.end, ordering: .relaxed)
        }
    }

    /// The slowest first.
    ///
    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
    package func slowest(now: UInt64) -> [RequestsReport.Slow] {
        windows.withLock { $0 }.slowest(now: now)
    }
}

/// The slowest requests of each ten seconds, and so those of the last minute. Pure.
package struct SlowestWindows: Sendable {
    /// Nanoseconds.
    private static let length: UInt64 = 10_000_000_000
    private static let minute: UInt64 = 60_000_000_000

    private struct Entry {
        var trace: RequestTrace
        var endedAt: UInt64
    }

    private struct Window {
        var number: UInt64
        /// In no order.
        var entries: [Entry] = []
    }

    /// The latest last.
    private var windows: [Window] = []

    package init() {}

    /// What a request must exceed to be among the slowest of the latest window, microseconds.
    package var threshold: UInt64 {
        guard let entries = windows.last?.entries, entries.count >= RequestsReport.mostSlowest else { return 0 }
        return entries.lazy.map(\.trace.totalMicroseconds).min() ?? 0
    }

    /// When the latest window ends, nanoseconds; 0 before the first.
    package var end: UInt64 { windows.last.map { ($0.number &+ 1) &* Self.length } ?? 0 }

    /// - Parameter endedAt: nanoseconds.
    package mutating func add(_ trace: RequestTrace, endedAt: UInt64) {
        let number = endedAt / Self.length
        if windows.last.map({ $0.number < number }) ?? true {
            windows.append(Window(number: number))
            windows.removeAll { $0.number &+ Self.minute / Self.length < number }
        }
        // A late one of the window before.
        guard let index = windows.lastIndex(where: { $0.number == number }) else { return }
        windows[index].entries.append(Entry(trace: trace, endedAt: endedAt))
        guard windows[index].entries.count > RequestsReport.mostSlowest,
            let least = windows[index].entries.indices.min(by: {
                windows[index].entries[$0].trace.totalMicroseconds < windows[index].entries[$1].trace.totalMicroseconds
            })
        else { return }
        windows[index].entries.remove(at: least)
    }

    /// The slowest first.
    package func slowest(now: UInt64) -> [RequestsReport.Slow] {
        let recent = windows.flatMap(\.entries).filter { $0.endedAt &+ Self.minute > now }
        return recent.sorted { $0.trace.totalMicroseconds > $1.trace.totalMicroseconds }
            .prefix(RequestsReport.mostSlowest)
            .map { RequestsReport.Slow($0.trace, endedNanosecondsAgo: now > $0.endedAt ? now - $0.endedAt : 0) }
    }
}

extension RequestsReport.Slow {
    fileprivate init(_ trace: RequestTrace, endedNanosecondsAgo: UInt64) {
        self.init(
            kmsRequestId: trace.metadata?.kmsRequestId, operation: trace.operation?.rawValue,
            keyStore: trace.keyStore ?? "", key: trace.externalKeyID,
            endedMicrosecondsAgo: endedNanosecondsAgo / 1_000, totalMicroseconds: trace.totalMicroseconds,
            waitedMicroseconds: trace.waitedMicroseconds, hsmMicroseconds: trace.hsmMicroseconds,
            peerMicroseconds: trace.passedOnMicroseconds, hsm: trace.hsm, attempts: trace.attempts,
            hedged: trace.isHedged, forwardedTo: trace.forwardedTo, forwardedBy: trace.forwardedBy,
            outcome: trace.isUndelivered ? "undelivered" : trace.error?.rawValue ?? "ok")
    }
}
