// SPDX-License-Identifier: Apache-2.0

/// How far the clocks of peers are from this node's, by the times that they write into their messages. A message takes time,
/// which makes a clock seem behind: of several the least delayed counts.
package struct PeerClocks: Sendable {
    private struct Sample {
        /// Their clock minus ours, milliseconds.
        var offset: Int64
        /// CLOCK_MONOTONIC, nanoseconds.
        var at: UInt64
    }

    /// Samples of this time count, nanoseconds: clocks are set.
    static let recent: UInt64 = 30_000_000_000
    static let mostSamples = 8
    static let mostPeers = 1_024

    private var samples: [String: [Sample]] = [:]

    package init() {}

    /// A peer's message has come.
    ///
    /// - Parameters:
    ///   - sentAt: by its clock, Unix milliseconds; anything at all.
    ///   - wall: this node's clock, Unix milliseconds.
    package mutating func note(_ peer: String, sentAt: Int64, wall: Int64, now: UInt64) {
        let (offset, overflow) = sentAt.subtractingReportingOverflow(wall)
        guard !overflow, samples[peer] != nil || samples.count < Self.mostPeers else { return }
        var list = samples[peer, default: []].filter { now < $0.at &+ Self.recent }
        list.append(Sample(offset: offset, at: now))
        samples[peer] = list.suffix(Self.mostSamples)
    }

    /// By peer, its clock minus this node's, milliseconds. Peers that have said nothing lately are left out.
    package func offsets(now: UInt64) -> [String: Int64] {
        samples.compactMapValues { list in list.filter { now < $0.at &+ Self.recent }.map(\.offset).max() }
    }
}
