// SPDX-License-Identifier: Apache-2.0
import AdminClient
import DrillPlan
import Glibc
import Synchronization

/// Does what `DrillWatch` orders, and shows it what the node is like, once a second.
struct DrillRun: Sendable {
    struct Result: Sendable {
        var report: DrillReport
        /// What somebody has to know of the HSM.
        var trouble: String?
    }

    private static let sampleInterval = Duration.seconds(1)
    /// Between two looks at whether the drill is to end.
    private static let step = Duration.milliseconds(100)

    let client: AdminClient
    let settings: DrillWatch.Settings

    /// That a person wants the end. The task that asks the node goes on until the HSM is back.
    private final class Stop: Sendable {
        let isAsked = Atomic(false)
    }

    func run() async throws -> Result {
        let stop = Stop()
        let drill = Task.detached { try await self.drill(stop) }
        return try await withTaskCancellationHandler {
            try await drill.value
        } onCancel: {
            stop.isAsked.store(true, ordering: .relaxed)
        }
    }

    private func drill(_ stop: Stop) async throws -> Result {
        let clock = ContinuousClock()
        let (begin, beganUnixSeconds) = (clock.now, Int64(time(nil)))
        var watch = DrillWatch(settings)
        var outage: HSMOutage?
        var trouble: String?
        var node = ""
        var next = clock.now
        let line = StatusLine()
        while true {
            let now = (clock.now - begin) / .seconds(1)
            let order: DrillWatch.Order
            if stop.isAsked.load(ordering: .relaxed) {
                order = watch.halt(.interrupted, "somebody ended it", at: now)
            } else if let reason = outage?.isTakenBack {
                order = watch.halt(.takenBack, reason, at: now)
            } else if clock.now >= next {
                next = max(next + Self.sampleInterval, clock.now)
                order = await look(&watch, &node, at: now)
                line.show(watch.progress)
            } else {
                order = .goOn
            }
            switch order {
            case .goOn: try? await Task.sleep(for: Self.step)
            case .takeOut:
                do {
                    outage = try await HSMOutage.begin(settings.hsm, client)
                } catch {
                    line.clear()
                    throw error
                }
            case .giveBack:
                trouble = await outage?.end()
                outage = nil
                // It may serve at once.
                next = clock.now
            case .finish:
                // Where it was ordered before, nothing is left to be put back.
                if let outage { trouble = await outage.end() }
                line.clear()
                return Result(
                    report: DrillReport(
                        watch, version: Product.version, node: node, beganUnixSeconds: beganUnixSeconds),
                    trouble: trouble)
            }
            // A signal is answered once: then the HSM is on its way back.
            if watch.isInterrupted { stop.isAsked.store(false, ordering: .relaxed) }
        }
    }

    private func look(_ watch: inout DrillWatch, _ node: inout String, at now: Double) async -> DrillWatch.Order {
        do throws(AdminClientError) {
            let status = try await client.status().status
            let metrics = MetricsText(try await client.metrics())
            node = status.node
            return watch.add(DrillSample(at: now, metrics: metrics, status: status, hsm: settings.hsm))
        } catch {
            return watch.missed(at: now, AdminOptions.message(error))
        }
    }
}

/// One line on a terminal's standard error that is written again and again; nothing where that is none.
private struct StatusLine {
    private let isShown = isatty(STDERR_FILENO) == 1

    func show(_ text: String) {
        guard isShown else { return }
        // Erases what the last one has left (ECMA-48, EL).
        _ = Output.write("\r\u{1B}[K\(Terminal.shown(text))", to: STDERR_FILENO)
    }

    func clear() {
        if isShown { _ = Output.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }
}
