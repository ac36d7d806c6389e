// SPDX-License-Identifier: Apache-2.0

/// How many connections to a peer should be open before requests must be passed on to it: as many as this node's recent
/// requests would take there. When HSMs fail all of them move at once, and a new connection costs two round trips more
/// than KMS may wait for between sites.
package struct ForwardingDemand: Sendable {
    /// Connections to a peer, whatever was asked lately. Raising it costs two file descriptors and some 40 kB for each
    /// pair of nodes and connection.
    package static let least = 2
    package static let most = 64
    /// What a peer's HSMs may take for a request, seconds.
    private static let serviceTime = 0.02
    /// Requests do not come evenly spread.
    private static let headroom = 2.0
    /// How fast the highest rate of late is forgotten, seconds.
    private static let memory = 60.0
    /// Shortest time over which a rate is measured, nanoseconds.
    private static let shortestLook: UInt64 = 500_000_000

    private var last: (total: UInt64, at: UInt64)?
    /// Requests a second, the highest of late.
    package private(set) var rate = 0.0

    package init() {}

    /// - Parameters:
    ///   - total: requests that this node has had answered since it began, by its own HSMs or by peers.
    ///   - now: nanoseconds.
    package mutating func note(total: UInt64, now: UInt64) {
        guard let last else {
            self.last = (total, now)
            return
        }
        guard now > last.at, now - last.at >= Self.shortestLook else { return }
        let seconds = Double(now - last.at) / 1e9
        let measured = Double(total > last.total ? total - last.total : 0) / seconds
        rate = max(measured, rate * max(1 - seconds / Self.memory, 0))
        self.last = (total, now)
    }

    /// By Little's law as many as requests arrive in the time that one takes, with some headroom.
    ///
    /// - Parameter roundTrip: microseconds; `nil` where it is not known.
    package func connections(roundTrip: UInt32?) -> Int {
        let time = Double(roundTrip ?? 0) / 1e6 + Self.serviceTime
        let needed = rate * time * Self.headroom
        guard needed < Double(Self.most) else { return Self.most }
        return min(Self.least + Int(needed.rounded(.up)), Self.most)
    }
}

/// How a request's time is divided among the peers that can be asked for it, one after another. Nanoseconds.
package struct ForwardingTime: Sendable, Equatable {
    /// When the answer must have come.
    package var timeout: UInt64
    /// How long the peer may take, from the request's arrival there.
    package var budget: UInt64

    /// What a peer needs at least besides the way there and back.
    package static let leastWork: UInt64 = 5_000_000
    /// What HSMs usually need: a peer that is given less is asked when there is no other way.
    private static let fairWork: UInt64 = 40_000_000
    /// What is kept for the answer to KMS.
    private static let reserve: UInt64 = 2_000_000

    /// For a helper, which spares this node a wait: so much that its answer is late only if it is in trouble, and that this
    /// node can still do it then. `nil` when nothing could come of it.
    ///
    /// - Parameters:
    ///   - left: until the request's deadline.
    ///   - roundTrip: to the peer and back.
    ///   - usual: what a request usually takes that goes there, the way included.
    package init?(left: UInt64, roundTrip: UInt64, usual: UInt64) {
        guard let all = ForwardingTime(left: left, roundTrip: roundTrip, next: nil) else { return nil }
        let patient = usual.multipliedReportingOverflow(by: 2)
        guard !patient.overflow else { return nil }
        timeout = min(all.timeout, max(patient.partialValue, left / 4))
        guard timeout > roundTrip else { return nil }
        budget = timeout - roundTrip
    }

    /// Half of the time where that is enough for this peer and for the next: one that is silent must leave some to
    /// another. All of it where it is not: two that are given too little are of less use than one. `nil` when nothing
    /// could come of it.
    ///
    /// - Parameters:
    ///   - left: until the request's deadline.
    ///   - roundTrip: to the peer and back.
    ///   - next: to the one that would be asked after it; `nil` without one.
    package init?(left: UInt64, roundTrip: UInt64, next: UInt64?) {
        let (needed, isTooFar) = (roundTrip.addingReportingOverflow(Self.leastWork + Self.reserve))
        guard !isTooFar, left >= needed else { return nil }
        let all = left - Self.reserve
        let half = all / 2
        let isEnough = [roundTrip, next ?? .max].allSatisfy { half > Self.fairWork && half - Self.fairWork >= $0 }
        timeout = isEnough ? half : all
        budget = timeout - roundTrip
    }
}
