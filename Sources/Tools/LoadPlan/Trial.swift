// SPDX-License-Identifier: Apache-2.0

/// Why a request brought no good answer. Few different ones: what a peer sends is cut and bounded.
package struct TrialFailure: Sendable, Hashable {
    /// `429 ThrottlingException`, `no answer within 1 s`.
    package var text: String

    private init(text: String) { self.text = text }

    /// - Parameter exception: the error's name as it came; what is no name of 1 to 64 letters is left out.
    package static func answered(status: Int, exception: String?) -> TrialFailure {
        let name = exception.flatMap { name in
            (1...64).contains(name.utf8.count)
                && name.utf8.allSatisfy { (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) } ? name : nil
        }
        return TrialFailure(text: "\(status)" + (name.map { " \($0)" } ?? ""))
    }

    package static let unanswered = TrialFailure(text: "no answer in time")
    package static let unconnected = TrialFailure(text: "no connection")
    package static let closed = TrialFailure(text: "closed before the answer")
    package static let malformed = TrialFailure(text: "no HTTP")
    /// A plaintext that is not the one that was encrypted.
    package static let wrong = TrialFailure(text: "ANOTHER PLAINTEXT")
}

/// What connections took.
package struct ConnectionTally: Sendable {
    package var opened: UInt64 = 0
    package var failed: UInt64 = 0
    /// Of those that came about: from the first packet to the last of TCP's three; from there to the end of the TLS handshake.
    package var connect = LatencyHistogram()
    package var handshake = LatencyHistogram()
    /// Of the handshakes, TCP and IP aside.
    package var sentBytes: UInt64 = 0
    package var receivedBytes: UInt64 = 0

    package init() {}

    package mutating func add(_ other: ConnectionTally) {
        opened &+= other.opened
        failed &+= other.failed
        connect.add(other.connect)
        handshake.add(other.handshake)
        sentBytes &+= other.sentBytes
        receivedBytes &+= other.receivedBytes
    }
}

/// What came of a load: counted while it runs, by each thread for itself, and added up.
package struct Trial: Sendable {
    /// Requests of each interval, by the moment at which they were due.
    package struct Interval: Sendable {
        package var latency = LatencyHistogram(isCoarse: true)
        package var failed: UInt64 = 0
    }

    /// Most intervals that are kept.
    package static let mostIntervals = 240

    /// Of good answers, since they were due (in an open loop) or sent (in a closed one).
    package private(set) var latency = LatencyHistogram()
    package private(set) var failures: [TrialFailure: UInt64] = [:]
    package var connections = ConnectionTally()
    /// How late requests left for which a connection was free: the generator's own fault.
    package var lateness = LatencyHistogram()
    /// Of the requests counted, handshakes aside; TLS included, without TCP and IP.
    package var sentBytes: UInt64 = 0
    package var receivedBytes: UInt64 = 0
    package private(set) var intervals: [Interval] = []
    /// Seconds for which requests were counted, and of an interval.
    package let seconds: Double
    package let intervalSeconds: Double
    /// Most connections at a time.
    package var mostConnections = 0
    /// It was ended before its time.
    package var wasStopped = false

    package init(seconds: Double) {
        self.seconds = max(seconds.isFinite ? seconds : 1, 0.001)
        intervalSeconds = max(1, self.seconds / Double(Self.mostIntervals))
    }

    package var good: UInt64 { latency.count }
    package var failed: UInt64 { failures.values.reduce(0, &+) }
    package var requests: UInt64 { good &+ failed }

    /// A good answer.
    ///
    /// - Parameter offset: when it was due, nanoseconds since counting began.
    package mutating func answered(offset: UInt64, nanoseconds: UInt64) {
        latency.record(nanoseconds: nanoseconds)
        if let index = interval(offset) { intervals[index].latency.record(nanoseconds: nanoseconds) }
    }

    package mutating func failed(_ failure: TrialFailure, offset: UInt64) {
        // A peer that makes up a name for each answer fills no memory.
        let key = failures[failure] != nil || failures.count < 50 ? failure : .answered(status: 0, exception: "other")
        failures[key, default: 0] &+= 1
        if let index = interval(offset) { intervals[index].failed &+= 1 }
    }

    private mutating func interval(_ offset: UInt64) -> Int? {
        let place = Double(offset) / 1e9 / intervalSeconds
        guard place < Double(Self.mostIntervals) + 1 else { return nil }
        let index = Int(place)
        while intervals.count <= index { intervals.append(Interval()) }
        return index
    }

    /// What another thread has counted at the same time.
    package mutating func add(_ other: Trial) {
        latency.add(other.latency)
        for (failure, count) in other.failures { failures[failure, default: 0] &+= count }
        connections.add(other.connections)
        lateness.add(other.lateness)
        sentBytes &+= other.sentBytes
        receivedBytes &+= other.receivedBytes
        while intervals.count < other.intervals.count { intervals.append(Interval()) }
        for (index, interval) in other.intervals.enumerated() {
            intervals[index].latency.add(interval.latency)
            intervals[index].failed &+= interval.failed
        }
        mostConnections += other.mostConnections
        wasStopped = wasStopped || other.wasStopped
    }
}
