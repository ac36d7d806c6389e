// SPDX-License-Identifier: Apache-2.0
import LoadPlan
import NIOCore
import NIOPosix
import Synchronization

/// How far a load has come, for those who watch.
package final class LoadProgress: Sendable {
    private let parts = Mutex<[Int: (done: UInt64, failed: UInt64)]>([:])

    package init() {}

    func note(_ lane: Int, done: UInt64, failed: UInt64) { parts.withLock { $0[lane] = (done, failed) } }

    /// Requests that were counted, and those of them that failed.
    package var now: (done: UInt64, failed: UInt64) {
        parts.withLock { parts in
            parts.values.reduce((0, 0)) { ($0.0 &+ $1.done, $0.1 &+ $1.failed) }
        }
    }
}

/// Makes a load, and counts what comes of it.
package struct LoadGenerator: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let target: LoadTarget

    /// - Parameter group: has at least as many event loops as the settings ask for threads; its owner ends it.
    package init(group: MultiThreadedEventLoopGroup, target: LoadTarget) {
        self.group = group
        self.target = target
    }

    /// Returns when the time is over and what was under way has come to an end, or soon after this task was cancelled: then
    /// with what had been counted, and `wasStopped`.
    package func run(
        _ settings: LoadSettings, source: any LoadSource, progress: LoadProgress = LoadProgress()
    ) async throws -> Trial {
        let stops = Mutex<(isStopped: Bool, lanes: [NIOLoopBound<LoadLane>])>((false, []))
        return try await withTaskCancellationHandler {
            let futures = (0..<max(settings.threads, 1)).map { number in
                let loop = group.next()
                let done = loop.makePromise(of: Trial.self)
                loop.execute {
                    let lane = LoadLane(
                        loop, target, settings, number: number, source: source, progress: progress, done: done)
                    let bound = NIOLoopBound(lane, eventLoop: loop)
                    let isStopped = stops.withLock { stops in
                        stops.lanes.append(bound)
                        return stops.isStopped
                    }
                    lane.start()
                    if isStopped { lane.stop() }
                }
                return done.futureResult
            }
            var whole: Trial?
            for future in futures {
                let part = try await future.get()
                if whole == nil { whole = part } else { whole?.add(part) }
            }
            return whole ?? Trial(seconds: settings.seconds)
        } onCancel: {
            let lanes = stops.withLock { stops in
                stops.isStopped = true
                return stops.lanes
            }
            for lane in lanes { lane.eventLoop.execute { lane.value.stop() } }
        }
    }
}
