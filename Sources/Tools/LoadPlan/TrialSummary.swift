// SPDX-License-Identifier: Apache-2.0

/// What is demanded of answers.
package struct AnswerDemand: Sendable, Equatable {
    /// KMS gives up after so many milliseconds (XKS 1.0.3, "Error codes").
    package static let patienceOfKMS = 250.0
    /// Of all requests that must be answered well and in time.
    package static let share = 0.999

    /// Milliseconds that an answer may take here: KMS's patience without the round trip that a measurement does not see.
    package let deadline: Double

    /// - Parameter roundTrip: milliseconds between KMS and the place of the measurement.
    package init(roundTrip: Double) {
        deadline = max(Self.patienceOfKMS - max(roundTrip.isFinite ? roundTrip : 0, 0), 1)
    }
}

/// A trial in figures, as JSON has them. Times are milliseconds; `nil` in place of a percentile: a request that brought no
/// good answer stands there.
package struct TrialSummary: Sendable, Equatable, Codable {
    package struct Failure: Sendable, Equatable, Codable {
        package var what: String
        package var requests: UInt64

        package init(what: String, requests: UInt64) {
            self.what = what
            self.requests = requests
        }
    }

    package struct Connections: Sendable, Equatable, Codable {
        package var opened: UInt64
        package var failed: UInt64
        package var mostAtATime: Int
        package var connectP50: Double?
        package var connectP99: Double?
        package var handshakeP50: Double?
        package var handshakeP99: Double?
        /// Bytes of one handshake, TCP and IP aside.
        package var handshakeSentBytes: Double?
        package var handshakeReceivedBytes: Double?
    }

    /// Requests a second that were due; `nil` in a closed loop, where the proxy sets the pace.
    package var offeredPerSecond: Double?
    package var seconds: Double
    package var requests: UInt64
    package var good: UInt64
    /// Good answers a second, and of these in time.
    package var goodPerSecond: Double
    package var inTimePerSecond: Double
    /// Of all requests, 0 to 1, those that were answered well and in time.
    package var shareInTime: Double
    package var deadline: Double
    package var p50: Double?
    package var p90: Double?
    package var p99: Double?
    package var p999: Double?
    package var p9999: Double?
    /// Of good answers.
    package var longest: Double?
    package var failures: [Failure]
    /// Of one request and its answer; TLS included, without TCP and IP. Sent is what KMS sends.
    package var sentBytesPerRequest: Double?
    package var receivedBytesPerRequest: Double?
    /// For 1,000 requests a second.
    package var sentMegabitsPerThousand: Double?
    package var receivedMegabitsPerThousand: Double?
    package var connections: Connections
    /// How late requests left for which a connection was free: above some milliseconds the generator is the limit.
    package var generatorLatenessP99: Double?
    package var holds: Bool
    package var wasStopped: Bool

    /// - Parameter offered: requests a second; `nil` in a closed loop.
    package init(_ trial: Trial, offered: Double?, demand: AnswerDemand) {
        offeredPerSecond = offered
        seconds = trial.seconds
        (requests, good, wasStopped) = (trial.requests, trial.good, trial.wasStopped)
        deadline = demand.deadline
        let inTime = trial.latency.count(within: demand.deadline)
        goodPerSecond = Double(trial.good) / trial.seconds
        inTimePerSecond = Double(inTime) / trial.seconds
        shareInTime = trial.requests > 0 ? Double(inTime) / Double(trial.requests) : 0
        func place(_ share: Double) -> Double? { trial.latency.milliseconds(atShare: share, unfinished: trial.failed) }
        (p50, p90, p99, p999, p9999) = (place(0.5), place(0.9), place(0.99), place(0.999), place(0.9999))
        longest = trial.latency.longest
        failures = trial.failures.map { Failure(what: $0.key.text, requests: $0.value) }
            .sorted { ($1.requests, $0.what) < ($0.requests, $1.what) }
        if trial.requests > 0 {
            let (sent, received) = (
                Double(trial.sentBytes) / Double(trial.requests), Double(trial.receivedBytes) / Double(trial.requests)
            )
            (sentBytesPerRequest, receivedBytesPerRequest) = (sent, received)
            (sentMegabitsPerThousand, receivedMegabitsPerThousand) = (sent * 8 / 1_000, received * 8 / 1_000)
        }
        connections = Connections(trial)
        generatorLatenessP99 = trial.lateness.milliseconds(atShare: 0.99)
        holds = trial.requests > 0 && shareInTime >= AnswerDemand.share && !trial.wasStopped
    }

    /// For a search of the rate. A generator that is late itself proves nothing against a proxy.
    package var verdict: RateSearch.Verdict {
        if holds { return .holds }
        return (generatorLatenessP99 ?? 0) > Self.lateGenerator ? .unsent : .fails
    }

    /// Milliseconds.
    package static let lateGenerator = 10.0
}

extension TrialSummary.Connections {
    init(_ trial: Trial) {
        let connections = trial.connections
        self.init(
            opened: connections.opened, failed: connections.failed, mostAtATime: trial.mostConnections,
            connectP50: connections.connect.milliseconds(atShare: 0.5),
            connectP99: connections.connect.milliseconds(atShare: 0.99),
            handshakeP50: connections.handshake.milliseconds(atShare: 0.5),
            handshakeP99: connections.handshake.milliseconds(atShare: 0.99))
        let handshakes = connections.handshake.count
        guard handshakes > 0 else { return }
        handshakeSentBytes = Double(connections.sentBytes) / Double(handshakes)
        handshakeReceivedBytes = Double(connections.receivedBytes) / Double(handshakes)
    }
}
